import assert from "node:assert/strict";
import { test } from "node:test";

import { enter, openForm } from "./document.mjs";

const param = (value, schema, more = {}) => ({ value, schema, description: null, ...more });
const PARAMS = {
  rate: param(0.1, { type: "number", title: "Learning rate" }),
  epochs: param(8, { type: "integer" }),
  head: param("linear", { enum: ["linear", "tcn", null], title: "Head" }),
  mirror: param(true, { type: "boolean" }),
  store: param("s3://retake", { type: "string", hidden: { dropout: param(0, { type: "number", title: "Dropout" }) } }),
  dataset: param(null, { type: ["null", "string"] }),
  fuse: param([], { type: "array", items: { type: "string" } }),
  sizes: param([1], { type: "array", items: { type: "number" } }),
  extra: param(null, { type: ["null", "object"], section: "Optimizer" }),
};
const open = (options) => openForm({ params: PARAMS, ...options });

test("values of every kind come from the address, and only those that differ from the defaults are started", async () => {
  const conf = { rate: 0.003, head: null, mirror: false, dataset: "d", fuse: ["runs/a/", "runs/b/"], sizes: [2, 3], extra: { a: 1 }, epochs: 8 };
  const form = await open({ conf });
  assert.equal(form.field("rate").value, "0.003");
  assert.equal(form.field("fuse").value, "runs/a/\nruns/b/");
  assert.equal(form.field("sizes").value, "[2,3]");
  assert.equal(form.field("mirror").checked, false);
  assert.match(form.about.textContent, /^7 options differ from their defaults; they are marked/);
  await form.trigger();
  const { epochs, ...changed } = conf;
  assert.deepEqual(form.asked, [{ address: "/here/api/v2/dags/retrain/dagRuns", logical_date: null, conf: changed }]);
  const [link] = form.said.children;
  assert.equal(link.href, "/here/dags/retrain/runs/manual__2026%2B00%3A00");
});

test("an option that Airflow's form leaves out is shown if the address names it", async () => {
  const form = await open({ conf: { dropout: 0.2 } });
  assert.match(form.about.textContent, /^1 option differs from its default; it is marked/);
  assert.equal(form.section("dropout").children[0].textContent, "From the link 1");
  await form.trigger();
  assert.deepEqual(form.asked[0].conf, { dropout: 0.2 });
  assert.equal((await open()).field("dropout"), null);
});

test("a form of defaults alone says so", async () => {
  assert.equal((await open({ conf: {} })).about.textContent, "All 9 options have their defaults.");
});

test("what may be typed is suggested, each value with its words", async () => {
  const form = await openForm({ params: { backbone: param("auto", { type: "string", examples: ["auto", "x"], values_display: { x: "<b>" } }) } });
  const list = form.field("backbone").parentNode.querySelector("datalist");
  assert.equal(form.field("backbone").getAttribute("list"), list.id);
  assert.deepEqual(list.children.map((option) => [option.value, option.textContent]), [["auto", ""], ["x", "<b>"]]);
});

test("what is typed is read by its kind", async () => {
  const form = await open();
  const typed = { rate: "", epochs: "3", store: "", dataset: "", fuse: " a \n\n b", sizes: "", extra: '{"a": [1]}', head: "1" };
  for (const [name, text] of Object.entries(typed)) enter(form.field(name), text);
  await form.trigger();
  assert.deepEqual(form.asked[0].conf, { rate: null, epochs: 3, store: "", fuse: ["a", "b"], sizes: null, extra: { a: [1] }, head: "tcn" });
});

test("a value goes back to its default, and is marked until then", async () => {
  const form = await open({ conf: { rate: 0.003, head: "tcn" } });
  const field = form.field("rate").parentNode;
  assert.ok(field.classList.contains("given"));
  assert.equal(form.back("rate").textContent, "Default: 0.1");
  assert.equal(form.back("dataset").textContent, "Default: empty");
  assert.equal(form.back("fuse").textContent, "Default: empty");
  form.back("rate").dispatchEvent(new Event("click"));
  assert.ok(!field.classList.contains("given"));
  assert.ok(form.back("rate").parentNode.hidden);
  assert.equal(document.activeElement, form.field("rate"));
  await form.trigger();
  assert.deepEqual(form.asked[0].conf, { head: "tcn" });
});

test("fields of the address come first, and the most used are open beside them", async () => {
  const given = await open({ conf: { rate: 1, epochs: 2 } });
  const sections = () => given.fields.children.map((section) => [section.children[0].textContent, section.open]);
  assert.deepEqual(sections(), [["From the link 2", true], ["Most used 6", true], ["Optimizer 1", false]]);
  const plain = await open();
  assert.equal(plain.section("rate").open, true);
  assert.equal(plain.section("extra").open, false);
});

