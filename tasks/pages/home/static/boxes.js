// Makes the five boxes from videos to the champion: a number, its age, an alarm, and what can be done there.

import { h } from "../../label/static/dom.js";
import { airflow } from "../../label/static/api.js";
import { count, moment, percent } from "../../label/static/text.js";
import { ago, length, score, secondsBetween } from "./formats.js";

const NUM_NAMED = 3;

/** @typedef {{ title: string, href: string, number: Child, unit: string, at?: string | null, alarm?: Child, lines?: Child[], acts?: Child[] }} Box */
/** @typedef {(shown: Shown) => Box} MakeBox */

/** Make all boxes, by their ids. @param {Shown} shown */
export function boxes(shown) {
  const { now } = shown.state;
  return Object.entries({ films: videos, labels, dataset, training, champion }).map(([id, make]) => ({ id, parts: filled(make(shown), now) }));
}

/** @param {Box} box @param {string} now */
function filled({ title, href, number, unit, at, alarm, lines = [], acts = [] }, now) {
  return [
    h("h2", {}, href ? link(href, title) : title),
    h("p", { class: "number" }, h("strong", {}, number), ` ${unit}`),
    at && h("p", { class: "quiet", title: moment(at) }, ago(at, now)),
    alarm && h("p", { class: "alarm" }, alarm),
    ...lines.filter(Boolean).map((line) => h("p", {}, line)),
    acts.length > 0 && h("p", { class: "acts" }, acts),
  ];
}

