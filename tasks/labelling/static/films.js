// Keeps the files of a few clips in memory.

import { film } from "./api.js";

const held = new Map();

/** Return the address of a clip's file in memory; it is read at most once while it is kept. */
export function filmOf(uid) {
  if (!held.has(uid)) {
    const reading = film(uid).then((blob) => URL.createObjectURL(blob));
    held.set(uid, reading);
    reading.catch(() => held.delete(uid));
  }
  return held.get(uid);
}

/** Read these clips ahead, and let go of all others. */
export function keepOnly(uids) {
  for (const [uid, reading] of held) {
    if (!uids.includes(uid)) {
      held.delete(uid);
      reading.then((url) => URL.revokeObjectURL(url), () => {});
    }
  }
  for (const uid of uids) filmOf(uid).catch(() => {});
}
