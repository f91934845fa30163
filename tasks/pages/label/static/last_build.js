// Finds the options of the last build, so that the next dataset is built, and trained on, in the same way; and the training that follows.

import { airflow, get } from "./api.js";

const DAG = airflow("api/v2/dags/build_dataset");
const NUM_READ = 20;

/** States of a run that has not ended. */
export const GOING = ["queued", "running"];

/** Return the address of a run's page, or of the list of a DAG's runs. @param {string} dag @param {string | null} [id] */
export function runPage(dag, id) {
  return airflow(`dags/${dag}/runs${id ? `/${encodeURIComponent(id)}` : ""}`);
}

/** Find the run of retrain that is going on, of those `since` a time; null if there is none, or if Airflow does not say. @param {string | null} [since] */
export async function goingRetrain(since = null) {
  const { dag_runs } = await get(airflow("api/v2/dags/retrain/dagRuns"), { order_by: "-run_after", limit: 1 }).catch(() => ({ dag_runs: [] }));
  return dag_runs.find((/** @type {Run} */ { state, run_after }) => GOING.includes(state) && (!since || Date.parse(run_after) >= Date.parse(since)))?.dag_run_id ?? null;
}

/** Find the last build of a store that succeeded: the id of its run, and its options as the form of build_dataset has them. @param {string | undefined} store */
export async function lastBuild(store) {
  const [{ dag_runs }, { params }] = await Promise.all([
    get(`${DAG}/dagRuns`, { order_by: "-run_after", state: "success", limit: NUM_READ }),
    get(`${DAG}/details`),
  ]);
  for (const run of dag_runs) {
    const options = run.run_type === "asset_triggered" ? await handedOn(run, params) : { store: params.store.value, ...run.conf };
    if (options.store === store) return { run: run.dag_run_id, options };
  }
  return null;
}

/** Read the options that an ingest handed on; those that are not in the form belong to the runs that follow. @param {Run} run @param {object} params */
async function handedOn(run, params) {
  const { asset_events } = await get(`${DAG}/dagRuns/${encodeURIComponent(run.dag_run_id)}/upstreamAssetEvents`);
  const event = asset_events.at(-1)?.extra ?? {};
  /** @type {BuildOptions} */
  const options = { store: event.store };
  /** @type {Record<string, unknown>} */
  const then = {};
  for (const [name, value] of Object.entries(event.params ?? {})) (name in params ? options : then)[name] = value;
  return Object.keys(then).length ? { ...options, then } : options;
}
