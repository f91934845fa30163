import assert from "node:assert/strict";
import test, { beforeEach } from "node:test";

import { fakePage, fakeServer } from "./fakes.mjs";

const document = fakePage();
const { asked: chosen } = await import("../../../../tasks/pages/label/static/api.js");
const { clipsAfter } = await import("../../../../tasks/pages/label/static/ahead.js");
const { filters } = await import("../../../../tasks/pages/label/static/filters.js");
const { lastBuild } = await import("../../../../tasks/pages/label/static/last_build.js");
const { currentName, learn, refresh, session } = await import("../../../../tasks/pages/label/static/session.js");
const { labelText, noSuggestionText, spokenText } = await import("../../../../tasks/pages/label/static/clip_parts.js");
const { answerName, clock, count, moment, percent } = await import("../../../../tasks/pages/label/static/text.js");

const STATE = { me: "anna", may_write: true, ready: true, second_share: 0.1, store: "s3://retake", build: {}, cut: "", cuts: [], counts: {}, videos: [], frequent: [] };
let server;

beforeEach(() => {
  Object.assign(session, { quickActions: [], merges: [], verbs: [], nouns: [] });
  chosen.cut = "";
  for (const [id, value] of [["filter-show", "unlabelled"], ["filter-video", ""], ["filter-name", ""]]) document.getElementById(id).value = value;
});

async function read(classes, frequent = []) {
  server = fakeServer((path) => [200, path === "classes" ? { verbs: [], nouns: [], merges: [], ...classes } : { ...STATE, frequent }]);
  await refresh();
}

const merge = (name, same_as, target = "verb") => ({ target, name, same_as });

test("a name is followed through all its merges, the latest first, and a circle ends", async () => {
  await read({ merges: [merge("grab", "hold"), merge("hold", "take"), merge("bag", "sack", "noun"), merge("a", "b"), merge("b", "a")] });
  assert.deepEqual(["grab", "hold", "take", "bag"].map((name) => currentName("verb", name)), ["take", "take", "take", "bag"]);
  assert.ok(["a", "b"].includes(currentName("verb", "a")));
});

test("clips of merged names are counted together, and no object is no noun", async () => {
  const named = (name, num_clips) => ({ name, num_clips });
  await read({ verbs: [named("grab", 1), named("put", 2), named("hold", 2)], nouns: [named("(none)", 5), named("bag", 1)], merges: [merge("grab", "hold")] });
  assert.deepEqual(session.verbs, [named("hold", 3), named("put", 2)]);
  assert.deepEqual(session.nouns, [named("bag", 1)]);
});

test("a digit keeps its action while the page is open, and there are nine", async () => {
  const action = (number) => ({ verb: `verb${number}`, noun: "x" });
  await read({}, [action(1), action(2)]);
  learn("verb3", "x");
  await read({}, [action(2), ...Array.from({ length: 20 }, (_, number) => action(number + 3))]);
  assert.deepEqual(session.quickActions.map(({ verb }) => verb), Array.from({ length: 9 }, (_, number) => `verb${number + 1}`));
});

test("a new word is known before the server is asked again", () => {
  learn("nudge", "(none)");
  learn("nudge", "pan");
  assert.deepEqual([session.verbs, session.nouns], [[{ name: "nudge", num_clips: 2 }], [{ name: "pan", num_clips: 1 }]]);
});

test("while the clips are being read, nothing else is asked for", async () => {
  server = fakeServer(() => [200, { ...STATE, ready: false, is_empty: true }]);
  await refresh();
  assert.deepEqual([server.length, session.ready, session.isEmpty, session.me], [1, false, true, "anna"]);
});

const clip = (uid, answer = null) => ({ uid, answer, label: null });
const queryOf = ({ path }) => Object.fromEntries(new URLSearchParams(path.split("?")[1]));

test("the list to label is asked for without the clips that the page has or has just answered", async () => {
  server = fakeServer(() => [200, { clips: [clip("b"), clip("z")] }]);
  const list = [clip("a", "nothing"), clip("b"), ...Array.from({ length: 25 }, (_, number) => clip(`c${number}`, "unsure"))];
  assert.deepEqual((await clipsAfter(list, ["u"])).map(({ uid }) => uid), ["z"]);
  const { skip, show, after } = queryOf(server[0]);
  assert.deepEqual([skip.split(",").slice(0, 3), skip.includes("a,"), show, after], [["u", "b", "c5"], false, "unlabelled", undefined]);
});

test("no address is too long, however many clips were left for later", async () => {
  server = fakeServer(() => [200, { clips: [] }]);
  await clipsAfter(Array.from({ length: 500 }, (_, number) => clip(`c${number}`)), []);
  assert.equal(queryOf(server[0]).skip.split(",").length, 150);
});

