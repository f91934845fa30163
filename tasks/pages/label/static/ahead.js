// Asks for the next clips, without those that the page has already.

import { get } from "./api.js";
import { filters } from "./filters.js";

const NUM_ASKED = 20;
const NUM_LATEST = 20;
const MAX_SKIPPED = 150;

/** Check whether anybody has answered a clip. @param {Clip} clip */
export function isAnswered(clip) {
  return Boolean(clip.answer || clip.label);
}

/** Read the clips after those of `list`; of the list to label, those in `unsent` have an answer that the server does not know. @param {Clip[]} list @param {string[]} unsent */
export async function clipsAfter(list, unsent) {
  const { clips } = await get("queue", { ...filters.query(), ...place(list, unsent), limit: NUM_ASKED });
  const inHand = new Set(list.map((clip) => clip.uid));
  return clips.filter((clip) => !inHand.has(clip.uid));
}

// An answered clip leaves the list to label, but stays in other lists.
/** @param {Clip[]} list @param {string[]} unsent */
function place(list, unsent) {
  if (filters.show() !== "unlabelled") return { after: list.at(-1)?.uid };
  const skipped = [...unsent, ...list.filter((clip) => !isAnswered(clip)).map((clip) => clip.uid), ...list.slice(-NUM_LATEST).map((clip) => clip.uid)];
  return { skip: [...new Set(skipped)].slice(0, MAX_SKIPPED).join(",") };
}
