// Ends the unfinished runs from ingest to learning curve with the person's own permissions, after asking.

import { airflow, send } from "./api.js";
import { by, h, openDialog } from "./dom.js";
import { GOING } from "./last_build.js";
import { moment } from "./text.js";

const CHAIN = ["ingest_videos", "build_dataset", "retrain", "learning_curve"];
const POLL_MS = 1000;
/** All runs have ended after so many looks in a row without one: Airflow starts those that an ended one causes only after a while. */
const NUM_QUIET_LOOKS = 5;

/** Make the dialog. */
export function stopPanel() {
  by("stop-open").addEventListener("click", async () => {
    by("stop-start").disabled = true;
    by("stop-runs").replaceChildren();
    say("Looking for runs …");
    openDialog(by("stop"));
    try {
      const runs = await unfinished();
      by("stop-runs").replaceChildren(...runs.map((run) => line(run, `${run.state} since ${moment(run.start_date ?? run.queued_at ?? run.run_after)}`)));
      by("stop-start").disabled = !runs.length;
      say(runs.length ? "" : "No ingest, build, retrain or learning curve is unfinished.");
    } catch (error) {
      say(problem(error));
    }
  });

  by("stop-start").addEventListener("click", async () => {
    by("stop-start").disabled = true;
    say("Stopping …");
    try {
      const ended = await endAll();
      by("stop-runs").replaceChildren(...ended.map((run) => line(run, "ended")));
      say("Ended.");
    } catch (error) {
      by("stop-start").disabled = false;
      say(problem(error));
    }
  });
}

/** List the unfinished runs, earliest first. @returns {Promise<Run[]>} */
async function unfinished() {
  const asked = { dag_ids: CHAIN, states: GOING, order_by: "run_after" };
  return (await send(airflow("api/v2/dags/~/dagRuns/list"), asked)).dag_runs;
}

/** End them, and those that start meanwhile because an ended one has updated an asset; return all. */
async function endAll() {
  const ended = new Map();
  for (let quiet = 0; quiet < NUM_QUIET_LOOKS; quiet += 1) {
    const runs = (await unfinished()).filter((run) => !ended.has(address(run)));
    for (const run of runs) {
      await end(run);
      ended.set(address(run), run);
    }
    if (runs.length) quiet = 0;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return [...ended.values()];
}

/** @param {Run} run */
async function end(run) {
  try {
    await send(airflow(`api/v2/${address(run, "dagRuns")}`), { state: "failed" }, {}, "PATCH");
  } catch (error) {
    if (error.status === 403) error.message = `you may not end runs of ${run.dag_id}`;
    if (error.status !== 404) throw error; // a run that was deleted has ended, too
  }
}

/** @param {Run} run */
function address({ dag_id, dag_run_id }, kind = "runs") {
  return `dags/${dag_id}/${kind}/${encodeURIComponent(dag_run_id)}`;
}

/** @param {Run} run @param {string} text */
function line(run, text) {
  return h("li", {}, h("span", { class: "item" }, h("a", { href: airflow(address(run)), target: "_top" }, run.dag_id), h("span", { class: "quiet" }, text)));
}

/** @param {string} text */
function say(text) {
  by("stop-progress").textContent = text;
}

/** @param {import("./api.js").Failed} error */
function problem(error) {
  return error.status === 401 ? "You are not logged in to Airflow." : `Airflow says: ${error.message}.`;
}
