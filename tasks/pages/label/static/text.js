// Writes values as text for people.

export const NO_OBJECT = "(none)";
export const NOTHING = "nothing";

/** Name an action as the reports do: the verb alone if it has no object. @param {string} verb @param {string | null} [noun] */
export function actionName(verb, noun) {
  return noun === NO_OBJECT || !noun ? verb : `${verb} ${noun}`;
}

/** Name an answer about a clip. @param {Answer | null | undefined} answer @param {string | null} [verb] @param {string | null} [noun] */
export function answerName(answer, verb, noun) {
  if (answer === "nothing" || (answer === "action" && verb === NOTHING)) return "nothing happens";
  return answer === "unsure" ? "unsure" : actionName(verb ?? "", noun);
}

/** Write seconds as 1:02.50; whole seconds without a fraction on request. @param {number} seconds */
export function clock(seconds, digits = 2) {
  const scale = 10 ** digits;
  const rounded = Math.round(seconds * scale) / scale;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Write a probability in percent. @param {number} share */
export function percent(share) {
  return `${Math.round(share * 100)} %`;
}

/** Write two decimals, with a minus sign. @param {number} number */
export function decimal(number) {
  return number.toFixed(2).replace("-", "−");
}

/** Write "1 clip", "2 clips". @param {number} number @param {string} word */
export function count(number, word) {
  return `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
}

/** Write a moment of the log in the person's own time, with its zone. @param {string} at */
export function moment(at) {
  const date = new Date(at);
  return Number.isNaN(date.getTime()) ? at : date.toLocaleString([], { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
}

/** Say who or which file gave a label, and since when it is there. @param {{ by?: string, at?: string }} label */
export function sinceText({ by, at }) {
  return [by, at && moment(at)].filter(Boolean).join(", ");
}
