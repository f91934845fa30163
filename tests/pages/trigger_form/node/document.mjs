// The form under an Airflow that keeps the runs that it is asked for.

import { readFileSync } from "node:fs";

import { importAnew } from "../../label/node/anew.mjs";
import { parse } from "../../label/node/dom.mjs";

const STATIC = new URL("../../../../tasks/pages/trigger_form/static/", import.meta.url);

/** Type into a field, as a person does. */
export function enter(field, text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Open the form of an address under an Airflow of these params; returns what a person sees of it. */
export async function openForm({ dag = "retrain", conf = {}, params = {}, details = 200, answer = null, build = [404, {}], state = () => [404, {}] } = {}) {
  const document = parse(readFileSync(new URL("form.html", STATIC), "utf8"));
  const byId = (id) => document.getElementById(id);
  const asked = [];
  const reply = (status, body) => ({ ok: status < 400, status, statusText: "no", json: async () => body });
  globalThis.document = document;
  const text = typeof conf === "string" ? conf : JSON.stringify(conf);
  globalThis.location = { pathname: "/here/retake/trigger/", search: `?${new URLSearchParams({ dag, conf: text })}` };
  globalThis.fetch = async (address, options) => {
    if (address.startsWith("/here/retake/state?")) return reply(...state(new URLSearchParams(address.split("?")[1])));
    if (address === "/here/retake/label/build") return reply(...build);
    if (!options) return reply(details, { params, detail: "not found" });
    asked.push({ address, ...JSON.parse(options.body) });
    return answer ? reply(...answer) : reply(200, { dag_run_id: "manual__2026+00:00" });
  };
  await importAnew(new URL("form.js", STATIC));
  await new Promise(setImmediate);
  const field = (name) => byId(`field-${name}`);
  return {
    ...Object.fromEntries(["problem", "about", "last", "fields", "start", "said"].map((id) => [id, byId(id)])),
    asked,
    field,
    section: (name) => field(name).closest("details"),
    back: (name) => field(name).parentNode.querySelector("button"),
    trigger: async () => {
      byId("form").dispatchEvent(new Event("submit", { cancelable: true }));
      await new Promise(setImmediate);
    },
  };
}