test("another list goes on behind its last clip, of the cut that is chosen", async () => {
  server = fakeServer(() => [200, { clips: [] }]);
  chosen.cut = "longer";
  document.getElementById("filter-show").value = "all";
  document.getElementById("filter-name").value = " put ";
  await clipsAfter([clip("a"), clip("b", "nothing")], ["u"]);
  assert.deepEqual(queryOf(server[0]), { show: "all", name: "put", after: "b", limit: "20", cut: "longer" });
  assert.equal(filters.isDefault(), false);
});

const PARAMS = { store: { value: "s3://retake" }, val_share: {}, cut: {}, clip_seconds: {}, then: {} };
const BY_HAND = { val_share: 0.4, cut: "both", then: { head: "probe", epochs: 7 } };

async function last(runs, store = "s3://retake") {
  const events = [{ extra: { store: "s3://old" } }, { extra: { store, params: { val_share: 0.4, cut: "both", head: "probe", epochs: 7 } } }];
  server = fakeServer((path) => [200, path.includes("upstreamAssetEvents") ? { asset_events: events } : path.endsWith("details") ? { params: PARAMS } : { dag_runs: runs }]);
  return lastBuild(store);
}

for (const [run_type, conf] of [["manual", { store: "s3://mine", ...BY_HAND }], ["asset_triggered", {}]]) {
  test(`the last build of this store that was ${run_type} has its options, and those of the training in “then”`, async () => {
    const runs = [
      { dag_run_id: "other", run_type: "manual", conf: { store: "s3://another", val_share: 0.1 } },
      { dag_run_id: "last", run_type, conf },
      { dag_run_id: "older", run_type: "manual", conf: { store: "s3://mine", val_share: 0.2 } },
    ];
    assert.deepEqual(await last(runs, "s3://mine"), { run: "last", options: { store: "s3://mine", ...BY_HAND } });
    assert.ok(server.every(({ path }) => path.startsWith("/api/v2/dags/build_dataset/")));
  });
}

test("a run by hand without a store is one of the default store, and a store without a build has none", async () => {
  const runs = [{ dag_run_id: "r", run_type: "manual", conf: { val_share: 0.3 } }];
  assert.deepEqual(await last(runs), { run: "r", options: { store: "s3://retake", val_share: 0.3 } });
  assert.equal(await last(runs, "s3://mine"), null);
});

const SHOWN = { name: "a.mp4", start_seconds: 62.5, reading: "first", label: null, answer: null, suggestions: [{ verb: "put", noun: "meat", probability: 0.904 }] };

for (const [changes, isBlind, said] of [
  [{}, false, "Suggested: put meat, 90 %."],
  [{}, true, "No suggestion."],
  [{ suggestions: [] }, false, "No suggestion."],
  [{ reading: "second", suggestions: [] }, false, "Second reading. No suggestion."],
  [{ answer: "unsure" }, false, "Answer: unsure."],
  [{ answer: "action", label: { verb: "nothing", noun: "(none)", origin: "ben" } }, true, "Answer: nothing happens (by ben)."],
  [{ label: { verb: "wave", noun: "(none)", origin: "" } }, false, "Answer: wave."],
]) {
  test(`a screen reader says “${said}”`, () => assert.equal(spokenText({ ...SHOWN, ...changes }, isBlind), `a.mp4 1:02.50. ${said}`));
}

test("people are told why there is no suggestion, and who answered", () => {
  assert.match(noSuggestionText(SHOWN, true), /Blind/);
  assert.match(noSuggestionText({ ...SHOWN, reading: "second" }, false), /say what you see/);
  assert.match(noSuggestionText({ ...SHOWN, is_measured: true }, false), /val or test/);
  assert.match(noSuggestionText(undefined, false), /predict_videos/);
  assert.equal(labelText({ label: { verb: "put", noun: "meat", origin: "anna" } }), "put meat (by anna)");
});

test("values are written for people", () => {
  assert.deepEqual([clock(0), clock(59.999), clock(3661.5), clock(62, 0)], ["0:00.00", "1:00.00", "1:01:01.50", "1:02"]);
  assert.deepEqual([percent(0.376), count(1, "clip"), count(1200, "clip")], ["38 %", "1 clip", "1,200 clips"]);
  assert.match(moment("2026-11-30T23:25:00Z"), /:[0-9]{2}(\s[AP]M)?\s(?![AP]M)\S+$/, "with its zone");
  assert.deepEqual([answerName("action", "put", ""), answerName("unsure"), answerName("nothing")], ["put", "unsure", "nothing happens"]);
});
