// Starts the DAG build_dataset with the person's own permissions, and shows how far it is.

import { airflow, get, send } from "./api.js";
import { by, h, openDialog } from "./dom.js";
import { GOING, goingRetrain, lastBuild, runPage } from "./last_build.js";
import { changes, session } from "./session.js";
import { count } from "./text.js";

const DAG = airflow("api/v2/dags/build_dataset");
const POLL_MS = 2500;
// retrain starts a moment after its dataset.
const NUM_LOOKS = 12;
/** @type {Record<string, string>} */
const WORDS = { null: "waits", success: "done", running: "running", queued: "queued", scheduled: "waits", failed: "failed", upstream_failed: "not run: one before it failed", skipped: "skipped", up_for_retry: "will be tried again" };

/** @typedef {{ task_id: string, map_index: number, state: string, start_date?: string }} Task */

/** Make the panel. */
export function buildPanel() {
  /** @type {number | undefined} */
  let timer;
  /** @type {string} */
  let run = "";
  let asked = 0;
  let isBusy = false;

  changes.addEventListener("change", () => {
    by("build-open").disabled = !session.ready;
    setBusy(isBusy);
    if (by("build").open) tell();
  });
  by("build-open").addEventListener("click", async () => {
    openDialog(by("build"));
    const of = run;
    const [id] = await Promise.all([goingRetrain(), tell()]);
    if (id && of === run && !isBusy) next(id);
    if (run) return;
    try {
      const { dag_runs } = await get(`${DAG}/dagRuns`, { order_by: "-run_after", limit: 1 });
      if (dag_runs[0] && GOING.includes(dag_runs[0].state)) follow(dag_runs[0].dag_run_id);
    } catch {
      // Start says what is wrong.
    }
  });

  by("build-start").addEventListener("click", async () => {
    setBusy(true);
    say("Starting …");
    try {
      const conf = { ...(await last())?.options, ...session.buildOptions };
      const started = await send(`${DAG}/dagRuns`, { logical_date: null, conf });
      follow(started.dag_run_id);
    } catch (error) {
      setBusy(false);
      say(problem(error));
    }
  });

  /** Find the last build; null if there is none, or if Airflow does not say, which Start will tell. */
  function last() {
    return lastBuild(session.buildOptions.store).catch(() => null);
  }

  // The last request decides what is shown.
  async function tell() {
    const number = (asked += 1);
    const [build, { last_recipe, last_estimate, num_clips, num_new, gate }] = await Promise.all([last(), get("build").catch(() => /** @type {Partial<Build>} */ ({}))]);
    if (number !== asked) return;
    const news = build && num_new === 0 ? "none of them labelled here since the last build: if nothing else is new, a build changes nothing" : `${num_new?.toLocaleString("en")} of them labelled here since the last build`;
    if (num_clips !== undefined) by("build-facts").replaceChildren(`${count(num_clips, "labelled clip")}, ${news}.`, last_recipe ? ` The last training had ${last_recipe}${last_estimate && ` (${last_estimate})`}.` : "", gate ? ` ${gate}` : "");
    const how = build ? [" with the options of the ", h("a", { href: runPage("build_dataset", build.run), target: "_top" }, "last build"), "."] : " with its default options, because no build of this store has succeeded yet.";
    by("build-then").replaceChildren("A new dataset starts retrain,", ...[how].flat());
  }

  // mayWrite is the right to trigger build_dataset, which labelling needs, too.
  /** @param {boolean} isNow */
  function setBusy(isNow) {
    isBusy = isNow;
    by("build-start").disabled = isBusy || !session.mayWrite;
    by("build-start").title = session.mayWrite ? "" : "You may not trigger build_dataset.";
  }

  /** @param {string} id */
  function follow(id) {
    run = id;
    setBusy(true);
    clearTimeout(timer);
    poll();
  }

  async function poll() {
    const of = run;
    const path = `${DAG}/dagRuns/${encodeURIComponent(of)}`;
    try {
      const [state, { task_instances }] = await Promise.all([get(path), get(`${path}/taskInstances`, { limit: 100 })]);
      const isGoing = GOING.includes(state.state);
      const isPaused = state.state === "queued" && (await get(DAG).catch(() => ({}))).is_paused;
      if (of !== run) return;
      const dataset = task_instances.find((/** @type {Task} */ { task_id }) => task_id === "dataset");
      const isSame = dataset?.state === "skipped";
      show(isSame ? "same" : state.state, task_instances, isPaused);
      setBusy(isGoing);
      by("build-open").textContent = isGoing ? "Building …" : "Build dataset";
      if (isGoing) timer = setTimeout(poll, POLL_MS);
      else if (state.state === "success" && !isSame) follower(NUM_LOOKS, dataset?.start_date);
      if (!isGoing) tell();
    } catch (error) {
      if (of !== run) return;
      const goesOn = error.status === 0 || error.status >= 500;
      say(`${problem(error)}${goesOn ? " Asking again …" : ""}`);
      if (goesOn) {
        timer = setTimeout(poll, 2 * POLL_MS);
        return;
      }
      // Whoever opens the panel again finds the run again, if it goes on.
      run = "";
      setBusy(false);
      by("build-open").textContent = "Build dataset";
    }
  }

  // The event that starts retrain comes from the task dataset, before its run ends.
  /** @param {number} numLooks @param {string} [since] */
  async function follower(numLooks, since) {
    const of = run;
    const id = await goingRetrain(since);
    if (of !== run) return;
    next(id);
    if (!id && numLooks > 1) timer = setTimeout(() => follower(numLooks - 1, since), POLL_MS);
  }

  /** @param {string | null} id */
  function next(id) {
    by("build-next").replaceChildren(h("a", { href: runPage("retrain", id), target: "_top" }, id ? "retrain is running: open its run" : "Open the runs of retrain"));
  }

  /** @param {string} state @param {Task[]} tasks @param {boolean} isPaused */
  function show(state, tasks, isPaused) {
    const title = { same: "The dataset is as it was, so nothing is trained.", success: "The dataset is built.", failed: "The run failed: its log says why.", running: "Running …", queued: "Queued …" }[state] ?? state;
    by("build-next").replaceChildren();
    by("build-progress").replaceChildren(
      h("p", { class: state === "failed" ? "bad" : "" }, h("strong", {}, title)),
      isPaused ? h("p", { class: "bad" }, "The DAG build_dataset is paused: unpause it in Airflow, then the run starts.") : "",
      h("ol", { class: "list" }, tasks.map(task)),
      h("p", {}, h("a", { href: runPage("build_dataset", run), target: "_top" }, "Open the run in Airflow")),
    );
  }

  /** @param {Task} task */
  function task({ task_id, map_index, state }) {
    const name = map_index >= 0 ? `${task_id} ${map_index + 1}` : task_id;
    return h("li", {}, h("span", { class: "item" }, name, h("span", { class: state === "failed" ? "bad" : state === "success" ? "good" : "quiet" }, WORDS[state] ?? state)));
  }

  /** @param {string} text */
  function say(text) {
    by("build-progress").replaceChildren(h("p", {}, text));
  }
}

/** @param {import("./api.js").Failed} error */
function problem(error) {
  if (error.status === 401) return "You are not logged in to Airflow.";
  if (error.status === 403) return "You may not trigger build_dataset.";
  return `Airflow says: ${error.message}.`;
}
