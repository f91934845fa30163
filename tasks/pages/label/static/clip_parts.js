// Makes the parts of the view *Clips* that describe a clip, and the lists of answers that one key gives.

import { isAnswered } from "./ahead.js";
import { h } from "./dom.js";
import { session } from "./session.js";
import { actionName, answerName, clock, percent } from "./text.js";

/** Name the answer of a clip, and who gave it. @param {Clip} clip */
export function labelText(clip) {
  const text = clip.label ? answerName("action", clip.label.verb, clip.label.noun) : answerName(clip.answer);
  return clip.label?.origin ? `${text} (by ${clip.label.origin})` : text;
}

/** List what is suggested for a clip, first what is likely in place of a doubtful label. @param {Clip} clip @returns {Suggestion[]} */
export function suggestionsOf({ doubt, suggestions }) {
  return doubt ? [doubt, ...suggestions.filter(({ verb, noun }) => verb !== doubt.verb || noun !== doubt.noun)].slice(0, 3) : suggestions;
}

/** Say why a clip is shown. @param {Clip} clip */
export function whyText({ doubt, reason }) {
  if (doubt) return `Suspicious: the last training finds ${answerName("action", doubt.verb, doubt.noun)} likely (${percent(doubt.probability)}). Is the label right?`;
  return reason ? `Chosen: ${reason}` : "";
}

/** Say a clip to those who do not see it. @param {Clip} clip @param {boolean} isBlind */
export function spokenText(clip, isBlind) {
  const best = isBlind ? null : clip.suggestions[0];
  const doubt = clip.doubt && !isBlind ? `. ${whyText(clip)}` : "";
  const what = isAnswered(clip) ? `Answer: ${labelText(clip)}${doubt}` : best ? `Suggested: ${actionName(best.verb, best.noun)}, ${percent(best.probability)}` : "No suggestion";
  return `${clip.name} ${clock(clip.start_seconds)}. ${clip.reading === "second" ? "Second reading. " : ""}${what}.`;
}

/** Say why a clip has no suggestion. @param {Clip | undefined} clip @param {boolean} isBlind */
export function noSuggestionText(clip, isBlind) {
  if (isBlind) return "Blind: suggestions are hidden.";
  if (clip?.is_measured) return "No suggestion: networks are measured on this video (val or test). Say what you see.";
  return clip?.reading === "second" ? "No suggestion for a second reading: say what you see." : "No suggestion yet: predictions give them (run predict_videos).";
}

/** Make the list of suggestions; Enter takes the first if `isFirst`. @param {Suggestion[]} suggestions @param {boolean} isFirst @param {(number: number) => void} accept */
export function suggestionItems(suggestions, isFirst, accept) {
  return suggestions.map((suggestion, number) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "choice", disabled: !session.mayWrite, onclick: () => accept(number) },
        h("kbd", {}, number === 0 && isFirst ? "Enter" : `⇧${number + 1}`),
        h("span", { class: "word" }, actionName(suggestion.verb, suggestion.noun)),
        h("meter", { min: 0, max: 1, value: suggestion.probability, "aria-hidden": "true" }),
        h("span", { class: "share" }, percent(suggestion.probability)),
      ),
    ),
  );
}

/** Make the list of the most frequent actions, each with its digit. @param {boolean} isOn @param {(action: Action) => void} choose */
export function quickActionItems(isOn, choose) {
  return session.quickActions.map((action, number) =>
    h(
      "li",
      {},
      h(
        "button",
        { type: "button", class: "chip", disabled: !session.mayWrite || !isOn, onclick: () => choose(action) },
        h("kbd", {}, String(number + 1)),
        actionName(action.verb, action.noun),
      ),
    ),
  );
}
