// Reads from Airflow's API, with the rights of the person, what runs, waits and comes next. A part that the person may not see is null.

import { airflow, get, send } from "../../label/static/api.js";
import { GOING } from "../../label/static/last_build.js";

const WAITING = ["scheduled", "queued"];
const ASKING = ["awaiting_input", "deferred", "running"];
const NO_POOL = "default_pool";
const MOST = 100;
/** Runs, and questions, that the server is told of: it takes a short body. */
const MOST_TOLD = 20;

/** @param {string} path */
const api = (path) => airflow(`api/v2/${path}`);

/** Return the path in Airflow of a run. @param {string} dag @param {string} run */
function runPath(dag, run) {
  return `/dags/${dag}/runs/${encodeURIComponent(run)}`;
}

/** Read everything; each part by itself. @returns {Promise<Seen>} */
export async function readAirflow() {
  const asked = { response_received: "false", order_by: "created_at", limit: MOST };
  const [dags, going, tasks, questions, errors, health] = await Promise.all([
    get(api("dags"), { tags: "retake", limit: MOST }),
    send(api("dags/~/dagRuns/list"), { states: GOING, order_by: "run_after" }),
    get(`${api("dags/~/dagRuns/~/taskInstances")}?state=running&state=scheduled&state=queued`, {}),
    get(api("dags/~/dagRuns/~/hitlDetails"), asked),
    get(api("importErrors"), { limit: MOST }),
    get(api("monitor/health")),
  ].map((part) => part.catch(() => null)));
  const known = dags && new Map(dags.dags.map((/** @type {{ dag_id: string }} */ dag) => [dag.dag_id, dag]));
  const open = questions && questions.hitl_details.filter((/** @type {any} */ { task_instance }) => ASKING.includes(task_instance.state));
  const ofRetake = known && going && going.dag_runs.filter((/** @type {Run} */ run) => known.has(run.dag_id));
  const runs = ofRetake && await Promise.all(ofRetake.map(async (/** @type {Run} */ run) => describe(run, await storeOf(run), ofRetake, known, tasks?.task_instances ?? [], open)));
  return {
    approvals: open && open.map((/** @type {any} */ question) => approval(question, runs)),
    runs,
    scheduled: dags && dags.dags.filter((/** @type {any} */ dag) => dag.next_dagrun_run_after && !dag.is_paused).map((/** @type {any} */ dag) => ({ dag_id: dag.dag_id, at: dag.next_dagrun_run_after })),
    import_errors: errors && errors.import_errors.map((/** @type {{ filename: string }} */ { filename }) => filename.split("/").at(-1)),
    health,
    training: runs && training(runs, tasks?.task_instances ?? []),
  };
}

/** Leave out what the server's rules do not read. @param {Seen} seen @returns {LiveFacts} */
export function facts({ approvals, runs, scheduled, import_errors }) {
  return { approvals: approvals && approvals.slice(0, MOST_TOLD), runs: runs && runs.slice(0, MOST_TOLD), scheduled, import_errors };
}

/** End a run, and return whether it was unfinished: Airflow would make a failed one of a run that succeeded. @param {LiveRun} run */
export async function endRun({ dag_id, run_id }) {
  const path = api(`dags/${dag_id}/dagRuns/${encodeURIComponent(run_id)}`);
  const isGoing = GOING.includes((await get(path)).state);
  if (isGoing) await send(path, { state: "failed" }, {}, "PATCH");
  return isGoing;
}

/** Start a run; return its path in Airflow. @param {string} dag @param {object} conf */
export async function startRun(dag, conf) {
  const { dag_run_id } = await send(api(`dags/${dag}/dagRuns`), { logical_date: null, conf });
  return runPath(dag, dag_run_id);
}

/** @param {any} asked @param {LiveRun[] | null} runs */
function approval({ subject, created_at, task_instance: { dag_id, dag_run_id, task_id, map_index } }, runs) {
  const asking = runs?.find((run) => run.dag_id === dag_id && run.run_id === dag_run_id);
  return { subject, since: created_at, store: asking ? asking.store : null, url: `${runPath(dag_id, dag_run_id)}/tasks/${encodeURIComponent(task_id)}/required_actions?map_index=${map_index}` };
}

