// Draws the answers that one key gives: suggestions and the most frequent actions.

import { h } from "./dom.js";
import { session } from "./session.js";
import { actionName, percent } from "./text.js";

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