const LAST = { store: "s3://retake", last_recipe: "auto: a probe", last_estimate: "to fit: 55 clips, about 40 s" };
const TRAINED = { status: { model_name: "m", training: { recipe: "a whole network", estimate: "about 2 h" } } };
for (const [options, told] of [
  [{ state: () => [200, TRAINED] }, "The last training here had a whole network (about 2 h)."],
  [{ dag: "ingest_videos", state: () => [200, TRAINED] }, "New clips lead to a training; the last one had a whole network (about 2 h)."],
  [{ dag: "predict_videos", state: () => [200, TRAINED] }, ""],
  [{ build: [200, LAST] }, "The last training here had auto: a probe (to fit: 55 clips, about 40 s)."],
  [{ build: [200, { ...LAST, last_estimate: "" }] }, "The last training here had auto: a probe."],
  [{ build: [200, { ...LAST, store: "s3://other" }] }, ""],
  [{ build: [200, { ...LAST, last_recipe: "" }] }, ""],
  [{ build: [503, {}] }, ""],
]) {
  test(`before its button the form says what a training takes: ${told || JSON.stringify(options)}`, async () => {
    const form = await open(options);
    assert.deepEqual([form.last.textContent, form.start.disabled], [told, false]);
  });
}

test("the recipe is that of the store and the model in the form", async () => {
  const asked = [];
  const state = (query) => {
    asked.push([query.get("store"), query.get("model")]);
    return [200, TRAINED];
  };
  const form = await openForm({ params: { ...PARAMS, model_name: param("m", { type: "string" }) }, state });
  enter(form.field("model_name"), "new");
  form.field("model_name").dispatchEvent(new Event("change"));
  await new Promise(setImmediate);
  assert.deepEqual(asked, [["s3://retake", "m"], ["s3://retake", "new"]]);
  assert.equal(form.last.textContent, "");
});

for (const [conf, told] of [
  [{ nonsense: 1, head: "tcn" }, "retrain has no such option: nonsense. It is left out."],
  [{ fuse: 3 }, "fuse (fuse) takes a list, not 3. It is left out."],
  [{ fuse: ["a", {}], constructor: 1 }, 'fuse (fuse) takes a list, not ["a",{}]. It is left out.\nretrain has no such option: constructor. It is left out.'],
  [{ rate: "fast" }, 'Learning rate (rate) takes a number, not "fast". It is left out.'],
  [{ mirror: "false" }, 'mirror (mirror) takes true or false, not "false". It is left out.'],
  [{ extra: [], rate: 3 }, "extra (extra) takes null or a JSON object, not []. It is left out."],
  [{ head: ["tcn"] }, 'Head (head) takes one of its values, not ["tcn"]. It is left out.'],
  ["[1]", "conf in the address is not a JSON object."],
  ["null", "conf in the address is not a JSON object."],
  ["{", "conf in the address is not a JSON object."],
]) {
  test(`what cannot be filled in is named: ${JSON.stringify(conf)}`, async () => {
    const form = await open({ conf });
    assert.equal(form.problem.textContent, told);
    assert.equal(form.problem.hidden, false);
    assert.equal(form.start.disabled, typeof conf === "string");
  });
}

for (const [name, conf, spoil, told] of [
  ["a choice that no longer exists", { head: "transformer" }, () => {}, "Head: choose one of its values"],
  ["text that is no number", {}, (form) => { form.field("rate").validity.badInput = true; }, "Learning rate: is not a number"],
  ["text that is no JSON", {}, (form) => enter(form.field("extra"), "{"), /^extra: .*JSON/],
]) {
  test(`${name} starts nothing, and its field is shown`, async () => {
    const form = await open({ conf });
    spoil(form);
    form.fields.children.forEach((section) => { section.open = false; });
    await form.trigger();
    assert.match(form.problem.textContent, told instanceof RegExp ? told : new RegExp(`^${told}$`));
    assert.equal(document.activeElement.closest("details").open, true);
    assert.deepEqual([form.asked, form.start.disabled, form.said.textContent], [[], false, ""]);
  });
}

for (const [status, detail, told] of [
  [400, "learning_rate: must be above 0", "learning_rate: must be above 0"],
  [422, [{ loc: 1 }], '[{"loc":1}]'],
  [401, "", "You are not logged in. Log in to Airflow, and open this address again."],
  [403, "no", "You may not trigger retrain."],
  [403, "Invalid JWT token", "You are not logged in. Log in to Airflow, and open this address again."],
]) {
  test(`Airflow's refusal ${status} is shown, and the form stays`, async () => {
    const form = await open({ answer: [status, { detail }] });
    await form.trigger();
    assert.deepEqual([form.problem.textContent, form.start.disabled], [told, false]);
  });
}

test("an unknown DAG is named", async () => {
  const form = await openForm({ dag: "x", details: 404 });
  assert.deepEqual([form.problem.textContent, form.about.textContent], ["Airflow has no DAG x.", ""]);
  assert.equal(form.start.disabled, true);
});