/** @type {Map<string, Promise<string | null>>} */
const storeByRun = new Map();

/** Return an address without the slashes at its end. @param {string} [uri] */
const bare = (uri) => (uri ?? "").replace(/\/+$/, "");

/** Find the store of a run: empty for that of the DAGs, null, which every store shows, if Airflow does not say or names several. @param {Run} run @returns {Promise<string | null>} */
function storeOf({ dag_id, dag_run_id, run_type, conf }) {
  if (run_type !== "asset_triggered") return Promise.resolve(/** @type {{ store?: string } | null} */ (conf)?.store ?? "");
  const path = api(`dags/${dag_id}/dagRuns/${encodeURIComponent(dag_run_id)}/upstreamAssetEvents`);
  const store = storeByRun.get(path) ?? get(path).then(({ asset_events }) => oneStore(asset_events), () => {
    storeByRun.delete(path);
    return null;
  });
  storeByRun.set(path, store);
  return store;
}

// The events are in no order.
/** @param {{ extra?: { store?: string } }[]} events */
function oneStore(events) {
  const known = [...new Set(events.map(({ extra }) => bare(extra?.store)))];
  return known.length === 1 ? known[0] : known.length ? null : "";
}

/** Leave out the runs of other stores, and their questions; `stores` begins with that of the DAGs. @param {Seen} seen @param {HomeState} state @returns {Seen} */
export function ofStore(seen, { store, stores }) {
  const isHere = (/** @type {{ store: string | null }} */ of) => of.store === null || bare(of.store || stores[0]) === bare(store);
  return { ...seen, approvals: seen.approvals && seen.approvals.filter(isHere), runs: seen.runs && seen.runs.filter(isHere), training: seen.training && isHere(seen.training.run) ? seen.training : null };
}

/** @param {any} run @param {string | null} store @param {Run[]} all @param {Map<string, any>} dags @param {Task[]} tasks @param {any[] | null} open @returns {LiveRun} */
function describe(run, store, all, dags, tasks, open) {
  const { dag_id, dag_run_id: run_id, state } = run;
  return {
    dag_id,
    run_id,
    state,
    store,
    since: run.start_date ?? run.queued_at ?? run.run_after,
    started_by: run.triggering_user_name ?? "",
    waits_for: open?.some(({ task_instance: asking }) => asking.dag_id === dag_id && asking.dag_run_id === run_id) ? "an answer" : waitsFor(run, all, dags.get(dag_id), tasks.filter((task) => task.dag_id === dag_id && task.dag_run_id === run_id)),
    url: runPath(dag_id, run_id),
  };
}

/** @param {Run} run @param {Run[]} all @param {{ is_paused: boolean }} dag @param {Task[]} tasks */
function waitsFor(run, all, dag, tasks) {
  if (run.state === "queued") {
    if (dag.is_paused) return "its DAG, which is paused";
    return all.some((other) => other.dag_id === run.dag_id && other.state === "running") ? `the run of ${run.dag_id} before it` : "";
  }
  if (tasks.some((task) => task.state === "running")) return "";
  const waiting = tasks.find((task) => WAITING.includes(task.state) && task.pool !== NO_POOL);
  return waiting ? `a slot of the pool ${waiting.pool}` : "";
}

/** Find the training at work: its run, and since when it trains. @param {LiveRun[]} runs @param {Task[]} tasks */
function training(runs, tasks) {
  const task = tasks.find(({ dag_id, task_id, state, start_date }) => dag_id === "retrain" && task_id === "train" && state === "running" && start_date);
  const run = task && runs.find(({ dag_id, run_id }) => dag_id === task.dag_id && run_id === task.dag_run_id);
  return run && task.start_date ? { run, since: task.start_date } : null;
}
