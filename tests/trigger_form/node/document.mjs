// As much of a document as the form's scripts ask for, and an Airflow that keeps the runs that it is asked for.

import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const STATIC = fileURLToPath(new URL("../../../tasks/trigger_form/static/", import.meta.url));

class Element extends EventTarget {
  children = [];
  parent = null;
  attributes = {};
  #value = "";
  classes = new Set();

  constructor(name) {
    super();
    this.localName = name;
    this.validity = { badInput: false };
    this.classList = { toggle: (one, isOn) => (isOn ? this.classes.add(one) : this.classes.delete(one)) };
  }

  get value() {
    return this.#value;
  }

  /** A list of choices takes none but its own. */
  set value(value) {
    this.#value = this.localName === "select" && !this.children.some((option) => String(option.value) === value) ? "" : value;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  set textContent(text) {
    this.replaceChildren(text);
  }

  get textContent() {
    return this.children.map((child) => (typeof child === "string" ? child : child.textContent)).join("");
  }

  append(...nodes) {
    for (const node of nodes) {
      if (typeof node !== "string") node.parent = this;
      this.children.push(node);
    }
  }

  replaceChildren(...nodes) {
    this.children = [];
    this.append(...nodes);
  }

  all() {
    return this.children.filter((child) => typeof child !== "string").flatMap((child) => [child, ...child.all()]);
  }

  querySelector(names) {
    return this.all().find((child) => names.split(", ").includes(child.localName)) ?? null;
  }

  closest(name) {
    return this.localName === name ? this : this.parent.closest(name);
  }

  focus() {
    document.activeElement = this;
  }

  enter(text) {
    this.value = text;
    this.dispatchEvent(new Event("input"));
    if (this.parent) this.parent.dispatchEvent(new Event("input"));
  }
}

/** Open the form of an address under an Airflow of these params; returns what a person sees of it. */
export async function openForm({ dag = "retrain", conf = {}, params = {}, details = 200, answer = null } = {}) {
  const ids = {};
  for (const id of ["problem", "title", "about", "fields", "start", "form", "said"]) {
    ids[id] = Object.assign(new Element(id), { id, hidden: false, disabled: id === "start" });
  }
  const asked = [];
  const reply = (status, body) => ({ ok: status < 400, status, statusText: "no", json: async () => body });
  globalThis.document = { createElement: (name) => new Element(name), getElementById: (id) => ids[id], activeElement: null };
  const text = typeof conf === "string" ? conf : JSON.stringify(conf);
  globalThis.location = { pathname: "/here/retake/trigger/", search: `?${new URLSearchParams({ dag, conf: text })}` };
  globalThis.fetch = async (address, options) => {
    if (!options) return reply(details, { params, detail: "not found" });
    asked.push({ address, ...JSON.parse(options.body) });
    return answer ? reply(...answer) : reply(200, { dag_run_id: "manual__2026+00:00" });
  };
  // A copy, because a module runs once for each address.
  const folder = mkdtempSync(path.join(tmpdir(), "form-"));
  cpSync(STATIC, folder, { recursive: true });
  writeFileSync(path.join(folder, "package.json"), '{"type": "module"}');
  await import(pathToFileURL(path.join(folder, "form.js")));
  rmSync(folder, { recursive: true });
  await new Promise(setImmediate);
  const field = (name) => ids.fields.all().find((child) => child.id === `field-${name}`);
  return {
    ...ids,
    asked,
    field,
    section: (name) => field(name).closest("details"),
    back: (name) => field(name).parent.all().find((child) => child.localName === "button"),
    trigger: async () => {
      ids.form.dispatchEvent(new Event("submit", { cancelable: true }));
      await new Promise(setImmediate);
    },
  };
}
