// Shows one clip after another in two video elements: one plays while the other makes the next one ready.

import { h } from "./dom.js";

const RATES = [0.25, 0.5, 1, 1.5, 2, 3];

/** Plays clips. Fires `time`, `end` of a clip that does not loop, `ready` when the picture of the time asked for is there, `state`, and `broken` if a clip cannot be played. */
export class Player extends EventTarget {
  /** @type {HTMLVideoElement} */
  #front;
  /** @type {HTMLVideoElement} */
  #back;
  /** @type {string | null} */
  #backUrl = null;
  /** @type {string | null} */
  #frontUrl = null;
  #wasPlaying = true;

  /** @param {Element} box @param {{ loop: boolean, label: string }} options */
  constructor(box, { loop, label }) {
    super();
    this.loop = loop;
    const make = () => h("video", { muted: true, playsinline: true, loop, preload: "auto", "aria-label": label, disablepictureinpicture: true });
    [this.#front, this.#back] = [make(), make()];
    this.#back.classList.add("behind");
    this.#back.setAttribute("aria-hidden", "true");
    for (const video of [this.#front, this.#back]) {
      video.muted = true;
      video.addEventListener("ended", () => video === this.#front && this.dispatchEvent(new Event("end")));
      video.addEventListener("play", () => video === this.#front && this.dispatchEvent(new Event("state")));
      // While it seeks, an element has no picture, and its data do not load again.
      for (const name of ["loadeddata", "seeked"]) video.addEventListener(name, () => video === this.#front && this.isReady && this.dispatchEvent(new Event("ready")));
      video.addEventListener("error", () => video === this.#front && this.#frontUrl && this.dispatchEvent(new Event("broken")));
      video.addEventListener("pause", () => video === this.#front && this.dispatchEvent(new Event("state")));
    }
    box.append(this.#front, this.#back);
    const tick = () => {
      if (this.#frontUrl && !this.#front.paused) this.dispatchEvent(new Event("time"));
      requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  /** The clip's time in seconds. */
  get time() {
    return this.#front.currentTime;
  }

  get duration() {
    return Number.isFinite(this.#front.duration) ? this.#front.duration : 0;
  }

  get isPlaying() {
    return this.#wasPlaying;
  }

  /** Whether a picture is on the screen. */
  get isReady() {
    return this.#frontUrl !== null && this.#front.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
  }

  get isMuted() {
    return this.#front.muted;
  }

  /** Make a clip ready behind the one that is shown. @param {string} url */
  prepare(url) {
    if (this.#backUrl === url || this.#frontUrl === url) return;
    this.#backUrl = url;
    this.#back.src = url;
  }

  /** Show a clip from `seconds` on; it plays if the last one did, or if `play` says so. @param {string} url */
  show(url, { seconds = 0, play = this.#wasPlaying } = {}) {
    if (this.#frontUrl !== url) {
      this.prepare(url);
      [this.#front, this.#back] = [this.#back, this.#front];
      [this.#frontUrl, this.#backUrl] = [this.#backUrl, this.#frontUrl];
      this.#front.muted = this.#back.muted;
      this.#front.playbackRate = this.#back.playbackRate;
      this.#front.classList.remove("behind");
      this.#front.removeAttribute("aria-hidden");
      this.#back.classList.add("behind");
      this.#back.setAttribute("aria-hidden", "true");
      this.#back.pause();
    }
    if (this.#front.currentTime !== seconds) this.#front.currentTime = seconds;
    this.play(play);
    if (this.isReady) this.dispatchEvent(new Event("ready"));
  }

  /** Show nothing. */
  clear() {
    for (const video of [this.#front, this.#back]) {
      video.pause();
      video.removeAttribute("src");
      video.load();
    }
    [this.#frontUrl, this.#backUrl] = [null, null];
  }

  /** Play or pause. */
  play(isOn = true) {
    this.#wasPlaying = isOn;
    if (isOn && this.#frontUrl) this.#front.play().catch(() => {});
    else this.#front.pause();
    this.dispatchEvent(new Event("time"));
  }

  toggle() {
    this.play(!this.#wasPlaying);
  }

  /** Turn the sound on or off. */
  toggleSound() {
    this.#front.muted = !this.#front.muted;
    this.dispatchEvent(new Event("state"));
  }

  /** Go to a time of the clip. @param {number} seconds */
  seek(seconds) {
    this.#front.currentTime = Math.min(Math.max(seconds, 0), Math.max(0, this.duration - 0.001));
    this.dispatchEvent(new Event("time"));
  }

  /** Play slower or faster. */
  set rate(rate) {
    this.#front.playbackRate = rate;
    this.dispatchEvent(new Event("state"));
  }

  get rate() {
    return this.#front.playbackRate;
  }
}

/** Return the length of a clip's frames; without a clip, a usual one. @param {Span & { num_frames: number } | undefined} clip */
export function frameSeconds(clip) {
  return clip ? (clip.stop_seconds - clip.start_seconds) / clip.num_frames : 1 / 30;
}

/** Return the keys for a player; `frame()` is the length of a frame in seconds. @param {Player} player @param {() => number} frame @param {(seconds: number) => unknown} [seek] */
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
