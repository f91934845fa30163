// Shows where the loop stands: asks the page's server and Airflow every few seconds, and draws what is new.

import "../../label/static/lead_out.js";
import { airflow, send } from "../../label/static/api.js";
import { fillSelect, find as by, h, openDialog, renew } from "../../label/static/dom.js";
import { endRun, facts, ofStore, readAirflow, startRun } from "./airflow.js";
import { boxes, form, labelPage, link, showSetAside } from "./boxes.js";
import { chart, table } from "./history.js";
import { next, predictions, serversText, space, weak } from "./sections.js";

const POLL_MS = 10_000;
const AGAIN_MS = 3000;
/** Further steps beside the first; the others are in a panel. */
const NUM_BESIDE = 3;

/** @type {Seen} */
let seen = { approvals: null, runs: null, scheduled: null, import_errors: null, health: null, training: null };
/** @type {HomeState | undefined} */
let state;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;
let wanted = new URLSearchParams(location.search);

const [stores, models] = ["store", "model"].map((id) => /** @type {HTMLSelectElement} */ (by(id)));
const dialog = /** @type {HTMLDialogElement} */ (by("dialog"));

/** @type {Map<string, string>} */
const drawn = new Map();

// Leaves parts alone that have not changed: the focus stays, and videos play on.
/** @param {string} id @param {unknown} of @param {() => Child[]} make */
function draw(id, of, make) {
  const key = JSON.stringify(of);
  if (drawn.get(id) === key) return;
  drawn.set(id, key);
  renew(by(id), ...make());
}

/** @param {string} title @param {Child[]} children */
function panel(title, ...children) {
  by("dialog-title").replaceChildren(title);
  by("dialog-part").replaceChildren(.../** @type {(Node | string)[]} */ (children.filter(Boolean)));
  openDialog(dialog);
}

/** Make a button that asks something of Airflow, tells in `line` how it goes, and can be pressed again if it fails. @param {string} text @param {Element} line @param {string} begun @param {string} forbidden @param {() => Promise<unknown>} act */
function askingButton(text, line, begun, forbidden, act) {
  const button = h("button", { type: "button", onclick: async () => {
    button.disabled = true;
    line.replaceChildren(begun);
    try {
      await act();
    } catch (error) {
      button.disabled = false;
      line.replaceChildren(error.status === 403 ? forbidden : `Airflow says: ${error.message}.`);
    }
  } }, text);
  return button;
}

/** Ask before a run is ended. @param {LiveRun} run */
function stop(run) {
  const line = h("p", { role: "status" });
  const sure = askingButton("Stop the run", line, "Stopping …", `You may not end runs of ${run.dag_id}.`, async () => {
    line.replaceChildren((await endRun(run)) ? "Stopped." : "It had ended before.");
    look();
  });
  sure.className = "first";
  panel(`Stop ${run.dag_id}?`, h("p", {}, "Finished steps are kept. A training that is started again goes on after its last epoch."), h("p", {}, sure), line);
}

/** Return where a step leads from this page. @param {string} url */
function leads(url) {
  if (url.startsWith("/retake/")) return url.slice("/retake/".length);
  return url.startsWith("/") ? airflow(url.slice(1)) : url;
}

/** @param {HomeState} told */
function show(told) {
  const { status, now } = told;
  const here = ofStore(seen, told);
  const number = told.stores.indexOf(told.store);
  /** @type {Shown} */
  const shown = { state: told, seen: here, label: number > 0 ? `label/stores/${number}/` : "label/", panel, stop };
  fillSelect(stores, told.stores.map((store) => [store, store.replace("s3://", "")]));
  fillSelect(models, told.models.length ? told.models.map((model) => [model, model]) : [["", "none yet"]]);
  stores.value = told.store;
  models.value = status.model_name;
  by("to-docs").hidden = !told.has_docs;
  by("to-label").setAttribute("href", labelPage(shown));
  by("to-datasets").setAttribute("href", `datasets/?store=${encodeURIComponent(told.store)}`);
  by("servers").textContent = serversText(seen);
  by("main").setAttribute("aria-busy", "false");
  draw("sentence", told.sentence, () => [told.sentence]);
  draw("steps", told.steps, () => steps(shown));
  const isUnused = told.is_empty && !here.runs?.some(({ dag_id }) => dag_id === "ingest_videos");
  by("begin").hidden = !isUnused;
  for (const section of document.querySelectorAll("#flow, .two, .three")) /** @type {HTMLElement} */ (section).hidden = isUnused;
  if (isUnused) return draw("begin-part", [told.samples, told.store], () => begin(told));
  // Ages change by the minute, and so do the parts that name them.
  const minute = now.slice(0, 16);
  const busy = here.training ? now : minute;
  for (const { id, parts } of boxes(shown)) draw(id, [status, here.runs, here.training, told.num_new_labels, id === "training" ? busy : minute], () => parts.filter(Boolean));
  const versions = status.model?.versions ?? [];
  by("history-key").replaceChildren(...(versions.length ? [h("span", { class: "key then" }, "then"), " ", h("span", { class: "key now" }, "on today's clips"), " · % of actions with 95 % intervals · above: labels added ", h("button", { type: "button", class: "plain", onclick: () => panel("History", table(versions)) }, "Table")] : []));
  drawHistory();
  draw("weak", [status.model?.weak_classes, told.store], () => weak(shown));
  draw("predictions", [status.predictions, told.num_chosen, minute], () => predictions(shown));
  draw("next", [here, status.training, minute], () => next(shown));
  draw("space", [status.space, seen.health, told.disk_free_share.toFixed(2), minute], () => space(shown));
}

