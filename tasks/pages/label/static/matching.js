// Finds the actions that a typed text can mean. Known words come first; a new word is an option of its own.

import { NO_OBJECT, NOTHING, actionName } from "./text.js";

const NAME = /^[\p{L}\p{N}][\p{L}\p{M}\p{N}\-:'’&.+()%]*$/u;
const MAX_LENGTH = 64;
const MAX_OPTIONS = 9;
const MAX_VERB_WORDS = 3;

/** @typedef {Choice & { text: string, isSure: boolean, complete?: string, note?: string }} Option */
/** @typedef {(target: Target, name: string) => string} Rename */

/** Write a name as the store does: lower case, words joined by `-`. @param {string} text */
export function normal(text) {
  const shown = text.normalize("NFKC").replace(/\p{Cf}/gu, "");
  return shown.trim().toLowerCase().normalize("NFKC").replace(/[\s_]+/g, "-");
}

/** Check whether the store would take a name. @param {string} name */
export function isName(name) {
  return NAME.test(name) && name.length <= MAX_LENGTH;
}

/**
 * List what a text can mean, best first.
 *
 * An option with `complete` only completes the text. One that is not `isSure` has a new word or another spelling: it must be chosen.
 *
 * @param {string} text
 * @param {{ verbs: string[], nouns: string[], actions: Action[], rename: Rename }} known
 */
export function optionsOf(text, { verbs, nouns, actions, rename }) {
  const parts = text.trim().split(/\s+/).filter(Boolean);
  if (!parts.length) return [];
  const [verb, rest] = split(parts, verbs);
  const options = rest.length || /\s$/.test(text) ? withNoun(verb, normal(rest.join(" ")), verbs, nouns) : withoutNoun(verb, verbs, nouns, actions);
  return unique(options.map((option) => renamed(option, rename))).slice(0, MAX_OPTIONS);
}

/** @param {string[]} parts @param {string[]} verbs @returns {[string, string[]]} */
function split(parts, verbs) {
  for (let number = Math.min(parts.length, MAX_VERB_WORDS); number > 1; number -= 1) {
    const verb = normal(parts.slice(0, number).join(" "));
    if (verbs.includes(verb)) return [verb, parts.slice(number)];
  }
  return [normal(parts[0]), parts.slice(1)];
}

/** @param {string} typed @param {string[]} verbs @param {string[]} nouns @param {Action[]} actions @returns {Option[]} */
function withoutNoun(typed, verbs, nouns, actions) {
  const isKnown = verbs.includes(typed);
  const fitting = [...(isKnown ? [typed] : []), ...startingWith(verbs, typed).filter((verb) => verb !== typed)];
  const ofNouns = startingWith(nouns, typed).slice(0, 2);
  /** @type {Option[]} */
  const options = fitting.slice(0, 5).map((verb) => (nouns.length ? verbOption(verb) : action(verb, NO_OBJECT)));
  for (const other of actions) if (other.verb.startsWith(typed) || other.noun.startsWith(typed)) options.push(action(other.verb, other.noun));
  for (const noun of ofNouns) for (const verb of verbs.slice(0, 3)) options.push(action(verb, noun));
  if (startsWord(NOTHING, typed)) options.push({ answer: "nothing", text: "nothing happens", isSure: true });
  if (isKnown && !nouns.length) options.push(verbOption(typed));
  const added = isKnown || !isName(typed) ? [] : [{ ...verbOption(typed), isSure: false, note: "new verb" }];
  return [...options.slice(0, MAX_OPTIONS - 2), ...near(verbs, typed).map((verb) => guess(verbOption(verb))), ...added];
}

/** @param {string} verb @param {string} typed @param {string[]} verbs @param {string[]} nouns @returns {Option[]} */
function withNoun(verb, typed, verbs, nouns) {
  if (verb === NOTHING && !typed) return [{ answer: "nothing", text: "nothing happens", isSure: true }];
  const isNewVerb = !verbs.includes(verb);
  const guesses = isNewVerb ? near(verbs, verb) : [];
  const mark = (/** @type {Option} */ option) => (isNewVerb ? { ...option, isSure: false, note: option.note === "new noun" ? "new verb and new noun" : "new verb" } : option);
  const corrected = guesses.flatMap((other) => known(other, typed, nouns).slice(0, 2)).map(guess);
  if (!isName(verb)) return corrected;
  const options = known(verb, typed, nouns).map(mark);
  const isKnown = typed === "" || nouns.includes(typed);
  const others = isKnown ? [] : near(nouns, typed).map((noun) => mark(guess(action(verb, noun))));
  const added = isKnown || !isName(typed) ? [] : [mark({ ...action(verb, typed), isSure: false, note: "new noun" })];
  return [...corrected, ...options.slice(0, MAX_OPTIONS - 3), ...others, ...added];
}

/** @param {string} verb @param {string} typed @param {string[]} nouns @returns {Option[]} */
function known(verb, typed, nouns) {
  if (!typed) return [{ ...action(verb, NO_OBJECT), note: "no object" }, ...nouns.map((noun) => action(verb, noun))];
  const exact = nouns.includes(typed) ? [typed] : [];
  return [...exact, ...startingWith(nouns, typed).filter((noun) => noun !== typed)].map((noun) => action(verb, noun));
}

/** @param {string} verb @param {string} noun */
function action(verb, noun) {
  return { verb, noun, text: actionName(verb, noun), isSure: true };
}

/** @param {string} verb */
function verbOption(verb) {
  return { text: `${verb} …`, complete: `${verb} `, isSure: true };
}

/** @param {Option} option */
function guess(option) {
  return { ...option, isSure: false, note: "did you mean this?" };
}

/** @param {Option} option @param {Rename} rename */
function renamed(option, rename) {
  if (!option.verb || !option.noun) return option;
  const [verb, noun] = [rename("verb", option.verb), rename("noun", option.noun)];
  return verb === option.verb && noun === option.noun ? option : { ...option, ...action(verb, noun), isSure: option.isSure, note: `was ${option.text}` };
}

/** @param {Option[]} options */
function unique(options) {
  const seen = new Set();
  return options.filter((option) => !seen.has(option.text) && seen.add(option.text));
}

/** @param {string[]} names @param {string} typed */
function startingWith(names, typed) {
  return [...names.filter((name) => name.startsWith(typed)), ...names.filter((name) => !name.startsWith(typed) && startsWord(name, typed))];
}

/** @param {string} name @param {string} typed */
function startsWord(name, typed) {
  return name.startsWith(typed) || name.includes(`-${typed}`);
}

/** List names that differ from a text by a slip of the finger. @param {string[]} names @param {string} typed */
export function near(names, typed) {
  const allowed = typed.length < 3 ? 0 : typed.length < 6 ? 1 : 2;
  return names.filter((name) => name !== typed && !startsWord(name, typed) && distance(name, typed) <= allowed).slice(0, 2);
}

// Optimal string alignment: two neighbours exchanged are one slip.
/** @param {string} a @param {string} b */
function distance(a, b) {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...Array(b.length).fill(0)]);
  for (let j = 0; j <= b.length; j += 1) rows[0][j] = j;
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
    }
  }
  return rows[a.length][b.length];
}
