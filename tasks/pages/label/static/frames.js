// The keys of a player that shows one clip: play, frame by frame, by second, sound, speed.

const RATES = [0.25, 0.5, 1, 1.5, 2, 3];

/** Return the keys for a player; `frame()` is the length of a frame in seconds. @param {import("./player.js").Player} player @param {() => number} frame @param {(seconds: number) => unknown} [seek] */
export function playerKeys(player, frame, seek = (seconds) => player.seek(seconds), now = () => player.time) {
  const step = (/** @type {number} */ seconds) => () => {
    player.play(false);
    seek(now() + seconds);
  };
  const faster = (/** @type {number} */ by) => () => {
    const place = RATES.indexOf(player.rate);
    player.rate = RATES[Math.min(Math.max(place + by, 0), RATES.length - 1)];
  };
  return {
    " ": () => player.toggle(),
    ArrowLeft: () => step(-frame())(),
    ArrowRight: () => step(frame())(),
    "shift+ArrowLeft": step(-1),
    "shift+ArrowRight": step(1),
    M: () => player.toggleSound(),
    "<": faster(-1),
    ">": faster(1),
  };
}