function drawHistory() {
  const versions = state?.status.model?.versions ?? [];
  const width = by("history").clientWidth || 600;
  draw("history", [versions, width], () => (versions.length ? [chart(versions, width), h("p", { class: "why quiet" }, `v${versions[0].version}: ${versions[0].reason}`)] : [h("p", { class: "quiet" }, "Appears with the next decision.")]));
}

/** @param {Shown} shown */
function steps(shown) {
  const [first, ...others] = shown.state.steps;
  if (!first) return [];
  /** @param {{ text: string, url: string }} step */
  const leading = ({ text, url }) => {
    const href = leads(url);
    const made = link(href, text);
    if (href === "#films") made.addEventListener("click", () => showSetAside({ ...shown, state: state ?? shown.state }));
    return made;
  };
  const lead = first.url ? Object.assign(leading(first), { className: "first" }) : h("strong", {}, first.text);
  /** @param {HomeState["steps"]} some */
  const items = (some) => some.map((step) => h("li", { title: step.text }, step.url ? leading(step) : step.text));
  const all = () => panel("What to do next", h("ul", { class: "list" }, items(shown.state.steps)));
  return [
    lead,
    others.length > 0 && h("ul", { "aria-label": "Further steps" }, items(others.slice(0, NUM_BESIDE))),
    others.length > NUM_BESIDE && h("button", { type: "button", class: "plain", onclick: all }, `All ${shown.state.steps.length}`),
  ];
}

/** @param {HomeState} told */
function begin(told) {
  const { samples, store } = told;
  const own = h("li", {}, "Your own videos: put them into ", h("code", {}, `${store}/inbox/`), ", or name a folder or a bucket in the ", link(form("ingest_videos", told), "form of ingest_videos"), ". Sub-folders named by label, such as ", h("code", {}, "put meat"), ", label their videos.");
  const rest = h("li", {}, "The rest follows by itself: clips, labels, dataset, training, and the decision whether the result is used.");
  if (!samples) return [h("ul", {}, own, rest)];
  const run = askingButton("Run the samples", by("said"), "Starting …", "You may not start ingest_videos.", async () => {
    const path = await startRun("ingest_videos", samples.conf);
    by("said").replaceChildren("Started: ", link(airflow(path.slice(1)), "the ingest of the samples"), ". The boxes fill as it goes on.");
    seen = await readAirflow();
    choose(samples.store, "");
  });
  return [h("ul", {}, h("li", {}, "To try it: ", run, ` on a few short videos, in the store ${samples.store}: the whole loop in some minutes.`), own, rest)];
}

/** @param {string} text */
function complain(text) {
  by("banner").textContent = text;
  by("banner").hidden = !text;
}

// Drops an answer about a store or model that is no longer chosen.
/** @param {LiveFacts} [live] */
async function ask(live) {
  const asked = wanted;
  const told = await send(`state?${asked}`, live ?? {});
  if (asked !== wanted) return;
  state = told;
  complain("");
  show(told);
}

// The store answers at once; what Airflow says comes a moment later, and changes what to do next.
async function look() {
  clearTimeout(timer);
  const asked = wanted;
  let wait = POLL_MS;
  try {
    if (!state) await ask();
    seen = await readAirflow();
    await ask(facts(state ? ofStore(seen, state) : seen));
  } catch (error) {
    if (asked !== wanted) return;
    wait = AGAIN_MS;
    if (error.status === 401) complain("You are no longer logged in to Airflow: log in, and this page goes on.");
    else complain(`${state ? "What is shown is not new: " : ""}${error.message}. The page asks again.`);
  }
  if (asked === wanted) plan(wait);
}

/** @param {number} wait */
function plan(wait) {
  clearTimeout(timer);
  timer = setTimeout(() => (document.visibilityState === "visible" ? look() : plan(wait)), wait);
}

/** @param {string} store @param {string} model */
function choose(store, model) {
  wanted = new URLSearchParams(Object.entries({ store, model }).filter(([, value]) => value));
  history.replaceState(null, "", `?${wanted}`);
  state = undefined;
  look();
}

stores.addEventListener("change", () => choose(stores.value, ""));
models.addEventListener("change", () => choose(stores.value, models.value));
by("dialog-close").addEventListener("click", () => dialog.close());
addEventListener("resize", drawHistory);
look();
