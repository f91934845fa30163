import assert from "node:assert/strict";
import test, { mock } from "node:test";

import { settled } from "./fakes.mjs";
import { VIDEO, Visitor, clip, conflictOf, videoOf } from "./page.mjs";

const words = ({ answer, verb = null, noun = null }) => [answer, verb, noun];
const HOLD_MS = 400;

test("the first clip is shown, and one key answers it and goes on", async () => {
  const page = await Visitor.open();
  assert.equal(page.text("clip-caption"), "a.mp4 0:00.00–0:01.00");
  assert.deepEqual(page.texts("#suggestions .word"), ["put meat", "take bag"]);
  assert.equal(page.by("cuts").hidden, true);
  await page.press("Enter");
  assert.equal(page.text("clip-caption"), "a.mp4 0:01.00–0:02.00");
  assert.equal(page.text("status"), "Saved: put meat; 1 of 120 done.");
  const suggested = { verb: "put", noun: "meat", probability: 0.9, shown: true };
  assert.deepEqual(page.said, [{ kind: "clip", uid: "clip0", answer: "action", verb: "put", noun: "meat", reading: "first", suggested }]);
});

test("an address asks for the clips of a name", async () => {
  const page = await Visitor.open({}, "#name=put%20meat");
  await page.wait(400);
  assert.deepEqual([page.by("filter-name").value, page.query("queue").name], ["put meat", "put meat"]);
  assert.equal(page.text("clip-caption"), "a.mp4 0:00.00–0:01.00");
});

test("an address asks for the clips that a filter shows, and for no others", async () => {
  const page = await Visitor.open({}, "#show=suspicious");
  assert.equal(page.by("filter-show").value, "suspicious");
  const shown = page.asked.filter(({ path }) => path.startsWith("queue")).map(({ path }) => new URLSearchParams(path.slice(6)).get("show"));
  assert.deepEqual([...new Set(shown)], ["suspicious"]);
  assert.equal(page.text("clip-caption"), "a.mp4 0:00.00–0:01.00");
});

test("an address opens its clip, whose label is changed, and the others come after it", async () => {
  const page = await Visitor.open({ clips: { 77: { label: { verb: "put", noun: "meat", origin: "a.csv:3" } } } }, "#clip=clip77");
  assert.deepEqual([page.text("clip-caption"), page.text("clip-label")], ["a.mp4 1:17.00–1:18.00", "Answer: put meat (by a.csv:3)Enter keeps it"]);
  await page.press("Shift+2", "Enter");
  assert.deepEqual(page.said.map(({ uid, verb }) => [uid, verb]), [["clip77", "take"], ["clip0", "put"]]);
});

test("the address of a clip that is not on the page leads to its video and its time, or says that there is none", async () => {
  const page = await Visitor.open({ videos: { [VIDEO]: videoOf() } }, `#clip=${VIDEO.slice(0, 12)}_000003500-000011500`);
  assert.deepEqual([location.hash, page.text("interval-time")], [`#video=${VIDEO}&at=3.5`, "0:03.50 of 0:40.00"]);
  const other = await Visitor.open({}, "#clip=<b>");
  assert.match(other.text("status"), /^The clip of this address could not be read: there is no such clip\./);
  assert.equal(other.text("clip-caption"), "a.mp4 0:00.00–0:01.00");
});

test("a clip that an interval labels meanwhile is not asked for", async () => {
  const page = await Visitor.open();
  await page.press("Enter", "PageDown");
  await page.click("to-review");
  for (const number of [2, 4]) page.server.clips[number].isCovered = true;
  await page.click("to-clips");
  const captions = [];
  for (let number = 0; number < 3; number += 1) {
    captions.push(page.text("clip-caption").slice(6));
    await page.press("PageDown");
  }
  assert.deepEqual(captions, ["0:03.00–0:04.00", "0:05.00–0:06.00", "0:06.00–0:07.00"]);
});

