// The page shows a store and Airflow, and starts and stops runs.

import assert from "node:assert/strict";
import { test } from "node:test";

import { airflow, open, run, STORE, told, version } from "./page.mjs";

const training = () => ({
  ...airflow(),
  "dagRuns/list": { dag_runs: [run("retrain", "r 1", "running"), run("retrain", "r2", "queued", { start_date: null, triggering_user_name: null }), run("elsewhere", "x", "running")] },
  "taskInstances": { task_instances: [{ dag_id: "retrain", dag_run_id: "r 1", task_id: "train", state: "running", pool: "gpu", start_date: "2026-11-28T20:15:00Z" }] },
});

test("the sentence, the first step as a button, and the others beside it", async () => {
  const page = await open();
  assert.equal(page.text("sentence"), "Champion v2 names 40 %.");
  assert.deepEqual(page.links("steps"), [["Answer.", "/here/dags/retrain/runs/r"], ["Label.", "label/?store=s3://retake"], ["See.", "#films"]]);
  assert.ok(page.by("steps").querySelector("a").classList.contains("first") || page.by("steps").querySelector("a").className === "first");
});

test("five boxes with number, age, alarm and links", async () => {
  const page = await open();
  assert.match(page.text("films"), /250 videos.*30 min ago.*1 file set aside.*20,000 clips in the latest ingest/);
  assert.doesNotMatch(page.text("films"), /new/);
  assert.match(page.text("labels"), /25 % of clips.*4,000 by folder · 1,000 by person.*No second reader/);
  assert.match(page.text("dataset"), /4,500 clips.*train 3,800 · val 700.*\+160, 5 relabelled/);
  assert.match(page.text("training"), /0 runs at work.*Last, 30 min ago: auto: a probe.*about 60 min/);
  assert.match(page.text("champion"), /v2 36 % \[9, 70\].*Provisional.*today's clips of test/);
  const [, predict] = page.links("champion").find(([text]) => text.startsWith("Predict"));
  const asked = new URLSearchParams(predict.slice(predict.indexOf("?")));
  assert.deepEqual([asked.get("dag"), JSON.parse(asked.get("conf"))], ["predict_videos", { store: STORE, model: "models:/m@champion" }]);
});

test("labels of the page that no dataset has are an alarm", async () => {
  assert.match((await open({ state: { ...told(), num_new_labels: 8 } })).text("labels"), /8 new labels: build/);
});

test("a champion from before the history is shown without scores, and can be used", async () => {
  const state = told();
  Object.assign(state.status.model, { champion: 3, provisional: false, versions: [version(7, { event: "kept" })] });
  const page = await open({ state });
  assert.match(page.text("champion"), /v3.*decided on before the history began.*Predict.*Load.*Roll back/);
  state.status.model.champion = null;
  assert.match((await open({ state })).text("champion"), /no champion yet/);
});

test("of footage unlike the training clips a prediction does not say how sure the network is", async () => {
  const state = told();
  assert.match((await open({ state })).text("predictions"), /Unsure of 31 %\..*Like the training clips\./);
  Object.assign(state.status.predictions.predictions[0], { is_unlike: true, unlike: "Unlike the training clips." });
  const text = (await open({ state })).text("predictions");
  assert.match(text, /Unlike the training clips\..*Label 24 clips of this prediction/);
  assert.doesNotMatch(text, /Unsure of/);
});

test("roll back proposes the latest champion that saw no forgotten data", async () => {
  const state = told();
  const versions = [version(4), version(3, { saw_forgotten: true }), version(2, { event: "kept" }), version(1, { event: "provisional" })];
  Object.assign(state.status.model, { champion: 4, versions });
  const page = await open({ state });
  await page.click("Roll back");
  assert.match(page.text("dialog-part"), /eval "\$\(\.venv\/bin\/python -m tasks\.local env\)"\s*\.venv\/bin\/python -m tasks rollback .*--to 1 /);
  assert.match(page.text("dialog-part"), /refused if a clean-up removed its training/);
  for (const [length, said] of [[3, /no earlier champion without forgotten data\./], [1, /no earlier champion\./]]) {
    versions.length = length;
    const none = await open({ state });
    await none.click("Roll back");
    assert.match(none.text("dialog-part"), said);
    assert.doesNotMatch(none.text("dialog-part"), /--to/);
  }
});

test("recipe and estimate of the last training are cut in the box, and whole in a panel", async () => {
  const state = told();
  state.status.training.estimate = "a batch of 1 took 152 ms";
  const page = await open({ state });
  assert.doesNotMatch(page.text("training"), /152 ms/);
  await page.click("details");
  assert.match(page.text("dialog-part"), /auto: a probe.*152 ms/);
});

test("a report is opened beside the page, wherever Airflow was when it was written", async () => {
  const state = told();
  state.status.model.versions[0].report_url = "http://old:8080/retake/report/?page=s3://retake/r/report.html";
  const page = await open({ state });
  assert.deepEqual(page.links("champion")[0], ["Champion", "report/?page=s3://retake/r/report.html"]);
});

test("Airflow's facts go to the server, which says what to do next", async () => {
  const question = (state) => ({ subject: "Promote?", created_at: "t", task_instance: { dag_id: "retrain", dag_run_id: "r", task_id: "publish.approve", map_index: -1, state } });
  const page = await open({ airflow: { ...training(), "hitlDetails": { hitl_details: [question("awaiting_input"), question("failed")] } } });
  const [first, last] = page.asked.filter(({ address }) => address.startsWith("state"));
  assert.deepEqual(first.body, {});
  assert.deepEqual(last.body.approvals, [{ subject: "Promote?", since: "t", store: null, url: "/dags/retrain/runs/r/tasks/publish.approve/required_actions?map_index=-1" }]);
  assert.deepEqual(last.body.runs.map(({ run_id, started_by, waits_for }) => [run_id, started_by, waits_for]), [["r 1", "anna", ""], ["r2", "", "the run of retrain before it"]]);
  assert.deepEqual(last.body.scheduled, [{ dag_id: "retrain", at: "2026-11-28T21:30:00Z" }]);
});

test("however much waits, the server is told little enough to read it", async () => {
  const numbers = Array.from({ length: 100 }, (_, number) => `${number}`.padEnd(250, "x"));
  const questions = numbers.map((dag_run_id) => ({ subject: "?".repeat(300), created_at: "t", task_instance: { dag_id: "retrain", dag_run_id, task_id: "approve", map_index: -1, state: "awaiting_input" } }));
  const page = await open({ airflow: { ...airflow(), "dagRuns/list": { dag_runs: numbers.map((id) => run("retrain", id, "running")) }, "hitlDetails": { hitl_details: questions } } });
  assert.ok(JSON.stringify(page.asked.filter(({ address }) => address.startsWith("state")).at(-1).body).length < 65_536);
  assert.match(page.text("training"), /100 runs at work/);
});

test("what a person may not see of Airflow is not known, and the rest is shown", async () => {
  const page = await open({ refused: { dags: 403, hitlDetails: 403, importErrors: 403 } });
  const { body } = page.asked.filter(({ address }) => address.startsWith("state")).at(-1);
  assert.deepEqual([body.approvals, body.runs, body.scheduled, body.import_errors], [null, null, null, null]);
  assert.match(page.text("next"), /does not say/);
  assert.ok(page.by("banner").hidden);
});

test("a training shows its progress, the time left, who started it, and the queue with its reason", async () => {
  const page = await open({ airflow: training() });
  assert.match(page.text("training"), /25 % about 45 min left.*auto: a probe.*started by anna.*retrain: waits for the run of retrain before it/);
});

test("runs of other stores are not shown as those of this one, nor told to the rules", async () => {
  const others = [run("ingest_videos", "i", "running", { conf: { store: "s3://other" } }), run("retrain", "a", "running", { run_type: "asset_triggered" })];
  const change = {
    "dagRuns/list": { dag_runs: [...others, run("retrain", "r", "queued")] },
    "taskInstances": { task_instances: [{ dag_id: "retrain", dag_run_id: "a", task_id: "train", state: "running", pool: "gpu", start_date: "2026-11-28T20:15:00Z" }] },
    "dagRuns/a/upstreamAssetEvents": { asset_events: [{ extra: { store: "s3://other" } }] },
  };
  const page = await open({ airflow: { ...airflow(), ...change } });
  assert.match(page.text("training"), /1 run at work.*retrain: waits for the run of retrain before it/);
  assert.doesNotMatch(page.text("training"), /ingest_videos|25 %/);
  assert.deepEqual(page.asked.filter(({ address }) => address.startsWith("state")).at(-1).body.runs.map(({ run_id }) => run_id), ["r"]);
  page.server.state = { ...told(), store: "s3://other" };
  page.by("store").value = "s3://other";
  page.by("store").dispatchEvent(new Event("change"));
  await page.wait(0);
  assert.match(page.text("training"), /25 %.*ingest_videos: running/);
  assert.equal(page.asked.filter(({ address }) => address.endsWith("upstreamAssetEvents")).length, 1);
});

test("a question of another store's run is asked in that store alone", async () => {
  const question = (dag, id = "r") => ({ subject: `Promote ${dag} ${id}?`, created_at: "t", task_instance: { dag_id: dag, dag_run_id: id, task_id: "approve", map_index: -1, state: "awaiting_input" } });
  const runs = [run("ingest_videos", "r", "running", { conf: { store: "s3://other" } }), run("retrain", "r", "running")];
  const questions = [question("ingest_videos"), question("retrain"), question("retrain", "unknown")];
  const page = await open({ airflow: { ...airflow(), "dagRuns/list": { dag_runs: runs }, "hitlDetails": { hitl_details: questions } } });
  for (const [store, subjects] of [[STORE, ["Promote retrain r?", "Promote retrain unknown?"]], ["s3://other", ["Promote ingest_videos r?", "Promote retrain unknown?"]]]) {
    page.server.state = { ...told(), store };
    page.by("store").value = store;
    page.by("store").dispatchEvent(new Event("change"));
    await page.wait(0);
    assert.deepEqual(page.asked.filter(({ address }) => address.startsWith("state")).at(-1).body.approvals.map(({ subject }) => subject), subjects);
    assert.deepEqual(page.links("next").map(([text]) => text).filter((text) => text.startsWith("Promote")), subjects);
  }
});

test("a store is the same with a slash at its end", async () => {
  const slashed = [run("ingest_videos", "i", "running", { conf: { store: `${STORE}/` } }), run("retrain", "a", "running", { run_type: "asset_triggered" })];
  const events = { "dagRuns/a/upstreamAssetEvents": { asset_events: [{ extra: { store: `${STORE}//` } }, { extra: { store: STORE } }] } };
  const change = { ...airflow(), "dagRuns/list": { dag_runs: slashed }, ...events };
  assert.match((await open({ airflow: change })).text("training"), /2 runs at work/);
  assert.match((await open({ airflow: change, state: { ...told(), stores: [`${STORE}/`], store: `${STORE}/` } })).text("training"), /2 runs at work/);
  assert.match((await open({ airflow: change, state: { ...told(), store: "s3://other" } })).text("training"), /0 runs at work/);
});

test("a run that assets of several stores started is shown in every store, and one without any in that of the DAGs", async () => {
  const events = (...stores) => ({ asset_events: stores.map((store) => ({ extra: { store } })) });
  const runs = ["a", "b", "c"].map((id) => run("retrain", id, "running", { run_type: "asset_triggered" }));
  const change = {
    "dagRuns/list": { dag_runs: runs },
    "dagRuns/a/upstreamAssetEvents": events("s3://other", STORE),
    "dagRuns/b/upstreamAssetEvents": events(STORE, "s3://third"),
    "dagRuns/c/upstreamAssetEvents": events(),
  };
  const shown = async (store) => (await open({ airflow: { ...airflow(), ...change }, state: { ...told(), store } })).text("training").match(/\d+ runs? at work/)[0];
  assert.deepEqual([await shown(STORE), await shown("s3://other"), await shown("s3://fourth")], ["3 runs at work", "2 runs at work", "2 runs at work"]);
});

for (const [cause, change, reason] of [
  ["a paused DAG", { dags: { dags: [{ dag_id: "retrain", is_paused: true, next_dagrun_run_after: null }] }, "dagRuns/list": { dag_runs: [run("retrain", "r", "queued")] } }, /waits for its DAG, which is paused/],
  ["a person", { "dagRuns/list": { dag_runs: [run("retrain", "r", "running")] }, "hitlDetails": { hitl_details: [{ subject: "Promote?", created_at: "t", task_instance: { dag_id: "retrain", dag_run_id: "r", task_id: "a", state: "awaiting_input" } }] } }, /waits for an answer/],
  ["a pool", { "dagRuns/list": { dag_runs: [run("retrain", "r", "running")] }, "taskInstances": { task_instances: [{ dag_id: "retrain", dag_run_id: "r", task_id: "train", state: "scheduled", pool: "gpu", start_date: null }] } }, /a slot of the pool gpu/],
]) {
  test(`a run that waits for ${cause} says so`, async () => {
    const page = await open({ airflow: { ...airflow(), ...change } });
    assert.match(page.text("training"), reason);
  });
}

test("a run is stopped after a question, and who may not is told", async () => {
  const page = await open({ airflow: training() });
  await page.click("Stop …");
  assert.equal(page.asked.filter(({ method }) => method === "PATCH").length, 0);
  page.server.refused = { "dagRuns/r%201": 403 };
  await page.click("Stop the run");
  assert.match(page.text("dialog-part"), /may not end runs of retrain/);
  page.server.refused = {};
  await page.click("Stop the run");
  assert.match(page.text("dialog-part"), /Stopped\./);
  const stopped = page.asked.filter(({ method }) => method === "PATCH");
  assert.deepEqual(stopped.map(({ address, body }) => [address, body]), [["/here/api/v2/dags/retrain/dagRuns/r%201", { state: "failed" }]]);
});

test("a run that has ended while its question was open stays as it ended", async () => {
  const page = await open({ airflow: training() });
  await page.click("Stop …");
  page.server.runState = "success";
  await page.click("Stop the run");
  assert.equal(page.asked.filter(({ method }) => method === "PATCH").length, 0);
  assert.match(page.text("dialog-part"), /had ended before/);
});

test("parts that are not there yet say when they come", async () => {
  const state = told();
  for (const name of ["films", "labels", "dataset", "training", "model", "predictions", "space"]) state.status[name] = null;
  const page = await open({ state: { ...state, models: [] } });
  for (const [id, when] of Object.entries({ films: "ingest", labels: "build", dataset: "build", training: "training", champion: "decision", history: "decision", weak: "decision", predictions: "prediction" })) {
    assert.match(page.text(id), new RegExp(`Appears with the next ${when}`), id);
  }
  assert.ok(page.by("begin").hidden);
});

test("an empty store says how to begin, and runs the samples with one button", async () => {
  const samples = { store: "s3://samples", conf: { store: "s3://samples", sources: ["/samples"] } };
  const page = await open({ state: { ...told(), samples, is_empty: true } });
  assert.ok(!page.by("begin").hidden && page.by("flow").hidden);
  await page.click("Run the samples");
  const started = page.asked.find(({ address, method }) => method === "POST" && address.endsWith("/dags/ingest_videos/dagRuns"));
  assert.deepEqual(started.body, { logical_date: null, conf: samples.conf });
  assert.deepEqual(page.addresses, ["?store=s3%3A%2F%2Fsamples"]);
  assert.match(page.text("said"), /Started/);
  assert.ok(page.by("begin").hidden && !page.by("flow").hidden);
});

test("while the store is down the page says so, keeps what it shows, and goes on", async () => {
  const page = await open();
  page.server.status = 503;
  await page.wait(10_000);
  assert.match(page.text("banner"), /What is shown is not new: the object store does not answer/);
  assert.match(page.text("films"), /250 videos/);
  page.server.status = 200;
  await page.wait(3000);
  assert.ok(page.by("banner").hidden);
});

test("a page that nobody sees asks nothing, and videos and focus stay where nothing is new", async () => {
  const page = await open();
  const film = page.by("weak").querySelector("video");
  await page.wait(10_000);
  assert.equal(page.by("weak").querySelector("video"), film);
  const number = page.asked.length;
  page.document.visibilityState = "hidden";
  await page.wait(60_000);
  assert.equal(page.asked.length, number);
});

test("no new video for long and a nearly full disk are alarms", async () => {
  const state = { ...told(), is_quiet: true, is_nearly_full: true, now: "2026-12-28T00:00:00Z" };
  state.status.films.num_set_aside = 0;
  const page = await open({ state });
  assert.match(page.text("films"), /Nothing new for 30 days/);
  assert.equal(page.by("space").querySelectorAll("p").find((line) => line.classList.contains("alarm")).textContent, "Disk of this Airflow: 50 % free");
});

test("the step about files that were set aside opens their reasons", async () => {
  const page = await open();
  page.by("steps").querySelectorAll("a").at(-1).click();
  assert.match(page.text("dialog-part"), /no film/);
});

test("problems in label files lead to the page that names the files", async () => {
  const state = told();
  state.status.labels.num_problems = 2;
  const page = await open({ state });
  assert.deepEqual(page.links("labels").find(([text]) => text === "where"), ["where", "label/?store=s3%3A%2F%2Fretake#review"]);
});

test("names are text, whatever they hold", async () => {
  const page = await open();
  await page.click("why");
  assert.match(page.text("dialog-part"), /<b>bad.mov<\/b>: no film/);
});

test("the worst classes lead to their clips and to more of them on the page of the chosen store", async () => {
  const state = { ...told(), store: "s3://other" };
  state.status.store = "s3://other";
  const page = await open({ state });
  assert.equal(page.by("weak").querySelector("video").getAttribute("src"), "label/stores/1/clips/u1.mp4");
  assert.deepEqual(page.links("weak"), [["", "label/?store=s3%3A%2F%2Fother#clip=u1"], ["Label more of these", "label/?store=s3%3A%2F%2Fother#name=put%20meat"]]);
});

test("a champion without a weak class is said to have none that is known, whichever clips it was scored on", async () => {
  const state = told();
  state.status.model.weak_classes = [];
  assert.equal((await open({ state })).text("weak"), "No class is known that the champion names wrong.");
});

test("the latest prediction leads to Label for as many of its clips as are left to label", async () => {
  const state = { ...told(), num_chosen: 7 };
  const labels = async () => (await open({ state })).links("predictions").map(([text]) => text).filter((text) => text.startsWith("Label"));
  state.status.predictions.predictions.push(state.status.predictions.predictions[0]);
  assert.deepEqual(await labels(), ["Label 7 clips of this prediction"]);
  state.num_chosen = 0;
  assert.deepEqual(await labels(), []);
});

test("another store or model is asked for, and stays in the address", async () => {
  const page = await open();
  page.by("store").value = "s3://other";
  page.by("store").dispatchEvent(new Event("change"));
  await page.wait(0);
  assert.deepEqual(page.addresses, ["?store=s3%3A%2F%2Fother"]);
  assert.ok(page.asked.some(({ address }) => address === "state?store=s3%3A%2F%2Fother"));
});

test("the history is a chart, and a table with the reasons", async () => {
  const page = await open();
  const chart = page.by("history").querySelector("svg");
  assert.match(chart.textContent, /\+40.*v2/);
  assert.equal(chart.querySelectorAll("circle").length, 3);
  await page.click("Table");
  assert.match(page.text("dialog-part"), /v228 Nov40 % \[11, 75\]36 % \[9, 70\]1580promotedbetter/);
});

test("a rollback is the latest in the history, and counts no labels", async () => {
  const state = told();
  const back = version(1, { event: "champion again", at: "2026-11-29T20:00:00Z", reason: "Rolled back from v2: worse" });
  const decided = version(3, { num_labelled: 100, at: "2026-11-30T20:00:00Z" });
  state.status.model.versions = [back, ...state.status.model.versions];
  const page = await open({ state });
  assert.match(page.text("history"), /\+40.*v2 · 28 Nov.*v1 · 29 Novchampion again.*v1: Rolled back from v2: worse/);
  assert.ok(!page.text("history").includes("−"));
  state.status.model.versions = [decided, ...state.status.model.versions];
  assert.match((await open({ state })).text("history"), /v1 · 29 Nov.*\+20v3/);
});

test("an answer about the store that was chosen before comes too late", async () => {
  const page = await open();
  const other = { ...told(), store: "s3://other", sentence: "The other store." };
  const answer = globalThis.fetch;
  let late = () => {};
  globalThis.fetch = async (address, options) => {
    if (address === "state?") await new Promise((resolve) => { late = resolve; });
    return answer(address, options);
  };
  await page.wait(10_000);
  page.server.state = other;
  page.by("store").value = "s3://other";
  page.by("store").dispatchEvent(new Event("change"));
  await page.wait(0);
  page.server.state = told();
  late();
  await page.wait(0);
  assert.equal(page.text("sentence"), "The other store.");
});
