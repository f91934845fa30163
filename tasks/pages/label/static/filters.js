// Chooses the clips of the view *Clips*, and whether suggestions are hidden.

import { asked } from "./api.js";
import { by, fillSelect, h, onRest } from "./dom.js";
import { changed, changes, refresh, session } from "./session.js";
import { announce } from "./status.js";
import { actionName } from "./text.js";

const BLIND = "retake-label/blind";

/** Check whether the person wants to see no suggestion. */
export function isBlind() {
  return by("blind").checked;
}

export const filters = {
  show: () => by("filter-show").value,
  query: () => ({ show: by("filter-show").value, video: by("filter-video").value, name: by("filter-name").value.trim() }),
  isDefault: () => filters.show() === "unlabelled" && !by("filter-video").value && !by("filter-name").value.trim(),
  /** @param {(isOnlyBlind: boolean) => void} call */
  onChange(call) {
    for (const id of /** @type {const} */ (["filter-show", "filter-video"])) by(id).addEventListener("change", () => {
        // A choice by mouse gives the keys back to the clips; one by keyboard goes on with the arrows.
        if (!by(id).matches(":focus-visible")) by("stage").focus();
        call(false);
      });
    by("filter-cut").addEventListener("change", async () => {
      asked.cut = by("filter-cut").value;
      await refresh().then(changed, (error) => announce(`The clips could not be read: ${error.message}.`, { isBad: true }));
      call(false);
    });
    onRest(by("filter-name"), () => call(false));
    by("blind").addEventListener("change", () => {
      localStorage.setItem(BLIND, by("blind").checked ? "on" : "off");
      call(true);
    });
  },
};

/** Fill the lists of videos and of names wherever the page has them. */
export function keepListsNew() {
  by("blind").checked = localStorage.getItem(BLIND) === "on";
  changes.addEventListener("change", () => {
    /** @type {[string, string][]} */
    const videos = session.videos.map((each) => [each.video, `${each.name} (${each.num_labelled} of ${each.num_clips})`]);
    for (const id of /** @type {const} */ (["filter-video", "review-video"])) fillSelect(by(id), [["", "all videos"], ...videos]);
    fillSelect(by("interval-video"), videos);
    by("cuts").hidden = session.cuts.length < 2;
    fillSelect(by("filter-cut"), session.cuts.map((each) => [each.cut, each.name]));
    by("filter-cut").value = session.cut;
    const actions = session.quickActions.map((action) => actionName(action.verb, action.noun));
    const names = [...new Set([...actions, ...session.verbs.map((each) => each.name), ...session.nouns.map((each) => each.name)])];
    by("names").replaceChildren(...names.map((value) => h("option", { value })));
  });
}