test("an answer and an interval that differ are shown at once, and one of them is taken", async () => {
  const page = await Visitor.open({ conflicts: [conflictOf(0)] });
  await page.press("Enter");
  assert.match(page.text("status"), /done\. 1 clip now has two labels: choose one\.$/);
  assert.match(page.text("clip-conflicts"), /0:00\.00–0:01\.00 has two labels: put meat by anna for the clip, take bag by ben for an interval over it\. Now the clip's counts/);
  await page.click("Take “take bag” for 0:00.00");
  assert.deepEqual(page.said[1], { kind: "clip", uid: "clip0", answer: "action", verb: "take", noun: "bag", reading: "first", over: "token-9" });
  assert.equal(page.text("clip-conflicts"), "");
});

async function openConflict(changes = {}) {
  const page = await Visitor.open({ clips: { 0: changes }, conflicts: [conflictOf(0)] });
  await page.press(..."put meat", "Enter");
  assert.match(page.text("clip-conflicts"), /has two labels/);
  return page;
}

test("a conflict that its own answer made is settled on its clip, for who has read it as the second, too", async () => {
  const page = await openConflict({ reading: "second", suggestions: [] });
  await page.press("Backspace");
  await page.click("Take “put meat” for 0:00.00");
  assert.deepEqual([page.said[0].reading, page.said[1].reading, page.said[1].over, page.text("clip-conflicts")], ["second", "first", "token-9", ""]);
});

for (const [how, settles] of [
  ["an undo", (page) => page.press("Control+z")],
  ["an answer in Review", async (page) => {
    const [conflict] = page.server.conflicts;
    const row = { kind: "clip", ...conflict, ...conflict.answer, name: "a.mp4", at: "2026-01-01T00:00:00Z", token: "token-1", statements: [], conflict };
    Object.assign(page.server.review, { rows: [row], num_rows: 1 });
    await page.click("to-review");
    await page.click("Take “put meat” for 0:00.00");
    await page.click("to-clips");
  }],
  ["another person", (page) => page.renew()],
]) {
  test(`a conflict that ${how} settles leaves Clips`, async () => {
    const page = await openConflict();
    await settles(page);
    assert.equal(page.text("clip-conflicts"), "");
  });
}

test("an answer over an interval that is shown says so, and its undo shows the conflict again", async () => {
  const conflict = conflictOf(0, { answer: { answer: "unsure", by: "anna" }, holds: "interval" });
  const page = await Visitor.open({ clips: { 0: { over: "token-9", conflict } } });
  await page.press("Enter");
  assert.deepEqual([page.said[0].over, page.text("clip-conflicts")], ["token-9", ""]);
  await page.press("Control+z");
  assert.match(page.text("clip-conflicts"), /has two labels/);
  await page.click("Take “take bag” for 0:00.00");
  assert.deepEqual([page.said[2].verb, page.said[2].over, page.text("clip-caption")], ["take", "token-9", "a.mp4 0:01.00–0:02.00"]);
});

test("what is new is there at the next question, and the clip on the screen stays", async () => {
  const page = await Visitor.open();
  await page.wait(3000);
  const { length } = page.asked;
  await page.wait(3000);
  assert.deepEqual(page.asked.slice(length).map(({ path }) => path), ["state?known=1"]);
  const { clips } = page.server;
  clips[1].isCovered = true;
  Object.assign(clips[0], { isCovered: true, label: { verb: "wash", noun: "pan", origin: "ben" } });
  clips[2].suggestions = [{ verb: "stir", noun: "soup", probability: 0.7 }];
  await page.renew();
  assert.deepEqual([page.text("clip-caption"), page.text("clip-label")], ["a.mp4 0:00.00–0:01.00", "Answer: wash pan (by ben)Enter keeps it"]);
  await page.press("Enter");
  assert.deepEqual([page.text("clip-caption"), page.texts("#suggestions .word")], ["a.mp4 0:02.00–0:03.00", ["stir soup"]]);
});

test("what was read before an answer does not take it off its clip", async () => {
  const page = await Visitor.open();
  const come = page.late("clips/clip0");
  await page.renew();
  await page.press("Enter", "Backspace");
  await come(clip(0));
  assert.equal(page.by("clip-label").hidden, false);
});

test("a clip whose suggestions were shown stays a first reading, though another person has answered it", async () => {
  const page = await Visitor.open();
  page.server.clips[0] = clip(0, { reading: "second", suggestions: [] });
  await page.renew();
  await page.press("Shift+1");
  assert.deepEqual([page.said[0].reading, page.said[0].verb], ["first", "put"]);
});

test("what could not be read is read at a later question, and no two questions are asked at once", async () => {
  const page = await Visitor.open();
  const { server } = page;
  Object.assign(server.clips[0], { label: { verb: "wash", noun: "pan", origin: "ben" } });
  server.state.version = "2";
  for (const broken of ["classes", "clips/"]) {
    server.answers[broken] = () => [503, {}];
    await page.wait(3000);
    delete server.answers[broken];
  }
  assert.equal(page.asked.findLast(({ path }) => path.startsWith("state")).path, "state?known=1");
  for (let number = 0; number < 6; number += 1) await page.wait(3000);
  assert.match(page.text("clip-label"), /wash pan/);
  const { length } = page.asked;
  server.answers.state = () => new Promise(() => {});
  for (let number = 0; number < 3; number += 1) await page.wait(3000);
  assert.equal(page.asked.length, length + 1);
});

test("of two addresses the last is shown, though the first is read later", async () => {
  const page = await Visitor.open();
  const come = page.late("clips/clip70");
  location.hash = "#clip=clip70";
  location.hash = "#clip=clip80";
  await settled();
  await come(clip(70));
  assert.equal(page.text("clip-caption"), "a.mp4 1:20.00–1:21.00");
});

for (const [keys, said] of [
  [["Shift+2"], ["action", "take", "bag"]],
  [["2"], ["action", "take", "bag"]],
  [["n"], ["nothing", null, null]],
  [["u"], ["unsure", null, null]],
  [[..."move sauce", "ArrowDown", "Enter"], ["action", "move", "sauce"]],
  [[..."ta", "Tab", ..."ba", "Enter"], ["action", "take", "bag"]],
  [[..."take ", "ArrowDown", "Enter"], ["action", "take", "bag"]],
  [["/", ..."nudge pan", "ArrowDown", "Enter"], ["action", "nudge", "pan"]],
  [[..."nudge pan", "ArrowDown", "Enter"], ["action", "nudge", "pan"]],
  [[..."unwrap pan", "ArrowDown", "Enter"], ["action", "unwrap", "pan"]],
  [[..."unwrap", "ArrowDown", "Enter", "Enter"], ["action", "unwrap", "(none)"]],
  [[..."unwrap", "ArrowDown", "Tab", ..."bag", "Enter"], ["action", "unwrap", "bag"]],
  [[..."unwrap", "ArrowDown", "Enter", ..."ba", "Tab", "Enter"], ["action", "unwrap", "bag"]],
  [[..."unwrap", "ArrowDown", "Enter", ..."ball", "ArrowDown", "Enter"], ["action", "unwrap", "ball"]],
  [[..."noth", "Enter"], ["nothing", null, null]],
]) {
  test(`${keys.join(" ")} answers ${said.join(" ")}`, async () => {
    const page = await Visitor.open();
    await page.press("Enter", "Shift+2");
    await page.press(...keys);
    await page.wait(HOLD_MS);
    assert.deepEqual(page.said.map(words), [["action", "put", "meat"], ["action", "take", "bag"], said]);
    assert.equal(page.said[2].uid, "clip2");
  });
}

test("a new word is not taken by Enter alone, and no name is one that the store refuses", async () => {
  const page = await Visitor.open();
  for (const [typed, hint] of [["nudge pan", /Not a known word/], ["put <b>", /Names have letters/], ["", /Type a verb and a noun/]]) {
    await page.press("/");
    await page.fill(page.document.activeElement, typed);
    await page.press("Enter");
    assert.match(page.texts(".hint")[0], hint);
    await page.press("Escape");
  }
  assert.deepEqual(page.said, []);
});

test("a new verb that was chosen is new again once it is typed otherwise", async () => {
  const page = await Visitor.open();
  await page.type("unwrap");
  await page.press("ArrowDown", "Enter");
  await page.fill(page.document.activeElement, "unwra");
  await page.fill(page.document.activeElement, "unwrap bag");
  await page.press("Enter");
  assert.match(page.texts(".hint")[0], /Not a known word/);
  assert.deepEqual(page.said, []);
});

test("words that Retake brings are known, nouns only where actions have an object", async () => {
  for (const [verbs, option] of [[[], "put pot"], [[{ name: "put", num_clips: 1 }], "put potnew noun"]]) {
    const page = await Visitor.open({ state: { brought: { verbs: ["put"], nouns: ["pot"] } }, classes: { verbs, nouns: [], merges: [], near: [] } });
    await page.type("put pot");
    assert.deepEqual(page.texts("[role=option]"), [option]);
  }
});

test("the search goes round its options with the arrows, and Escape gives the keys back", async () => {
  const page = await Visitor.open();
  await page.type("p");
  const chosen = () => page.document.querySelector("[aria-selected=true]").textContent;
  const first = chosen();
  await page.press("ArrowUp", "ArrowDown");
  assert.equal(chosen(), first);
  await page.press("Escape");
  assert.deepEqual([page.document.activeElement.id, page.texts("[role=option]")], ["stage", []]);
  await page.press("/", "Backspace");
  assert.equal(page.document.activeElement.id, "stage");
});

test("an undo at once takes an answer by a letter back, and one later brings the clip as it was", async () => {
  const page = await Visitor.open();
  await page.press("u", "Control+z");
  assert.deepEqual(page.said.map(({ kind }) => kind), ["clip", "withdrawal"]);
  assert.equal(page.server.statements[1].withdrawn, page.server.statements[0].token);
  assert.match(page.text("status"), /^Saved: undo of unsure/);
  await page.press("Enter", "PageDown", "Control+z", "Enter");
  assert.deepEqual(page.said.filter(({ kind }) => kind === "clip").map(({ uid }) => uid), ["clip0", "clip0", "clip0"]);
});

test("an answer that is there is kept by Enter and shown to who comes back", async () => {
  const page = await Visitor.open();
  await page.press("Enter", "Backspace");
  assert.equal(page.text("clip-label"), "Answer: put meat (by anna)Enter keeps it");
  assert.equal(page.text("spoken"), "a.mp4 0:00.00. Answer: put meat (by anna).");
  await page.press("Enter");
  assert.deepEqual([page.said.length, page.text("clip-caption")], [1, "a.mp4 0:01.00–0:02.00"]);
});

test("a list that comes late goes on by itself", async () => {
  const page = await Visitor.open();
  const come = page.late("queue");
  for (let number = 0; number < 20; number += 1) await page.press("Enter");
  assert.equal(page.text("clip-end"), "Reading clips …");
  await come({ clips: [clip(20)] });
  assert.equal(page.text("clip-caption"), "a.mp4 0:20.00–0:21.00");
  await page.press("Enter");
  assert.equal(page.said[20].uid, "clip20");
});

test("the end is told, with the clips that had no answer, and new clips are shown when they come", async () => {
  const page = await Visitor.open({ clips: [clip(0), clip(1)] });
  await page.press("PageDown", "Enter");
  assert.equal(page.text("clip-end"), "No other clip is left; 1 clip had no answer. Go back with Backspace. Build a dataset");
  assert.match(page.text("per-class-tables"), /^Verbsput2take1/);
  await page.press("Backspace", "Backspace", "Enter", "PageDown");
  assert.equal(page.text("clip-end"), "All clips have an answer. Thank you. Build a datasetOpen the runs of retrain");
  assert.equal(page.document.querySelector("#clip-end a").href, "/dags/retrain/runs");
  await page.click("Build a dataset");
  assert.equal(page.by("build").open, true);
  page.by("build").close();
  page.server.answers = { "retrain/dagRuns": () => [200, { dag_runs: [{ dag_run_id: "asset__1", state: "running" }] }] };
  await page.renew();
  assert.equal(page.document.querySelector("#clip-end a").href, "/dags/retrain/runs/asset__1");
  page.server.answers = {};
  const come = page.late("queue");
  await page.renew();
  await come({ clips: [clip(7), clip(8)] });
  delete page.server.answers.queue;
  const captions = [];
  for (let number = 0; number < 3; number += 1) {
    captions.push(page.text("clip-caption"));
    await page.press("PageDown");
  }
  assert.deepEqual(captions, ["a.mp4 0:07.00–0:08.00", "a.mp4 0:08.00–0:09.00", ""]);
});

test("no answer is about a clip whose film is not there yet", async () => {
  const page = await Visitor.open();
  page.document.filmsCome = false;
  await page.press("PageDown");
  await page.press("PageDown", "Enter");
  assert.deepEqual([page.text("status"), page.said, page.by("stage").getAttribute("aria-busy")], ["The clip is not there yet.", [], "true"]);
  page.document.querySelector("#clip-screen video:not([aria-hidden])").comes();
  await page.press("Enter");
  assert.equal(page.said[0].uid, "clip2");
});

test("a film that is still on its way takes no answer, though the one before it is on the screen", async () => {
  const page = await Visitor.open();
  const come = page.late("clip9.mp4");
  for (let number = 0; number < 9; number += 1) await page.press("PageDown");
  page.document.querySelector("#clip-screen video:not([aria-hidden])").dispatchEvent(new Event("seeked"));
  await page.press("Enter");
  assert.deepEqual([page.text("status"), page.said], ["The clip is not there yet.", []]);
  await come(new Blob(["film"]));
  await page.press("Enter");
  assert.equal(page.said[0].uid, "clip9");
});

test("a clip takes answers after a visit to another view and after an undo, and keeps its film", async () => {
  const clips = Array.from({ length: 40 }, (_, number) => clip(80 + number));
  const page = await Visitor.open({ videos: { [VIDEO]: videoOf({ clips }) } });
  const films = () => page.document.querySelectorAll("#clip-screen video").map(({ src }) => src);
  const lost = [];
  mock.method(URL, "revokeObjectURL", (url) => lost.push(...films().filter((src) => src === url)));
  for (const view of ["review", "intervals", "classes"]) {
    await page.click(`to-${view}`);
    await page.click("to-clips");
    await page.press("n");
    await page.wait(HOLD_MS);
  }
  await page.press("Backspace", "Control+z", "n");
  await page.wait(HOLD_MS);
  assert.deepEqual(page.said.map(({ kind, uid }) => [kind, uid]), [["clip", "clip0"], ["clip", "clip1"], ["clip", "clip2"], ["withdrawal", undefined], ["clip", "clip2"]]);
  assert.deepEqual(lost, []);
});

test("a film that cannot be read or played is told, and can be asked for again", async () => {
  const page = await Visitor.open({ answers: { "clip0.mp4": () => [503, { detail: "the store is away" }] } });
  assert.match(page.text("status"), /^This clip could not be read: the store is away\./);
  page.server.answers = {};
  await page.click("Try again");
  page.document.querySelector("#clip-screen video:not([aria-hidden])").dispatchEvent(new Event("error"));
  assert.equal(page.text("status"), "This browser cannot play this clip.");
});

test("blind hides what the model answers, also where it says why, and answers say so", async () => {
  const page = await Visitor.open({ clips: { 0: { reason: "the model is unsure: put meat 38 %" } } });
  assert.match(page.text("clip-why"), /put meat 38 %/);
  await page.check("blind", true);
  assert.deepEqual([page.text("clip-why"), page.text("spoken"), page.texts("#suggestions .word")], ["", "a.mp4 0:00.00. No suggestion.", []]);
  await page.press("Enter", "n");
  await page.wait(HOLD_MS);
  assert.deepEqual(page.said.map((said) => [said.answer, said.suggested.shown]), [["nothing", false]]);
  assert.equal(localStorage.getItem("retake-label/blind"), "on");
});

const DOUBTED = { label: { verb: "put", noun: "meat", origin: "a.csv:3" }, doubt: { verb: "move", noun: "<b>", probability: 0.9 } };

test("a suspicious label is kept or changed by one key each, and an undo makes it suspicious again", async () => {
  const page = await Visitor.open({ clips: { 0: DOUBTED, 1: DOUBTED, 2: DOUBTED } });
  await page.fill(page.by("filter-show"), "suspicious");
  assert.equal(page.query("queue").show, "suspicious");
  assert.equal(page.text("clip-why"), "Suspicious: the last training finds move <b> likely (90 %). Is the label right?");
  assert.equal(page.text("clip-label"), "Answer: put meat (by a.csv:3)Enter says that it is right");
  assert.deepEqual(page.texts("#suggestions .word"), ["move <b>", "put meat", "take bag"]);
  assert.match(page.text("spoken"), /Answer: put meat \(by a.csv:3\)\. Suspicious: .* move <b> likely/);
  await page.press("Enter", "Shift+1", "n");
  await page.wait(HOLD_MS);
  assert.deepEqual(page.said.map((said) => [...words(said), said.checked, said.suggested.verb]), [["action", "put", "meat", true, "move"], ["action", "move", "<b>", true, "move"], ["nothing", null, null, true, "move"]]);
  await page.press("Control+z", "Control+z");
  assert.match(page.text("clip-why"), /^Suspicious/);
  await page.check("blind", true);
  assert.deepEqual([page.text("clip-why"), page.texts("#suggestions .word")], ["", []]);
  await page.press("PageUp");
  assert.match(page.text("clip-label"), /keeps it$/, "it is settled");
});

for (const [who, isBlind, mayWrite] of [["blind is on", true, true], ["a person who may only look is there", false, false]]) {
  test(`Enter goes on from a suspicious label and says nothing about it while ${who}`, async () => {
    const page = await Visitor.open({ state: { may_write: mayWrite }, clips: { 0: DOUBTED, 1: DOUBTED } });
    await page.check("blind", isBlind);
    assert.match(page.text("clip-label"), /keeps it$/);
    const first = page.text("clip-caption");
    await page.press("Enter");
    assert.notEqual(page.text("clip-caption"), first);
    assert.deepEqual(page.said, []);
    await page.press("n");
    await page.wait(HOLD_MS);
    assert.deepEqual(page.said.map(({ checked }) => checked), mayWrite ? [undefined] : []);
  });
}

test("the search knows what the model answers, unless blind is on", async () => {
  const page = await Visitor.open({ clips: { 0: { suggestions: [{ verb: "whisk", noun: "egg", probability: 0.9 }] } } });
  await page.type("whi");
  assert.ok(page.texts("[role=option]").includes("whisk egg"));
  await page.press("Escape");
  await page.check("blind", true);
  await page.type("whi");
  assert.ok(!page.texts("[role=option]").includes("whisk egg"));
});

test("a second reading shows nothing that was said", async () => {
  const page = await Visitor.open({ clips: [clip(0, { reading: "second", suggestions: [] })] });
  assert.deepEqual([page.by("clip-reading").hidden, page.by("clip-label").hidden, page.texts("#suggestions .word")], [false, true, []]);
  await page.press(..."take bag", "Enter");
  assert.deepEqual([page.said[0].reading, page.said[0].suggested], ["second", undefined]);
});

test("a viewer looks and cannot write", async () => {
  const page = await Visitor.open({ state: { may_write: false } });
  assert.equal(page.text("who"), "anna (may only look)");
  assert.match(page.text("status"), /may look, but not label/);
  assert.ok(page.document.querySelectorAll("#suggestions button, #answer-nothing, #answer-unsure").every(({ disabled }) => disabled));
  await page.press("Enter", "n", "t");
  assert.deepEqual([page.text("status"), page.said, page.document.activeElement.id], ["You may look, but not label.", [], "stage"]);
});

test("people choose among ways of cutting, and statements name theirs", async () => {
  const page = await Visitor.open({ state: { cuts: [{ cut: "one", name: "1 s" }, { cut: "two", name: "2 s" }] } });
  assert.deepEqual([page.by("cuts").hidden, page.texts("#filter-cut option")], [false, ["1 s", "2 s"]]);
  page.server.state.cut = "two";
  page.server.clips = [clip(50)];
  await page.fill(page.by("filter-cut"), "two");
  assert.equal(page.text("clip-caption"), "a.mp4 0:50.00–0:51.00");
  await page.press("Enter");
  assert.deepEqual(page.asked.filter(({ method }) => method === "POST").map(({ path }) => path), ["statements?cut=two"]);
});

test("filters ask for another list, a name only when the typing rests", async () => {
  const page = await Visitor.open();
  const numAsked = () => page.asked.filter(({ path }) => path.startsWith("queue")).length;
  await page.fill(page.by("filter-show"), "labelled");
  assert.equal(page.query("queue").show, "labelled");
  const before = numAsked();
  for (const typed of ["pu", "put"]) await page.fill(page.by("filter-name"), typed);
  assert.equal(numAsked(), before);
  await page.wait(350);
  assert.deepEqual([numAsked(), page.query("queue").name], [before + 1, "put"]);
});

test("answers that cannot be sent are told with what a person can do, and sent when they can", async () => {
  const page = await Visitor.open();
  const { answers } = page.server;
  const loggedOut = /You are no longer logged in\. \d answers? not saved yet/;
  for (const [status, said, body = {}] of [[401, loggedOut], [403, /needs the right to trigger build_dataset/], [403, loggedOut, { detail: "Invalid JWT token" }], [503, /the server does not answer/]]) {
    answers.statements = () => [status, body];
    await page.press("Enter");
    await page.click("Try again");
    assert.match(page.text("banner"), said);
  }
  assert.equal(page.text("unsent"), "4 not saved");
  delete answers.statements;
  await page.click("Try again");
  assert.deepEqual([page.text("banner"), page.text("unsent"), page.said.map(({ uid }) => uid)], ["", "", ["clip0", "clip1", "clip2", "clip3"]]);
  answers.statements = () => [422, { detail: "there is no such clip" }];
  await page.press("Enter");
  assert.match(page.text("banner"), /“put meat” was refused: there is no such clip/);
  await page.click("Dismiss");
  assert.equal(page.text("banner"), "");
});

test("a page whose clips are still being read asks again, and an empty store says so", async () => {
  const page = await Visitor.open({ state: { ready: false, is_empty: true } });
  assert.match(page.text("not-ready"), /has no clips yet: run ingest_videos first/);
  Object.assign(page.server.state, { ready: true, is_empty: false });
  await page.wait(100);
  assert.deepEqual([page.by("not-ready").hidden, page.text("clip-caption")], [true, "a.mp4 0:00.00–0:01.00"]);
});

test("screen readers leave letters to the page, and its name is not read with each answer", async () => {
  const page = await Visitor.open();
  for (const id of ["stage", "interval-stage"]) {
    assert.equal(page.by(id).getAttribute("role"), "application");
    assert.match(page.by(id).ariaLabel, /; . lists the keys/);
  }
  const name = page.by("stage").ariaLabel;
  await page.press("Enter");
  assert.deepEqual([page.by("stage").ariaLabel, page.text("spoken")], [name, "a.mp4 0:01.00. Suggested: put meat, 90 %."]);
});

test("single keys are turned off in the list of keys, and stay off", async () => {
  const page = await Visitor.open();
  await page.press("?");
  assert.equal(page.by("help").open, true);
  await page.press("n");
  await page.check("single-keys", false);
  page.by("help").close();
  await page.press("n", "1", "Enter");
  assert.deepEqual(page.said.map(words), [["action", "put", "meat"]]);
  assert.equal(localStorage.getItem("retake-label/single-keys"), "off");
});
