// The page under a server and an Airflow that answer what a test wants.

import { readFileSync } from "node:fs";
import { mock } from "node:test";

import { importAnew } from "../../label/node/anew.mjs";
import { FakeElement, parse } from "../../label/node/dom.mjs";

process.env.TZ = "UTC"; // the page shows the days of its reader's zone
const STATIC = new URL("../../../../tasks/pages/home/static/", import.meta.url);
export const STORE = "s3://retake";
const AT = "2026-11-28T20:00:00Z";
const API = "/here/api/v2/";

export const version = (number, changes = {}) => ({ version: number, at: AT, event: "promoted", reason: "better", num_labelled: 40 * number, num_clips: 15, top1: 40, interval: [11, 75], top1_now: 36, interval_now: [9, 70], report_url: "http://mlflow/report", mlflow_run_url: "", ...changes });

/** Make the server's answer for a store that has everything; a test changes it. */
export function told() {
  const status = {
    store: STORE,
    model_name: "m",
    films: { at: AT, num_videos: 250, num_clips: 20_000, num_new: 0, new_at: "2026-11-28T00:00:00Z", num_set_aside: 1, first_set_aside: [{ name: "<b>bad.mov</b>", reason: "no film" }] },
    labels: { at: AT, num_clips: 20_000, num_labelled: 5000, by_origin: [{ kind: "folder", name: "put meat", num_clips: 4000 }, { kind: "person", name: "anna", num_clips: 1000 }], agreement: "", num_problems: 0, num_statements: 3 },
    dataset: { at: AT, digest: "b".repeat(16), splits: [{ split: "train", num_clips: 3800, num_sources: 9 }, { split: "val", num_clips: 700, num_sources: 3 }], num_unlabelled: 9, change: { before: "a".repeat(16), num_videos_added: 1, num_videos_removed: 0, num_clips_added: 160, num_clips_removed: 0, num_relabelled: 5, num_moved: 0, classes_added: [], classes_removed: [] }, warnings: [], datasets: [] },
    training: { at: AT, run_key: "r", recipe: "auto: a probe", num_train_clips: 3800, estimate: "about 1 h", expected_seconds: 3600, dataset: "b" },
    model: { at: AT, model_name: "m", champion: 2, provisional: true, champion_since: AT, split: "test", weak_classes: [{ name: "put meat", verb: "put", noun: "meat", num_right: 2, num_clips: 12, uids: ["u1"] }], versions: [version(2), version(1, { event: "provisional", top1_now: null, interval_now: null })] },
    predictions: { predictions: [{ at: AT, report_url: "http://mlflow/p", model: "m v2", num_videos: 3, num_clips: 411, unsure_share: 0.31, unlike: "Like the training clips.", is_unlike: false, num_to_label: 24 }] },
    space: { at: AT },
  };
  return { stores: [STORE, "s3://other"], store: STORE, has_docs: true, samples: null, models: ["m"], status, sentence: "Champion v2 names 40 %.", steps: [{ text: "Answer.", url: "/dags/retrain/runs/r" }, { text: "Label.", url: "/retake/label/?store=s3://retake" }, { text: "See.", url: "/retake/#films" }], num_new_labels: 0, num_chosen: 24, folders: [{ name: "videos", num_objects: 9, size_bytes: 3 * 2 ** 30 }], is_quiet: false, disk_free_share: 0.5, is_nearly_full: false, now: "2026-11-28T20:30:00Z", is_empty: false };
}

/** Make Airflow's answers, by the ends of their addresses. */
export function airflow() {
  return {
    "dags": { dags: [{ dag_id: "retrain", is_paused: false, next_dagrun_run_after: "2026-11-28T21:30:00Z" }, { dag_id: "ingest_videos", is_paused: true, next_dagrun_run_after: "2026-11-28T21:00:00Z" }] },
    "dagRuns/list": { dag_runs: [] },
    "taskInstances": { task_instances: [] },
    "hitlDetails": { hitl_details: [] },
    "importErrors": { import_errors: [] },
    "monitor/health": { scheduler: { status: "healthy" } },
  };
}

export const run = (dag_id, dag_run_id, state, changes = {}) => ({ dag_id, dag_run_id, state, conf: {}, run_type: "manual", run_after: "2026-11-28T20:10:00Z", start_date: "2026-11-28T20:10:00Z", triggering_user_name: "anna", ...changes });

export const settled = async () => {
  for (let number = 0; number < 5; number += 1) await new Promise(setImmediate);
};

/** Open the page; `of` has what the server and Airflow say, and may change. */
export async function open(of = {}) {
  const server = { state: told(), airflow: airflow(), status: 200, refused: {}, runState: "running", ...of };
  const document = parse(readFileSync(new URL("home.html", STATIC), "utf8"));
  const asked = [];
  const reply = (status, body) => ({ ok: status < 400, status, json: async () => structuredClone(body) });
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  const addresses = [];
  Object.assign(globalThis, {
    document,
    Element: FakeElement,
    window: { top: null },
    location: { pathname: "/here/retake/", search: of.search ?? "" },
    history: { replaceState: (_, __, address) => addresses.push(address) },
    addEventListener: () => {},
    fetch: async (address, options = {}) => {
      const [path] = address.split("?");
      asked.push({ address, method: options.method ?? "GET", body: options.body && JSON.parse(options.body) });
      if (path === "state") return server.status === 200 ? reply(200, server.state) : reply(server.status, { detail: "the object store does not answer" });
      const [, part] = Object.entries(server.airflow).find(([end]) => path === API + end || path.endsWith(`/${end}`)) ?? [];
      const refusal = Object.entries(server.refused).find(([end]) => path.endsWith(end));
      if (refusal) return reply(refusal[1], { detail: "no" });
      if (part) return reply(200, part);
      const [, dag] = path.match(/dags\/(\w+)\/dagRuns$/) ?? [];
      if (dag) server.airflow["dagRuns/list"].dag_runs.push(run(dag, "manual__1", "queued"));
      return reply(200, { dag_run_id: "manual__1", state: server.runState });
    },
  });
  await importAnew(new URL("home.js", STATIC));
  await settled();
  const by = (id) => document.getElementById(id);
  return {
    document,
    server,
    asked,
    addresses,
    by,
    text: (id) => by(id).textContent,
    links: (id) => by(id).querySelectorAll("a").map((link) => [link.textContent, link.getAttribute("href")]),
    click: async (name) => {
      const named = document.querySelectorAll("button").find((button) => (button.ariaLabel ?? button.textContent) === name && button.isShown);
      named.click();
      await settled();
    },
    wait: async (milliseconds) => {
      mock.timers.tick(milliseconds);
      await settled();
    },
  };
}
