// Shows the form of a DAG with the values of the address, and starts the run by Airflow's API.

import { element, makeField, misfit } from "./fields.js";

/** @typedef {import("./fields.js").Field} Field */
/** @typedef {Record<string, unknown>} Values */

/** Airflow's words, with the status of what a person may not do, for a session that it signed with an earlier key. */
const NO_SESSION = "Invalid JWT token";

const asked = new URLSearchParams(location.search);
const dag = asked.get("dag") ?? "";
const root = location.pathname.slice(0, location.pathname.indexOf("/retake/trigger"));
const api = `${root}/api/v2/dags/${encodeURIComponent(dag)}`;
const byId = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const startButton = /** @type {HTMLButtonElement} */ (byId("start"));

/** @param {string} text */
function complain(text) {
  byId("problem").textContent = text;
  byId("problem").hidden = !text;
}

/** @param {Response} answer */
async function reasonOf(answer) {
  const detail = (await answer.json().catch(() => ({}))).detail;
  if (answer.status === 401 || detail === NO_SESSION) return "You are not logged in. Log in to Airflow, and open this address again.";
  if (answer.status === 403) return `You may not trigger ${dag}.`;
  if (answer.status === 404) return `Airflow has no DAG ${dag}.`;
  return typeof detail === "string" ? detail : JSON.stringify(detail ?? answer.statusText);
}

/** @returns {Values} */
function valuesOfAddress() {
  let values = null;
  try { values = JSON.parse(asked.get("conf") || "{}"); } catch { /* named below */ }
  if (values === null || typeof values !== "object" || Array.isArray(values)) throw new Error("conf in the address is not a JSON object.");
  return values;
}

// Values from the address come first, then the fields that the DAG shows first, then its sections.
/** @param {Field[]} fields @param {Values} given */
function show(fields, given) {
  /** @type {Map<string, Field[]>} */
  const sections = new Map([["From the link", []], ["Most used", []]]);
  for (const field of fields) {
    const section = field.name in given ? "From the link" : field.section ?? "Most used";
    sections.set(section, [...(sections.get(section) ?? []), field]);
  }
  for (const [name, inside] of sections) {
    if (!inside.length) continue;
    const summary = element("summary", {}, name, element("span", { className: "quiet", textContent: ` ${inside.length}` }));
    const open = name === "From the link" || name === "Most used";
    byId("fields").append(element("details", { open }, summary, ...inside.map((field) => field.field)));
  }
}

/** @param {Field[]} fields */
function confOf(fields) {
  /** @type {Values} */
  const conf = {};
  for (const field of fields) {
    try {
      if (field.isChanged()) conf[field.name] = field.read();
    } catch (error) {
      field.field.closest("details")?.setAttribute("open", "");
      field.input.focus();
      throw new Error(`${field.title}: ${error.message}`, { cause: error });
    }
  }
  return conf;
}

/** @param {Field[]} fields */
async function start(fields) {
  const conf = confOf(fields);
  const answer = await fetch(`${api}/dagRuns`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ logical_date: null, conf }),
  });
  if (!answer.ok) throw new Error(await reasonOf(answer));
  const run = (await answer.json()).dag_run_id;
  const href = `${root}/dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`;
  byId("said").replaceChildren("Started: ", element("a", { href, target: "_top", textContent: run }));
}

const TRAINS = new Map([["retrain", "The last training here had"], ["build_dataset", "A new dataset is trained on; the last training had"], ["ingest_videos", "New clips lead to a training; the last one had"]]);

// The page Retake knows the last training of a store and a model, the page Label that of its first store; the form is of use without them, too.
/** @param {Field[]} fields */
async function tellLastTraining(fields) {
  const [store, model] = ["store", "model_name"].map((name) => fields.find((field) => field.name === name)?.input.value ?? "");
  const known = await fetch(`${root}/retake/state?${new URLSearchParams({ store, model })}`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  const status = known.ok ? (await known.json()).status : null;
  let told = model && status?.model_name !== model ? null : status?.training;
  if (!told) {
    const answer = await fetch(`${root}/retake/label/build`);
    const build = answer.ok ? await answer.json() : {};
    told = build.store === store && build.last_recipe ? { recipe: build.last_recipe, estimate: build.last_estimate } : null;
  }
  byId("last").textContent = told ? `${TRAINS.get(dag)} ${told.recipe}${told.estimate && ` (${told.estimate})`}.` : "";
}

async function main() {
  document.title = `Trigger ${dag}`;
  byId("title").textContent = `Trigger ${dag}`;
  const given = valuesOfAddress();
  const answer = await fetch(`${api}/details`);
  if (!answer.ok) throw new Error(await reasonOf(answer));
  /** @type {Record<string, import("./fields.js").Param>} */
  const shown = (await answer.json()).params;
  // Options that Airflow's own form leaves out are shown here if the address names them.
  const hidden = Object.entries(shown.store?.schema.hidden ?? {}).filter(([name]) => Object.hasOwn(given, name));
  const params = { ...shown, ...Object.fromEntries(hidden) };
  const problems = Object.entries(given).flatMap(([name, value]) => {
    const why = Object.hasOwn(params, name) ? misfit(name, params[name], value) : `${dag} has no such option: ${name}.`;
    if (why) delete given[name];
    return why ? [`${why} It is left out.`] : [];
  });
  complain(problems.join("\n"));
  const fields = Object.entries(params).map(([name, param]) => makeField(name, param, given[name]));
  show(fields, given);
  const number = fields.filter((field) => field.isChanged()).length;
  const differ = number === 1 ? "option differs from its default; it is" : "options differ from their defaults; they are";
  byId("about").textContent = number ? `${number} ${differ} marked.` : `All ${fields.length} options have their defaults.`;
  startButton.disabled = false;
  if (TRAINS.has(dag)) {
    const tell = () => tellLastTraining(fields).catch(() => {});
    for (const { name, input } of fields) if (name === "store" || name === "model_name") input.addEventListener("change", tell);
    tell();
  }
  byId("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    startButton.disabled = true;
    complain("");
    byId("said").textContent = "Starting …";
    try {
      await start(fields);
    } catch (error) {
      byId("said").textContent = "";
      complain(error.message);
      startButton.disabled = false;
    }
  });
}

main().catch((error) => {
  byId("about").textContent = "";
  complain(error.message);
});
