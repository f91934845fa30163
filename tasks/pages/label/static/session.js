// Keeps what the page knows: who asks, the words in use, the counts, the quick actions in the order of their digit keys.

import { get } from "./api.js";
import { NO_OBJECT } from "./text.js";

const NUM_QUICK_ACTIONS = 9;

/** Fires `change` when any of this is new. */
export const changes = new EventTarget();

/** @type {Session} */
export const session = {
  version: "",
  me: "",
  mayWrite: false,
  ready: false,
  isEmpty: false,
  store: "",
  buildOptions: {},
  cut: "",
  cuts: [],
  counts: null,
  secondShare: 0,
  verbs: [],
  nouns: [],
  brought: { verbs: [], nouns: [] },
  videos: [],
  quickActions: [],
  merges: [],
  near: [],
};

/** Read state and classes of the server, unless nothing `isKnown` is new; return whether to call `changed`. */
export async function refresh(isKnown = false) {
  const state = await get("state", { known: isKnown ? session.version : "" });
  if (isKnown && state.version === session.version && state.version) return false;
  session.me = state.me;
  session.mayWrite = state.may_write;
  session.secondShare = state.second_share;
  session.ready = state.ready;
  session.isEmpty = Boolean(state.is_empty);
  session.store = state.store;
  if (state.ready) {
    const classes = await get("classes");
    session.buildOptions = state.build_options;
    session.cut = state.cut;
    session.cuts = state.cuts;
    session.counts = state.counts;
    session.videos = state.videos;
    session.brought = state.brought;
    session.merges = classes.merges;
    session.near = classes.near;
    session.verbs = underCurrentNames("verb", classes.verbs);
    session.nouns = underCurrentNames("noun", classes.nouns);
    addQuickActions(state.frequent);
  }
  // A state that could not be read whole is asked for again.
  session.version = state.version ?? "";
  return true;
}

/** Tell all views that something is new. */
export function changed() {
  changes.dispatchEvent(new Event("change"));
}

/** Return the name that a name was merged into, or itself. @param {Target} target @param {string} name */
export function currentName(target, name) {
  const seen = new Set();
  let current = name;
  while (!seen.has(current)) {
    seen.add(current);
    current = session.merges.findLast((merge) => merge.target === target && merge.name === current)?.same_as ?? current;
  }
  return current;
}

/** Learn the words of an answer at once, before the server is asked again. @param {string} verb @param {string} noun */
export function learn(verb, noun) {
  for (const [names, name] of /** @type {const} */ ([[session.verbs, verb], [session.nouns, noun]])) {
    if (name === NO_OBJECT) continue;
    const known = names.find((each) => each.name === name);
    if (known) known.num_clips += 1;
    else names.push({ name, num_clips: 1 });
  }
  addQuickActions([{ verb, noun }]);
}

/** @param {Target} target @param {Name[]} names */
function underCurrentNames(target, names) {
  const counts = new Map();
  for (const { name, num_clips } of names) {
    const current = currentName(target, name);
    counts.set(current, (counts.get(current) ?? 0) + num_clips);
  }
  counts.delete(NO_OBJECT);
  return [...counts].map(([name, num_clips]) => ({ name, num_clips })).sort((a, b) => b.num_clips - a.num_clips || (a.name < b.name ? -1 : 1));
}

/** Give free digit keys to actions. A key keeps its action as long as the page is open: fingers remember it. @param {Action[]} frequent */
function addQuickActions(frequent) {
  for (const { verb, noun } of frequent) {
    const action = { verb: currentName("verb", verb), noun: currentName("noun", noun) };
    const isKnown = session.quickActions.some((each) => each.verb === action.verb && each.noun === action.noun);
    if (!isKnown && session.quickActions.length < NUM_QUICK_ACTIONS) session.quickActions.push(action);
  }
}