/** Make a link; pages of Airflow leave its frame. @param {string} address @param {string} text */
export function link(address, text) {
  // A report was written with the address that Airflow had then, and is served beside this page.
  const href = address.replace(/^https?:.*\/retake\/(report\/\?)/, "$1");
  return h("a", { href, target: /^[a-z]+:|\/dags\//.test(href) && "_top" }, text);
}

/** Return the address of the form of a DAG, on this store, with other options. @param {string} dag @param {HomeState} state @param {object} options */
export function form(dag, { status }, options = {}) {
  const named = dag === "retrain" && status.model_name ? { model_name: status.model_name } : options;
  return `trigger/?${new URLSearchParams({ dag, conf: JSON.stringify({ store: status.store, ...named }) })}`;
}

/** Return the address of the page Label of this store. @param {Shown} shown */
export function labelPage({ state: { status } }, hash = "") {
  return `label/?store=${encodeURIComponent(status.store)}${hash}`;
}

/** @param {string} text @param {() => unknown} onclick */
function button(text, onclick) {
  return h("button", { type: "button", class: "plain", onclick }, text);
}

/** Say that a part appears later. @param {string} title @param {string} href @param {string} when @param {Child[]} acts @returns {Box} */
function later(title, href, when, acts = []) {
  return { title, href, number: "–", unit: "", lines: [h("span", { class: "quiet" }, `Appears with the next ${when}.`)], acts };
}

/** @type {MakeBox} */
function videos(shown) {
  const { films: part } = shown.state.status;
  const acts = [link(form("ingest_videos", shown.state), "Ingest …")];
  const title = "Videos";
  if (!part) return later(title, "", "ingest", acts);
  return {
    title,
    href: "",
    number: part.num_videos.toLocaleString("en"),
    unit: part.num_videos === 1 ? "video" : "videos",
    at: part.at,
    alarm: part.num_set_aside ? h("span", {}, `${count(part.num_set_aside, "file")} set aside `, button("why", () => showSetAside(shown))) : shown.state.is_quiet ? `Nothing new for ${length(secondsBetween(part.new_at ?? "", shown.state.now))}` : null,
    lines: [`${count(part.num_clips, "clip")} in the latest ingest`, part.num_new > 0 && `${part.num_new} new, ${ago(part.new_at ?? part.at, shown.state.now)}`],
    acts,
  };
}

/** List the files that were set aside, with reasons. @param {Shown} shown */
export function showSetAside(shown) {
  const { first_set_aside: first = [], num_set_aside: number = 0 } = shown.state.status.films ?? {};
  const more = number > first.length && h("p", { class: "quiet" }, `These are the first of ${number}; the log of the task summarise names all.`);
  shown.panel("Files that were set aside", h("ul", { class: "list" }, first.map(({ name, reason }) => h("li", {}, h("strong", {}, name), `: ${reason}`))), more);
}

/** @type {MakeBox} */
function labels(shown) {
  const { labels: part } = shown.state.status;
  const acts = [link(labelPage(shown), "Label …")];
  const title = "Labels";
  if (!part) return later(title, labelPage(shown), "build", acts);
  const since = shown.state.num_new_labels;
  const origins = part.by_origin.map(({ kind, name, num_clips }) => `${kind} ${name}: ${num_clips}`);
  const kinds = ["folder", "file", "person"].map((kind) => [kind, part.by_origin.filter((origin) => origin.kind === kind).reduce((sum, { num_clips }) => sum + num_clips, 0)]).filter(([, number]) => number);
  const all = () => shown.panel("Labels by origin", h("ul", { class: "list" }, origins.map((text) => h("li", {}, text))));
  return {
    title,
    href: labelPage(shown),
    number: percent(part.num_clips ? part.num_labelled / part.num_clips : 0),
    unit: `of clips (${part.num_labelled.toLocaleString("en")})`,
    at: part.at,
    alarm: part.num_problems ? h("span", {}, `${count(part.num_problems, "problem")} in label files `, link(labelPage(shown, "#review"), "where")) : since > 0 ? `${count(since, "new label")}: build` : null,
    lines: [
      h("span", {}, kinds.map(([kind, number]) => `${number.toLocaleString("en")} by ${kind}`).join(" · "), origins.length ? " " : "", origins.length > 0 && button("all", all)),
      part.agreement || h("span", { class: "quiet" }, "No second reader: ", button("invite one", () => invite(shown)), "."),
    ],
    acts,
  };
}

/** Say how a second person comes to read clips. @param {Shown} shown */
function invite(shown) {
  shown.panel("Invite a second reader", h("p", {}, "A tenth of the clips is shown to a second person, who needs a login of their own. With make run, on a terminal this prints their password, and restarts Airflow if no run is at work:"), h("pre", { tabindex: 0 }, ".venv/bin/python -m tasks.local people add anna"), h("p", {}, "In containers, an administrator adds them in Airflow under Security → Users."));
}

/** @type {MakeBox} */
function dataset(shown) {
  const { dataset: part } = shown.state.status;
  const acts = [link(form("build_dataset", shown.state), "Build …")];
  const title = "Dataset";
  if (!part) return later(title, "", "build", acts);
  const { change, warnings } = part;
  const number = part.splits.reduce((sum, split) => sum + split.num_clips, 0);
  const store = new URLSearchParams({ store: shown.state.status.store, b: part.digest, ...(change && { a: change.before }) });
  const told = () => shown.panel("Warnings of the dataset", h("ul", { class: "list" }, warnings.map((text) => h("li", {}, text))));
  return {
    title,
    href: "",
    number: number.toLocaleString("en"),
    unit: number === 1 ? "clip" : "clips",
    at: part.at,
    alarm: warnings.length ? h("span", {}, `${count(warnings.length, "warning")} `, button("read", told)) : null,
    lines: [part.splits.map(({ split, num_clips }) => `${split} ${num_clips.toLocaleString("en")}`).join(" · "), change ? changed(change) : "The first dataset."],
    acts: [...(change ? [link(`datasets/?${store}`, "What changed"), " "] : []), ...acts],
  };
}

/** @param {DatasetChange} change */
function changed({ num_clips_added, num_clips_removed, num_relabelled, num_moved, classes_added }) {
  const parts = [
    num_clips_added && `+${num_clips_added.toLocaleString("en")}`,
    num_clips_removed && `−${num_clips_removed.toLocaleString("en")}`,
    num_relabelled && `${num_relabelled} relabelled`,
    num_moved && `${num_moved} moved`,
    classes_added.length && `${classes_added.length} new classes`,
  ].filter(Boolean);
  return parts.length ? `Change: ${parts.join(", ")}` : "As the one before.";
}

/** @type {MakeBox} */
function training(shown) {
  const { state, seen } = shown;
  const { training: part } = state.status;
  const acts = [link(form("retrain", state), "Train …")];
  const title = "Training";
  const runs = seen.runs ?? [];
  const queue = runs.filter(({ run_id, dag_id }) => run_id !== seen.training?.run.run_id || dag_id !== seen.training?.run.dag_id);
  const lines = [...queue.slice(0, NUM_NAMED).map((run) => atWork(run, shown)), queue.length > NUM_NAMED && `and ${queue.length - NUM_NAMED} more runs`];
  if (seen.training) {
    const { run, since } = seen.training;
    const elapsed = secondsBetween(since, state.now);
    const expected = part?.expected_seconds;
    const bar = Boolean(expected) && h("progress", { max: 1, value: Math.min(1, elapsed / (expected ?? 1)), "aria-label": "Progress of the training" });
    const rest = expected ? (elapsed < expected ? `about ${length(expected - elapsed)} left` : `${length(elapsed - expected)} longer than expected`) : `for ${length(elapsed)}`;
    return {
      title,
      href: airflow(run.url.slice(1)),
      number: expected ? percent(Math.min(1, elapsed / expected)) : "at work",
      unit: rest,
      lines: [bar, part && h("span", { class: "cut", title: part.recipe }, part.recipe), `${run.started_by ? `started by ${run.started_by}` : "started by Airflow"}`, ...lines],
      acts: [button("Stop …", () => shown.stop(run))],
    };
  }
  if (!part) return { ...later(title, "", "training", acts), lines: lines.some(Boolean) ? lines : later(title, "", "training").lines };
  const planned = () => shown.panel("The last training", h("p", {}, part.recipe), h("p", {}, part.estimate));
  const last = h("span", { class: "cut" }, `Last, ${ago(part.at, state.now)}: ${part.recipe}`);
  return { title, href: airflow("dags/retrain"), number: String(runs.length), unit: runs.length === 1 ? "run at work" : "runs at work", lines: [...lines, last, h("span", {}, took(part), " ", button("details", planned))], acts };
}

/** Say how long a training takes, if that is known. @param {TrainingPart} part */
export function took({ expected_seconds }) {
  return expected_seconds === null ? "" : `about ${length(expected_seconds)}`;
}

/** @param {LiveRun} run @param {Shown} shown */
function atWork(run, shown) {
  const state = run.waits_for ? `waits for ${run.waits_for}` : `${run.state} ${length(secondsBetween(run.since, shown.state.now))}`;
  return h("span", {}, link(airflow(run.url.slice(1)), run.dag_id), `: ${state}${run.started_by ? `, by ${run.started_by}` : ""} `, h("button", { type: "button", class: "plain", "aria-label": `Stop ${run.dag_id}`, onclick: () => shown.stop(run) }, "Stop …"));
}

/** @type {MakeBox} */
function champion(shown) {
  const { model: part, model_name: name } = shown.state.status;
  const title = "Champion";
  if (!part) return later(title, "", "decision");
  if (part.champion === null) return { title, href: "", number: "–", unit: "no champion yet", at: part.at, lines: [part.versions[0]?.reason] };
  const current = part.versions.find(({ version }) => version === part.champion);
  const uri = `models:/${name}@champion`;
  const load = () => shown.panel("Load the champion", h("pre", { tabindex: 0 }, `import mlflow\nmodel = mlflow.pyfunc.load_model("${uri}")\nmodel.predict(["video.mp4"])`), h("p", { class: "quiet" }, "MLFLOW_TRACKING_URI names the server."));
  const earlier = part.versions.filter(({ version, event }) => version !== part.champion && event !== "kept");
  const target = earlier.find(({ saw_forgotten: sawForgotten }) => !sawForgotten);
  const back = () => shown.panel("Roll back", ...(target ? [
    h("p", {}, "This makes an earlier version champion again, and says why in its history. It is refused if a clean-up removed its training; then name another:"),
    h("pre", { tabindex: 0 }, `eval "$(.venv/bin/python -m tasks.local env)"\n.venv/bin/python -m tasks rollback --model-name ${name} --to ${target.version} --reason "…"`),
    h("p", {}, "In containers, write ", h("code", {}, "docker compose run --rm retake"), " in the place of ", h("code", {}, ".venv/bin/python -m tasks"), ", without the first line."),
  ] : [h("p", {}, `The history has no earlier champion${earlier.length ? " without forgotten data" : ""}.`)]));
  const alarm = current?.saw_forgotten ? "Saw data that was forgotten: train anew" : part.provisional ? "Provisional" : null;
  return {
    title,
    number: `v${part.champion}`,
    at: part.champion_since,
    alarm,
    ...(current ? scored(current, part.split) : { href: "", unit: "", lines: ["No scores here: it was decided on before the history began."] }),
    acts: [link(form("predict_videos", shown.state, { model: uri }), "Predict …"), " ", button("Load", load), " ", button("Roll back", back)],
  };
}

/** Say how many actions the champion names, on today's clips if it was scored on them. @param {Version} current @param {string | null} split */
function scored(current, split) {
  const isNow = current.top1_now !== null && current.interval_now;
  return {
    href: current.report_url,
    unit: isNow ? score(current.top1_now ?? 0, current.interval_now ?? [0, 0]) : score(current.top1, current.interval),
    lines: [`of actions, on ${isNow ? "today's clips" : count(current.num_clips, "clip")}${split ? ` of ${split}` : ""}`],
  };
}
