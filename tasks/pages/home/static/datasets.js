// Shows what one dataset has that another has not: videos, labels, classes, splits.

import "../../label/static/lead_out.js";
import { get, send } from "../../label/static/api.js";
import { fillSelect, find as by, h } from "../../label/static/dom.js";
import { clock } from "../../label/static/text.js";
import { day } from "./formats.js";

const asked = new URLSearchParams(location.search);
let store = asked.get("store") ?? "";

const [a, b] = ["a", "b"].map((id) => /** @type {HTMLSelectElement} */ (by(id)));

/** @typedef {{ uid?: string, name?: string, num_clips?: number, start_seconds?: number, stop_seconds?: number, before?: string | number, after?: string | number, split?: string }} Row */

/** @type {[string, string, string[], (row: Row) => (string | number)[]][]} */
const LISTS = [
  ["splits", "Splits", ["Split", "Clips before", "Clips now"], (row) => [row.split ?? "", row.before ?? "", row.after ?? ""]],
  ["videos_added", "New videos", ["Video", "Clips"], video],
  ["videos_removed", "Videos that are gone", ["Video", "Clips"], video],
  ["classes_added", "New classes", ["Class"], (row) => [String(row)]],
  ["classes_removed", "Classes that are gone", ["Class"], (row) => [String(row)]],
  ["relabelled", "Labels that changed", ["Video", "Time", "Before", "Now"], change],
  ["moved", "Clips in another split", ["Video", "Time", "Before", "Now"], change],
  ["clips_added", "New clips", ["Video", "Time", "Label"], (row) => change(row).toSpliced(2, 1)],
  ["clips_removed", "Clips that are gone", ["Video", "Time", "Label"], (row) => change(row).toSpliced(3, 1)],
];

/** @param {Row} row */
function video({ name, num_clips }) {
  return [name ?? "", num_clips ?? ""];
}

/** @param {Row} row */
function change({ name, start_seconds, stop_seconds, before, after }) {
  return [name ?? "", `${clock(start_seconds ?? 0, 0)}–${clock(stop_seconds ?? 0, 0)}`, before ?? "", after ?? ""];
}

/** @param {string} text */
function complain(text) {
  by("banner").textContent = text;
  by("banner").hidden = !text;
}

let numCompared = 0;

// The last request decides what is shown.
async function compare() {
  const number = (numCompared += 1);
  complain("");
  by("said").textContent = "Comparing …";
  by("difference").replaceChildren();
  try {
    const { before, after, rows, numbers } = await get("../difference", { store, a: a.value, b: b.value });
    if (number !== numCompared) return;
    by("said").textContent = `${before} → ${after}`;
    const parts = LISTS.filter(([name]) => numbers[name]).map(([name, title, heads, cells]) => list(`${title}${name === "splits" ? "" : `: ${numbers[name].toLocaleString("en")}`}`, heads, rows[name].map(cells), numbers[name], `${before} ${after}`));
    const isSame = LISTS.every(([name]) => name === "splits" || !numbers[name]);
    by("difference").replaceChildren(...(isSame ? [h("p", {}, "They have the same clips, with the same labels, in the same splits.")] : parts));
  } catch (error) {
    if (number !== numCompared) return;
    by("said").textContent = "";
    complain(`${error.message}.`);
  }
}

/** @param {string} title @param {string[]} heads @param {(string | number)[][]} rows @param {number} number @param {string} names */
function list(title, heads, rows, number, names) {
  const rest = number - rows.length;
  return h(
    "section",
    {},
    h("h2", {}, title),
    h("div", { class: "wide", tabindex: 0, role: "group", "aria-label": title }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))), h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, String(cell)))))))),
    rest > 0 && h("p", { class: "quiet" }, `And ${rest.toLocaleString("en")} more: `, h("code", {}, `eval "$(.venv/bin/python -m tasks.local env)"; .venv/bin/python -m tasks diff ${names}${store && ` --store=${store}`}`)),
  );
}

async function start() {
  /** @type {HomeState} */
  const state = await send(`../state?${new URLSearchParams(store ? { store } : {})}`, {});
  const { status, now } = state;
  store ||= state.store;
  const kept = status.dataset?.datasets ?? [];
  const digests = kept.map(({ digest }) => digest);
  if (new Set([...digests, asked.get("a"), asked.get("b")].filter(Boolean)).size < 2) throw new Error(`${kept.length ? "There is one dataset: a second to compare" : "The list of datasets"} appears with the next build`);
  /** @type {[string, string][]} */
  const pairs = kept.map(({ digest, at, num_clips }) => [digest, `${digest.slice(0, 12)} · ${day(at ?? now)} · ${num_clips.toLocaleString("en")} clips`]);
  const before = asked.get("a") || [...digests.slice(1), ...digests].find((digest) => digest !== asked.get("b"));
  const after = [asked.get("b"), ...digests].find((digest) => digest && digest !== before);
  for (const [select, digest] of /** @type {[HTMLSelectElement, string][]} */ ([[a, before], [b, after]])) {
    fillSelect(select, digests.includes(digest) ? pairs : [[digest, digest.slice(0, 12)], ...pairs]);
    select.value = digest;
  }
  await compare();
}

by("choice").addEventListener("submit", (event) => {
  event.preventDefault();
  history.replaceState(null, "", `?${new URLSearchParams({ ...(store && { store }), a: a.value, b: b.value })}`);
  compare();
});
start().catch((error) => complain(`${error.message}.`));
