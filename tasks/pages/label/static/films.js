// Keeps the files of a few clips in memory.

import { film } from "./api.js";

const held = new Map();

/** Return the address of a clip's file in memory; it is read at most once while it is kept. */
export function filmOf(uid) {
  if (!held.has(uid)) {
    const one = { url: null };
    one.reading = film(uid).then((blob) => (one.url = URL.createObjectURL(blob)));
    held.set(uid, one);
    one.reading.catch(() => held.delete(uid));
  }
  return held.get(uid).reading;
}

/** Read these clips ahead, and let go of all others but those that a video element has: it may read them again. */
export function keepOnly(uids) {
  const inUse = [...document.querySelectorAll("video")].map((video) => video.src);
  for (const [uid, { reading, url }] of held) {
    if (!uids.includes(uid) && !inUse.includes(url)) {
      held.delete(uid);
      reading.then((read) => URL.revokeObjectURL(read), () => {});
    }
  }
  for (const uid of uids) filmOf(uid).catch(() => {});
}
