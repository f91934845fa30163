// Plays the clips of a video one after another, as if they were the video.

import { fileOf, keepOnly } from "./clip_files.js";
import { frameSeconds } from "./player.js";

const NUM_AHEAD = 3;
const EDGE_SECONDS = 0.0005;

/** A video made of clips; its time is that of the video. Fires `time`. */
export class Sequence extends EventTarget {
  #player;
  /** @type {Video["clips"]} */
  #clips = [];
  #place = 0;
  /** @type {number | null} */
  #wanted = null;
  // Counts the places that were wanted: a clip that comes late belongs to an earlier one, perhaps of another video.
  #visit = 0;

  /** @param {import("./player.js").Player} player */
  constructor(player) {
    super();
    this.#player = player;
    player.addEventListener("end", () => this.#next());
    player.addEventListener("time", () => this.dispatchEvent(new Event("time")));
  }

  /** Take the clips of a video, by time. @param {Video["clips"]} clips */
  open(clips) {
    this.#visit += 1;
    this.#wanted = null;
    this.#clips = clips;
    this.#place = 0;
    this.#player.clear();
  }

  get time() {
    if (this.#wanted !== null) return this.#wanted;
    const clip = this.#clips[this.#place];
    return clip ? Math.min(clip.start_seconds + this.#player.time, clip.stop_seconds) : 0;
  }

  /** The seconds of a frame where the video is now. */
  get frameSeconds() {
    return frameSeconds(this.#clips[this.#place]);
  }

  /** Go to a time of the video; a rest that no clip has is passed over. @param {number} seconds */
  async seek(seconds) {
    if (!this.#clips.length) return;
    const index = this.#clips.findIndex((clip) => seconds < clip.stop_seconds - EDGE_SECONDS);
    const place = index < 0 ? this.#clips.length - 1 : index;
    const clip = this.#clips[place];
    const inside = Math.min(Math.max(seconds, clip.start_seconds), clip.stop_seconds);
    this.#wanted = inside;
    const visit = ++this.#visit;
    this.dispatchEvent(new Event("time"));
    keepOnly(this.#clips.slice(Math.max(0, place - 1), place + NUM_AHEAD + 1).map((each) => each.uid));
    try {
      const url = await fileOf(clip.uid);
      if (visit !== this.#visit) return;
      this.#place = place;
      this.#player.show(url, { seconds: inside - clip.start_seconds });
      this.#wanted = null;
      this.#prepare();
    } catch (error) {
      if (visit !== this.#visit) return;
      this.#wanted = null;
      this.dispatchEvent(new CustomEvent("failed", { detail: error }));
    }
  }

  #next() {
    const next = this.#clips[this.#place + 1];
    if (next) this.seek(next.start_seconds);
    else this.#player.play(false);
  }

  async #prepare() {
    const next = this.#clips[this.#place + 1];
    const visit = this.#visit;
    if (!next) return;
    const url = await fileOf(next.uid).catch(() => null);
    if (url && visit === this.#visit) this.#player.prepare(url);
  }
}
