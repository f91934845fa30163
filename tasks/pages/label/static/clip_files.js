// Keeps the files of a few clips in memory.

import { clipFile } from "./api.js";

/** @typedef {{ url: string | null, reading: Promise<string> }} Held */
/** @type {Map<string, Held>} */
const held = new Map();

/** Return the address of a clip's file in memory; it is read at most once while it is kept. @param {string} uid */
export function fileOf(uid) {
  const known = held.get(uid);
  if (known) return known.reading;
  /** @type {Held} */
  const entry = { url: null, reading: clipFile(uid).then((blob) => (entry.url = URL.createObjectURL(blob))) };
  held.set(uid, entry);
  entry.reading.catch(() => held.delete(uid));
  return entry.reading;
}

/** Read these clips ahead, and let go of all others but those that a video element has: it may read them again. @param {string[]} uids */
export function keepOnly(uids) {
  const inUse = [...document.querySelectorAll("video")].map((video) => video.src);
  for (const [uid, { reading, url }] of held) {
    if (!uids.includes(uid) && !(url && inUse.includes(url))) {
      held.delete(uid);
      reading.then((read) => URL.revokeObjectURL(read), () => {});
    }
  }
  for (const uid of uids) fileOf(uid).catch(() => {});
}
