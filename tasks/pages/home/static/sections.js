// Makes the parts below the boxes: the worst classes, the latest predictions, what comes next, and the space.

import { airflow } from "../../label/static/api.js";
import { h } from "../../label/static/dom.js";
import { count, moment, percent } from "../../label/static/text.js";
import { form, labelPage, link, took } from "./boxes.js";
import { ago, ahead, clockTime, size } from "./formats.js";

const NUM_PICTURES = 2;
const NUM_PREDICTIONS = 2;
const NUM_FOLDERS = 4;
/** Tries to read a clip, and the wait between them: the page Label may still be reading the clips. */
const NUM_TRIES = 5;
const WAIT_MS = 3000;

/** @param {string} when */
function later(when) {
  return [h("p", { class: "quiet" }, `Appears with the next ${when}.`)];
}

/** List the classes that the champion names worst, with clips that it gets wrong. @param {Shown} shown */
export function weak(shown) {
  const { model } = shown.state.status;
  if (!model) return later("decision");
  if (!model.weak_classes.length) return [h("p", { class: "quiet" }, "No class is known that the champion names wrong.")];
  return [h("ul", { class: "weak" }, model.weak_classes.map((action) => h(
    "li",
    {},
    action.uids.length > 0 && h("span", { class: "clips" }, action.uids.slice(0, NUM_PICTURES).map((uid, number) => clip(shown, uid, `${action.name}, clip ${number + 1}`))),
    h("span", { class: "about" }, h("strong", {}, action.name), ` ${action.num_right} of ${action.num_clips} right`),
    h("a", { href: labelPage(shown, `#name=${encodeURIComponent(action.name)}`), "aria-label": `Label more of ${action.name}` }, "Label more of these"),
  )))];
}

// The video stands still until the pointer or the focus is on it.
/** @param {Shown} shown @param {string} uid @param {string} name */
function clip(shown, uid, name) {
  const video = h("video", { src: `${shown.label}clips/${encodeURIComponent(uid)}.mp4`, muted: true, loop: true, playsinline: true, preload: "metadata", tabindex: -1, "aria-hidden": "true" });
  let tries = 0;
  video.muted = true;
  video.addEventListener("error", () => {
    tries += 1;
    if (tries < NUM_TRIES) setTimeout(() => video.load(), WAIT_MS);
  });
  const play = () => video.play().catch(() => {});
  const pause = () => video.pause();
  return h("a", { href: labelPage(shown, `#clip=${encodeURIComponent(uid)}`), "aria-label": `${name}: open in Label`, onpointerenter: play, onpointerleave: pause, onfocus: play, onblur: pause }, video);
}

/** List the latest predictions. @param {Shown} shown */
export function predictions(shown) {
  const { status, now, num_chosen } = shown.state;
  // The page Label lists clips of the latest prediction alone.
  const left = (/** @type {number} */ place) => (place === 0 ? num_chosen : 0);
  if (!status.predictions?.predictions.length) return later("prediction");
  return status.predictions.predictions.slice(0, NUM_PREDICTIONS).flatMap((prediction, place) => [
    h("p", {}, link(prediction.report_url, `${count(prediction.num_videos, "video")}, ${count(prediction.num_clips, "clip")}`), h("span", { class: "quiet" }, ` ${ago(prediction.at, now)}, by ${prediction.model}`)),
    h("p", {},
      ...(prediction.is_unlike ? [h("span", { class: "alarm" }, prediction.unlike)] : [`Unsure of ${percent(prediction.unsure_share)}. `, h("span", { class: "quiet" }, prediction.unlike)]),
      " ", left(place) > 0 && link(labelPage(shown), `Label ${count(left(place), "clip")} of this prediction`)),
  ]);
}

/** List questions, schedules and the recipe that comes next. @param {Shown} shown */
export function next(shown) {
  const { seen, state } = shown;
  const { training } = state.status;
  const at = (seen.scheduled ?? []).toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const lines = at.map((run) => h("p", { title: moment(run.at) }, link(form(run.dag_id, state), run.dag_id), ` ${ahead(run.at, state.now)} (${clockTime(run.at)})`));
  const waiting = (seen.approvals ?? []).map(({ subject, url, since }) => h("p", { class: "alarm" }, link(airflow(url.slice(1)), subject), `: asked ${ago(since, state.now)}`));
  const recipe = training && h("p", { class: "cut", title: training.recipe }, `A new dataset trains${took(training) && `, ${took(training)}`}: ${training.recipe}`);
  const errors = seen.import_errors?.length ? h("p", { class: "alarm" }, `Airflow cannot read ${seen.import_errors.join(", ")}`) : null;
  const hidden = seen.scheduled === null && h("p", { class: "quiet" }, "Airflow does not say what is scheduled.");
  return [errors, ...waiting, ...lines, hidden, seen.scheduled?.length === 0 && h("p", { class: "quiet" }, "Nothing is scheduled."), recipe].filter(Boolean);
}

/** List the size of the store by folder, the disk and the servers. @param {Shown} shown */
export function space(shown) {
  const { status, folders, disk_free_share: free, is_nearly_full: isNearlyFull, now } = shown.state;
  const { space: part } = status;
  const total = folders.reduce((sum, use) => sum + use.size_bytes, 0);
  const largest = folders.toSorted((a, b) => b.size_bytes - a.size_bytes).slice(0, NUM_FOLDERS).map((use) => `${use.name} ${size(use.size_bytes)}`);
  return [
    part ? h("p", {}, `Store: ${size(total)}`, h("span", { class: "quiet" }, ` (${largest.join(", ")}), counted ${ago(part.at, now)}`)) : h("p", { class: "quiet" }, "The store's size appears with the next clean-up."),
    h("p", { class: isNearlyFull ? "alarm" : "" }, `Disk of this Airflow: ${percent(free)} free`),
    h("p", { class: ailing(shown.seen).length ? "alarm" : "" }, serversText(shown.seen)),
  ];
}

/** @param {Seen} seen */
function ailing({ health }) {
  return Object.entries(health ?? {}).filter(([, part]) => part?.status && part.status !== "healthy").map(([name]) => name);
}

/** Say how Airflow's servers are. @param {Seen} seen */
export function serversText(seen) {
  if (!seen.health) return "Airflow's health is not known";
  const bad = ailing(seen);
  return bad.length ? `Not healthy: ${bad.join(", ")}` : "Airflow is healthy";
}
