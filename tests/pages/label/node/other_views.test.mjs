import assert from "node:assert/strict";
import test, { describe } from "node:test";

import { STORE, VIDEO, Visitor, clip, conflictOf, videoOf } from "./page.mjs";

const OTHER = "b".repeat(64);

test("an address that no view has leads to the clips, and the page stays up to date", async () => {
  for (const hash of ["#%", "#constructor", "#__proto__"]) {
    const page = await Visitor.open({}, hash);
    assert.deepEqual([page.by("view-clips").hidden, page.by("view-review").hidden], [false, true]);
    await page.press("n");
    await page.wait(1000);
    assert.equal(page.said.length, 1);
    await page.renew({ me: "ben" });
    assert.equal(page.text("who"), "ben");
  }
});

describe("Intervals", () => {
  const INTERVAL = { token: "token-1", start_seconds: 1, stop_seconds: 5, verb: "put", noun: "meat", by: "ben", at: "2026-01-01T00:00:00Z" };

  async function open(changes) {
    const page = await Visitor.open({ videos: { [VIDEO]: videoOf(changes) } }, "#intervals");
    await page.press(" ", "Home");
    return page;
  }

  function openTwo(hash = "#intervals") {
    const listed = [[VIDEO, "a.mp4"], [OTHER, "b.mp4"]].map(([video, name]) => ({ video, name, num_clips: 40, num_labelled: 0 }));
    return Visitor.open({ state: { videos: listed }, videos: { [VIDEO]: videoOf(), [OTHER]: videoOf({ video: OTHER }) } }, hash);
  }

  const spans = (page) => page.said.map(({ kind, start_seconds, stop_seconds, verb, noun }) => [kind, start_seconds, stop_seconds, verb, noun]);
  const listed = (page) => page.texts("#interval-list .when");

  async function mark(page, start, stop, words) {
    await page.fill(page.by("in"), start);
    await page.fill(page.by("out"), stop);
    await page.fill(page.document.querySelector("#interval-words input"), words);
    page.document.querySelector("#interval-words input").focus();
    await page.press("ArrowDown", "Enter");
  }

  test("in and out points by keys and words make an interval", async () => {
    const page = await open();
    await page.press("i", "Shift+ArrowRight", "Shift+ArrowRight", "ArrowRight", "o");
    assert.equal(page.text("interval-time"), "0:02.03 of 0:40.00");
    await page.press(..."put meat", "Enter");
    assert.deepEqual(spans(page), [["interval", 0, 2.033, "put", "meat"]]);
    assert.match(page.text("status"), /^Saved: put meat 0:00\.00–0:02\.03;/);
    assert.deepEqual([listed(page), page.text("draft")], [["0:00.00–0:02.03"], ""]);
  });

  test("an out point before its in point, and an interval without points or an action, are refused", async () => {
    const page = await open();
    await page.press("o");
    assert.match(page.text("status"), /set the in point first/);
    await page.press("Enter");
    assert.match(page.text("status"), /Set in and out points first/);
    await page.press("End", "i", "Home", "o");
    assert.match(page.text("status"), /comes after the in point/);
    await page.press("Escape", "i", "Shift+ArrowRight", "o", "Enter");
    assert.match(page.text("status"), /Which action is it/);
    await page.press(..."noth", "Enter");
    assert.match(page.text("status"), /An interval needs an action/);
    assert.deepEqual(page.said, []);
  });

  test("intervals overlap and change, and an undo brings the earlier one back", async () => {
    const page = await open();
    await mark(page, 1, 5, "put meat");
    await mark(page, 2.5, 4, "take bag");
    await page.click("0:01.00–0:05.00put meatanna");
    assert.equal(page.text("draft"), "Change: put meat, 0:01.00–0:05.00");
    await page.fill(page.by("out"), 6);
    await page.click("interval-save");
    assert.equal(page.said[2].replaces, page.server.statements[0].token);
    assert.deepEqual(listed(page), ["0:01.00–0:06.00", "0:02.50–0:04.00"]);
    await page.press("Control+z");
    assert.deepEqual(page.said[3], { kind: "withdrawal", withdrawn: page.server.statements[2].token, undo: true });
    assert.deepEqual(listed(page), ["0:01.00–0:05.00", "0:02.50–0:04.00"]);
  });

  test("a withdrawn interval is said again by an undo", async () => {
    const page = await open({ intervals: [INTERVAL] });
    await page.click("Withdraw put meat at 0:01.00");
    assert.deepEqual([listed(page), page.said[0].withdrawn, page.said[0].undo], [[], "token-1", false]);
    await page.press("Control+z");
    assert.deepEqual([listed(page), spans(page)[1]], [["0:01.00–0:05.00"], ["interval", 1, 5, "put", "meat"]]);
    await page.click("0:01.00–0:05.00put meatanna");
    await page.press("Delete");
    assert.deepEqual([listed(page), page.said[2].withdrawn], [[], page.server.statements[1].token]);
  });

  test("suggestions are gone through and accepted by keyboard, and are then taken", async () => {
    const page = await open();
    await page.press("ArrowDown");
    assert.equal(page.text("status"), "Suggested: put meat, 90 %, 0:00.00 to 0:04.00.");
    await page.press("ArrowDown", "ArrowUp", "Enter");
    assert.deepEqual(page.said[0].suggested, { verb: "put", noun: "meat", probability: 0.9, shown: true });
    assert.match(page.texts("#predicted-list .item")[0], /✓ taken/);
    await page.press("ArrowDown");
    assert.equal(page.text("draft"), "Suggested 86 %: take bag, 0:04.00–0:08.00");
    await page.press("Enter", "ArrowDown");
    assert.equal(page.text("status"), "No suggestion is left in this video.");
    assert.deepEqual(spans(page), [["interval", 0, 4, "put", "meat"], ["interval", 4, 8, "take", "bag"]]);
  });

  test("what is hidden from a second reader is counted", async () => {
    const page = await open({ num_hidden: 1 });
    assert.match(page.text("interval-list"), /^1 label is hidden: you are to read a clip there as the second/);
    assert.equal(page.text("interval-place"), "0 intervals in this video, 1 more hidden");
  });

  test("labels of clips and files have the colour of their class, and are answered over", async () => {
    const label = (kind, start, verb, by, changes = {}) => ({ kind, uid: `clip${start}`, start_seconds: start, stop_seconds: start + 8, answer: "action", verb, noun: "meat", by, at: "", ...changes });
    const labels = [label("file", 0, "put", "a.csv:2"), label("clip", 8, "take", "ben"), label("clip", 16, "nothing", "ben", { answer: "nothing", noun: "(none)" })];
    const page = await open({ labels, intervals: [INTERVAL] });
    assert.deepEqual(page.texts("#label-list .item"), ["0:00.00–0:08.00put meata.csv:2", "0:08.00–0:16.00take meatben", "0:16.00–0:24.00nothing happensben"]);
    const hues = page.document.querySelectorAll("#timeline .bar").map((bar) => [bar.textContent.slice(0, 9), bar.style.get("--hue")]);
    assert.equal(hues.length, 6);
    assert.equal(new Set(hues.filter(([text]) => text === "put meat ").map(([, hue]) => hue)).size, 1);
    assert.notEqual(hues[1][1], hues[2][1]);
    assert.deepEqual(page.document.querySelectorAll("#label-list a").map(({ href }) => href), ["#clip=clip0", "#clip=clip8", "#clip=clip16"]);
    await page.click("0:00.00–0:08.00put meata.csv:2");
    assert.equal(page.text("draft"), "Over the label by a.csv:2: put meat, 0:00.00–0:08.00");
    await page.press("/", ..."take bag", "Enter");
    assert.deepEqual(spans(page), [["interval", 0, 8, "take", "bag"]]);
    await page.click("0:16.00–0:24.00nothing happensben");
    assert.equal(page.text("draft"), "Over the label by ben: no action yet, 0:16.00–0:24.00");
  });

  test("a conflict is shown over the timeline, and what was chosen is said", async () => {
    const side = (verb, by) => ({ answer: "action", verb, noun: "(none)", by });
    const page = await open({ conflicts: [conflictOf(3, { answer: side("wave", "ben"), interval: side("nothing", "anna"), over: "token-1" })] });
    assert.match(page.text("interval-conflicts"), /wave by ben for the clip, nothing happens by anna for an interval/);
    page.server.videos[VIDEO].conflicts = [];
    await page.click("Take “nothing happens” for 0:03.00");
    assert.deepEqual(page.said, [{ kind: "clip", uid: "clip3", answer: "nothing", reading: "first", over: "token-1" }]);
    assert.equal(page.text("interval-conflicts"), "");
  });

  test("an interval of another person is there at the next question", async () => {
    const page = await open();
    page.server.videos[VIDEO] = videoOf({ intervals: [INTERVAL] });
    await page.renew();
    assert.deepEqual(listed(page), ["0:01.00–0:05.00"]);
  });

  test("what was read before an interval was marked does not take it away", async () => {
    const page = await open();
    const come = page.late("videos/");
    await page.renew();
    await mark(page, 1, 5, "put meat");
    await come(videoOf());
    assert.deepEqual(listed(page), ["0:01.00–0:05.00"]);
  });

  test("the video that was asked for last is shown, whichever is answered last", async () => {
    const page = await openTwo();
    const come = page.late(`videos/${OTHER}`);
    await page.fill(page.by("interval-video"), OTHER);
    await page.fill(page.by("interval-video"), VIDEO);
    await come(videoOf({ video: OTHER, intervals: [INTERVAL] }));
    assert.deepEqual([listed(page), page.by("interval-video").value], [[], VIDEO]);
    await mark(page, 1, 5, "put meat");
    assert.equal(page.said[0].video, VIDEO);
  });

  test("what is not sent yet is still there when a person comes back to its video", async () => {
    const page = await openTwo();
    await mark(page, 1, 5, "put meat");
    page.server.answers.statements = () => [503, {}];
    await mark(page, 6, 8, "take bag");
    for (const [chosen, stop] of [["0:01.00–0:05.00put meatanna", 4], ["0:06.00–0:08.00take baganna", 9]]) {
      await page.click(chosen);
      await page.fill(page.by("out"), stop);
      await page.click("interval-save");
    }
    const shown = async () => {
      await page.fill(page.by("interval-video"), OTHER);
      assert.deepEqual(listed(page), []);
      await page.fill(page.by("interval-video"), VIDEO);
      return listed(page);
    };
    assert.deepEqual(await shown(), ["0:01.00–0:04.00", "0:06.00–0:09.00"]);
    for (let time = 0; time < 2; time += 1) await page.press("Control+z");
    assert.deepEqual(await shown(), ["0:01.00–0:05.00", "0:06.00–0:08.00"]);
    delete page.server.answers.statements;
    await page.wait(30_000);
    assert.deepEqual(await shown(), ["0:01.00–0:05.00", "0:06.00–0:08.00"]);
  });

  test("blind hides the suggestions here, too", async () => {
    const page = await open();
    await page.check("blind", true);
    await page.click("to-clips");
    await page.click("to-intervals");
    assert.deepEqual([page.text("predicted-list"), page.texts(".predicted")], ["Hidden: blind is on in Clips.", []]);
  });

  test("a viewer sees intervals and writes none", async () => {
    const page = await open({ intervals: [INTERVAL] });
    await page.renew({ may_write: false });
    await page.press("ArrowDown", "Enter");
    assert.deepEqual([page.text("status"), page.said], ["You may look, but not label.", []]);
    assert.equal(page.document.querySelectorAll("#interval-list button").length, 1);
  });

  test("a video is opened at its time by its address, and another by the list", async () => {
    const page = await openTwo(`#intervals/${OTHER}/7.5`);
    assert.deepEqual([page.by("interval-video").value, page.text("interval-time")], [OTHER, "0:07.50 of 0:40.00"]);
    await page.fill(page.by("interval-video"), VIDEO);
    assert.equal(location.hash, `#intervals/${VIDEO}`);
    assert.equal(page.text("interval-time"), "0:00.00 of 0:40.00");
    location.hash = `#video=${OTHER}&at=2.5`;
    await page.wait(0);
    assert.deepEqual([page.by("interval-video").value, page.text("interval-time")], [OTHER, "0:02.50 of 0:40.00"]);
    location.hash = "#video=gone";
    await page.wait(0);
    assert.equal(page.text("status"), "The video of this address has no clips on this page.");
  });
});

describe("Review", () => {
  const said = (by, verb, noun, changes = {}) => ({ by, at: "2026-01-01T00:00:00Z", answer: "action", verb, noun, reading: "first", token: `token-${by}`, ...changes });
  const row = (changes = {}) => {
    const about = { kind: "clip", uid: "clip0", video: VIDEO, name: "a.mp4", start_seconds: 0, stop_seconds: 1, is_conflict: false };
    return { ...about, ...said("anna", "put", "meat"), statements: [said("anna", "put", "meat")], ...changes };
  };

  const open = (review, state = {}) => Visitor.open({ state, review }, "#review");

  test("a label is changed, and withdrawn", async () => {
    const page = await open({ rows: [row()] });
    await page.click("Change put meat of a.mp4 0:00.00");
    assert.equal(page.text("change-about"), "a.mp4 0:00.00–0:01.00: put meat (by anna)");
    page.document.querySelector("#change input").focus();
    await page.press(..."take bag", "Enter");
    assert.equal(page.by("change").open, false);
    await page.click("Change put meat of a.mp4 0:00.00");
    await page.click("change-unsure");
    await page.click("Withdraw put meat of a.mp4 0:00.00");
    assert.deepEqual(page.said, [
      { kind: "clip", uid: "clip0", answer: "action", verb: "take", noun: "bag", reading: "first" },
      { kind: "clip", uid: "clip0", answer: "unsure", reading: "first" },
      { kind: "withdrawal", withdrawn: "token-anna" },
    ]);
  });

  test("a film that comes late is not shown beside the label that was opened after it", async () => {
    const page = await open({ rows: [row(), row({ uid: "clip1", verb: "take" }), row({ uid: "clip2", verb: "hold" })] });
    const [first, third] = ["clip0.mp4", "clip2.mp4"].map((name) => page.late(name));
    for (const verb of ["put", "hold"]) {
      await page.click(`Change ${verb} meat of a.mp4 0:00.00`);
      page.by("change").close();
    }
    await page.click("Change take meat of a.mp4 0:00.00");
    const film = page.film("change-screen");
    await first(new Blob(["clip0"]));
    await third({ detail: "the store is away" }, 503);
    assert.ok(film);
    assert.deepEqual([page.film("change-screen"), page.text("change-about")], [film, "a.mp4 0:00.00–0:01.00: take meat (by anna)"]);
  });

  test("a conflict is shown with what each person said", async () => {
    const statements = [said("anna", "put", "meat"), said("ben", "take", "bag", { reading: "second" })];
    const page = await open({ rows: [row({ ...statements[1], is_conflict: true, statements })], num_hidden: 4 });
    assert.deepEqual([page.texts(".flag"), page.texts("summary")[1]], [["people differ"], "2 statements"]);
    assert.match(page.texts(".history li").join(" "), /anna: put meat, .*ben \(second\): take bag, /);
    assert.equal(page.text("review-count"), "1 label; 4 more hidden until you have read their clips as the second person");
  });

  test("the number of conflicts leads to them, where one label is taken", async () => {
    const page = await Visitor.open({ state: { counts: { num_conflicts: 1 } }, review: { rows: [row({ conflict: conflictOf(0), over: "token-9" })] } });
    await page.click("1 conflict");
    assert.equal(page.query("review").show, "conflicts");
    await page.click("Take “take bag” for 0:00.00");
    await page.click("Change put meat of a.mp4 0:00.00");
    await page.click("change-unsure");
    assert.deepEqual(page.said.map(({ answer, verb, over }) => [answer, verb, over]), [["action", "take", "token-9"], ["unsure", undefined, "token-9"]]);
  });

  test("the number of conflicts leads to all of them from any page and filter, also at their own address", async () => {
    const page = await open({ rows: [row()], num_rows: 120, people: ["anna", "ben"] }, { counts: { num_conflicts: 1 } });
    for (let time = 0; time < 2; time += 1) {
      for (const [id, text] of [["review-by", "ben"], ["review-name", "put"]]) await page.fill(page.by(id), text);
      await page.click("review-older");
      if (time) page.document.querySelector("#remaining a").click();
      else await page.click("1 conflict");
      await page.wait(0);
      assert.deepEqual(page.query("review"), { show: "conflicts", page: "0" });
    }
  });

  test("intervals and labels of files are opened in Intervals, not changed here, and a file's cannot be withdrawn", async () => {
    const page = await open({ rows: [row({ kind: "interval" }), row({ kind: "file", by: "folder put meat", at: "", statements: [] })] });
    const [, link] = page.document.querySelectorAll("#review-rows a");
    assert.deepEqual([link.ariaLabel, link.href], ["Open put meat of a.mp4 0:00.00 in Intervals", `#intervals/${VIDEO}/0`]);
    assert.match(page.text("review-rows"), /put meat \(interval\).*put meatfolder put meatIn Intervals$/);
  });

  test("a viewer watches, and changes nothing", async () => {
    const page = await open({ rows: [row()] }, { may_write: false });
    assert.equal(page.document.querySelectorAll("#review-rows button").length, 1);
    await page.click("Watch put meat of a.mp4 0:00.00");
    assert.ok(["change-words", "change-nothing", "change-unsure"].every((id) => page.by(id).hidden));
  });

  test("filters and pages ask for other labels, each filter from the first page on", async () => {
    const page = await open({ rows: [row()], num_rows: 120, people: ["anna", "ben"] });
    assert.deepEqual([page.text("review-page"), page.by("review-newer").disabled], ["page 1 of 3", true]);
    await page.click("review-older");
    await page.click("review-older");
    assert.deepEqual([page.query("review"), page.by("review-older").disabled], [{ show: "all", page: "2" }, true]);
    await page.fill(page.by("review-by"), "ben");
    assert.deepEqual(page.query("review"), { show: "all", by: "ben", page: "0" });
  });

  test("where the last label of the last page is withdrawn, the page before it is shown", async () => {
    const page = await open({ rows: [row()], num_rows: 51 });
    await page.click("review-older");
    page.server.answers["page=1"] = () => [200, { ...page.server.review, rows: [], num_rows: 50 }];
    page.server.review.num_rows = 50;
    await page.click("Withdraw put meat of a.mp4 0:00.00");
    assert.deepEqual([page.text("review-page"), page.texts("#review-rows strong")], ["page 1 of 1", ["put meat"]]);
  });

  test("files that are not read whole are named, the first five", async () => {
    const page = await open({ unread: Array.from({ length: 7 }, (_, number) => `<b>${number}.csv: damaged`) });
    assert.deepEqual(page.texts("#review-unread li").slice(4), ["<b>4.csv: damaged", "and 2 more"]);
  });

  for (const [agreement, text] of [
    [null, /^No clip has been read twice yet\. 10 % of the clips/],
    [{ num_clips: 1, num_videos: 1, share: 0, kappa: 0, interval: null }, /kappa: 0\.00 \(no interval.*Same answer: 0 % of 1 clip read twice\.$/],
    [{ num_clips: 9, num_videos: 3, share: 1, kappa: null, interval: null }, /kappa: cannot be told/],
    [{ num_clips: 9, num_videos: 3, share: 0.9, kappa: -0.1, interval: [-0.3, 0.25] }, /−0\.10 \(95 % interval −0\.30 to 0\.25, over 3 videos\)/],
  ]) {
    test(`people are told how far they agree: ${text.source}`, async () => assert.match((await open({ agreement })).text("agreement"), text));
  }
});

describe("Classes", () => {
  const named = (name, num_clips = 1) => ({ name, num_clips });
  const merged = { target: "noun", name: "beef", same_as: "meat", by: "ben", token: "token-1" };

  function open(merges = []) {
    const near = [{ target: "noun", names: ["meat", "meats"] }];
    return Visitor.open({ classes: { verbs: [named("grab", 2), named("put")], nouns: [named("meat"), named("meats")], merges, near } }, "#classes");
  }

  for (const [to, note, isGood] of [
    ["meats", /Write another name/, false],
    ["<b>", /Names have letters/, false],
    ["beef", /“beef” is now “meat”: write that name/, false],
    ["Meat", /1 clip of “meats” will count as “meat”, which exists\./, true],
    ["sausage", /^1 clip of “meats” will be called “sausage”\.$/, true],
    ["maet", /Did you mean “meat”\?/, true],
  ]) {
    test(`a noun that is renamed to ${to}: ${note.source}`, async () => {
      const page = await open([merged]);
      await page.click("Rename or merge the noun meats");
      await page.fill(page.by("rename-to"), to);
      assert.match(page.text("rename-note"), note);
      page.by("rename-to").focus();
      await page.press("Enter");
      assert.deepEqual(page.said, isGood ? [{ kind: "class", target: "noun", name: "meats", same_as: to.toLowerCase() }] : []);
      assert.equal(page.by("rename").open, !isGood);
    });
  }

  test("a class may get its old name again, names that look alike are merged, and Ctrl+Z takes the last changes back", async () => {
    const page = await open([{ ...merged, name: "hold", same_as: "grab", target: "verb" }]);
    await page.press("Control+z");
    assert.match(page.text("status"), /no change to take back/);
    await page.click("Rename or merge the verb grab");
    await page.fill(page.by("rename-to"), "hold");
    assert.equal(page.text("rename-note"), "2 clips of “grab” will be called “hold”, as before.");
    page.by("rename").close();
    await page.click("Take back: hold is now grab");
    await page.click("Merge meats into meat");
    assert.deepEqual([page.by("rename-to").value, page.text("rename-save")], ["meat", "Merge"]);
    await page.click("rename-save");
    await page.press("Control+z", "Control+z", "Control+z");
    const [back, merge, ...undone] = page.said;
    assert.deepEqual([back, merge], [{ kind: "withdrawal", withdrawn: "token-1" }, { kind: "class", target: "noun", name: "meats", same_as: "meat" }]);
    assert.deepEqual(undone, [{ kind: "withdrawal", withdrawn: page.server.statements[1].token }, { kind: "class", target: "verb", name: "hold", same_as: "grab" }]);
  });

  test("Ctrl+Z after a merge of this visit was taken back merges again", async () => {
    const page = await open();
    await page.click("Merge meats into meat");
    await page.click("rename-save");
    const { token } = page.server.statements[0];
    page.server.classes.merges = [{ target: "noun", name: "meats", same_as: "meat", by: "anna", token }];
    await page.renew();
    await page.click("to-classes");
    await page.click("Take back: meats is now meat");
    await page.press("Control+z", "Control+z");
    assert.deepEqual(page.said.map(({ kind, withdrawn }) => [kind, withdrawn]), [["class", undefined], ["withdrawal", token], ["class", undefined]]);
    assert.match(page.text("status"), /no change to take back/);
  });

  test("some clips of a class are watched", async () => {
    const page = await open();
    for (const number of [3, 4]) page.server.clips[number].label = { verb: "put", noun: "meat", origin: "ben" };
    await page.click("Watch clips of the verb put");
    assert.deepEqual(page.query("queue"), { show: "labelled", name: "put", limit: "6" });
    assert.deepEqual(page.texts("#of-class-list .item"), ["a.mp4 0:03.00put meatben", "a.mp4 0:04.00put meatben"]);
    const first = page.film("of-class-screen");
    await page.click("a.mp4 0:04.00put meatben");
    assert.ok(first && page.film("of-class-screen") !== first);
    assert.deepEqual(page.document.querySelectorAll("#of-class-list a").map(({ href }) => href), ["#clip=clip3", "#clip=clip4"]);
  });

  test("of two classes and two clips the last is shown, and a clip that cannot be read is told", async () => {
    const page = await open();
    const [first, second, third] = [3, 4, 5].map((number) => clip(number, { label: { verb: number === 3 ? "grab" : "put", noun: "meat", origin: "ben" } }));
    const [classComes, filmComes, laterFilmComes] = ["name=grab", "clip4.mp4", "clip5.mp4"].map((part) => page.late(part));
    page.server.answers["name=put"] = () => [200, { clips: [second, third] }];
    await page.click("Watch clips of the verb grab");
    page.by("of-class").close();
    await page.click("Watch clips of the verb put");
    await classComes({ clips: [first] });
    assert.deepEqual(page.texts("#of-class-list .item"), ["a.mp4 0:04.00put meatben", "a.mp4 0:05.00put meatben"]);
    await page.click("a.mp4 0:05.00put meatben");
    await laterFilmComes("film");
    const last = page.film("of-class-screen");
    await filmComes("film");
    assert.ok(last);
    assert.equal(page.film("of-class-screen"), last);
    page.by("of-class").close();
    page.server.answers["clip3.mp4"] = () => [503, { detail: "the store is away" }];
    page.server.answers["name=put"] = () => [200, { clips: [second, { ...first, label: second.label }] }];
    await page.click("Watch clips of the verb put");
    await page.click("a.mp4 0:03.00put meatben");
    assert.match(page.text("of-class-list"), /The clip could not be read: the store is away/);
  });

  test("a name that was merged is found in the search, and leads to its new name", async () => {
    const page = await open([merged]);
    await page.click("to-clips");
    await page.type("put beef");
    assert.equal(page.texts("[role=option]")[0], "put meatwas put beef");
  });

  test("a viewer renames nothing", async () => {
    const page = await open([merged]);
    await page.renew({ may_write: false });
    assert.deepEqual([page.texts("#class-nouns button, #merges button"), page.by("near-part").hidden], [["Watch", "Watch"], true]);
  });
});

describe("Build dataset", () => {
  const RETRAIN = { dag_run_id: "asset__1", state: "running", run_after: "2026-01-01T00:06:00Z" };

  async function open({ mayWrite = true, runs = [], going = [], retrains = [], dataset = "success", start = [200, { dag_run_id: "manual__1+00:00" }] } = {}) {
    const states = ["queued", "running", "success"];
    const posted = [];
    const answers = {
      upstreamAssetEvents: () => [200, { asset_events: [] }],
      details: () => [200, { params: { store: { value: STORE } } }],
      taskInstances: () => [200, { task_instances: [{ task_id: "split", map_index: -1, state: "failed" }, { task_id: "cut", map_index: 1, state: null }, { task_id: "dataset", map_index: -1, state: dataset, start_date: "2026-01-01T00:05:00Z" }] }],
      "retrain/dagRuns": () => [200, { dag_runs: retrains.length > 1 ? retrains.shift() : (retrains[0] ?? []) }],
      "dagRuns/": () => [200, { state: states.length > 1 ? states.shift() : states[0] }],
      dagRuns: (url, { body }) => {
        if (body) posted.push(JSON.parse(body));
        return body ? start : [200, { dag_runs: url.searchParams.get("state") ? runs : going }];
      },
      build_dataset: () => [200, { is_paused: true }],
    };
    const page = await Visitor.open({ answers, state: { may_write: mayWrite } });
    await page.click("build-open");
    return { page, posted };
  }

  async function follow(page, times = 1) {
    for (let time = 0; time < times; time += 1) await page.wait(2500);
  }

  test("the first dataset is built with the options of the page, and its run is followed", async () => {
    const older = { dag_run_id: "asset__0", state: "running", run_after: "2026-01-01T00:04:00Z" };
    const runs = [];
    const { page, posted } = await open({ runs, retrains: [[older], [older], [{ ...RETRAIN, state: "queued", run_after: "2026-01-01T00:05:01Z" }, older]] });
    assert.equal(page.text("build-next"), "retrain is running: open its run");
    assert.equal(page.text("build-facts"), "40 labelled clips, 3 of them labelled here since the last build. The last training had auto: a probe (about 40 s). The gate asks for 10 clips.");
    assert.match(page.text("build-then"), /with its default options, because no build/);
    await page.click("build-start");
    assert.deepEqual(posted, [{ logical_date: null, conf: { store: STORE, clip_seconds: 1 } }]);
    assert.match(page.text("build-progress"), /Queued ….*is paused: unpause it.*splitfailedcut 2waits/);
    assert.deepEqual([page.by("build-start").disabled, page.text("build-open")], [true, "Building …"]);
    await follow(page);
    assert.match(page.text("build-progress"), /^Running …split/);
    runs.push({ dag_run_id: "manual__1+00:00", run_type: "manual", conf: {} });
    await follow(page);
    assert.match(page.text("build-progress"), /^The dataset is built\./);
    assert.match(page.text("build-then"), /with the options of the last build/);
    assert.deepEqual([page.by("build-start").disabled, page.text("build-open")], [false, "Build dataset"]);
    assert.equal(page.document.querySelector("#build-progress a").href, "/dags/build_dataset/runs/manual__1%2B00%3A00");
    const next = () => page.document.querySelector("#build-next a").href;
    assert.equal(next(), "/dags/retrain/runs");
    await follow(page);
    assert.equal(next(), "/dags/retrain/runs/asset__1");
    page.server.build.num_new = 2;
    await page.renew();
    assert.match(page.text("build-facts"), /^40 labelled clips, 2 of them/, "as soon as the server knows of the build");
  });

  test("the next dataset is built as the last one, from the clips that are on the page", async () => {
    const conf = { store: STORE, val_share: 0.4, clip_seconds: 3, then: { epochs: 7 } };
    const { page, posted } = await open({ runs: [{ dag_run_id: "last", run_type: "manual", conf }] });
    assert.equal(page.document.querySelector("#build-then a").href, "/dags/build_dataset/runs/last");
    await page.click("build-start");
    assert.deepEqual(posted[0].conf, { ...conf, clip_seconds: 1 });
    page.server.build.num_new = 0;
    await follow(page, 2);
    assert.match(page.text("build-facts"), /^40 labelled clips, none of them labelled here since the last build: if nothing else is new, a build changes nothing\./);
  });

  test("a training that is found late is not shown with the next build", async () => {
    const { page } = await open();
    const come = page.late("retrain/dagRuns");
    await page.click("build-start");
    await follow(page, 2);
    page.server.answers = { ...page.server.answers, dagRuns: () => [200, { dag_run_id: "manual__2", dag_runs: [] }], "retrain/dagRuns": () => [200, { dag_runs: [] }] };
    await page.click("build-start");
    await come({ dag_runs: [RETRAIN] });
    assert.equal(page.document.querySelector("#build-next a").href, "/dags/retrain/runs");
  });

  test("an earlier answer that comes late does not stand over a later one", async () => {
    const { page } = await open();
    const late = [];
    page.server.answers.build = () => new Promise((resolve) => late.push((num_new) => resolve([200, { ...page.server.build, num_new }])));
    for (let time = 0; time < 2; time += 1) await page.renew();
    late.at(-1)(2);
    await page.wait(0);
    late[0](1);
    await page.wait(0);
    assert.match(page.text("build-facts"), /^40 labelled clips, 2 of them/);
  });

  test("who may not trigger build_dataset reads why, and starts nothing", async () => {
    const { page, posted } = await open({ mayWrite: false });
    assert.deepEqual([page.by("build-start").disabled, page.by("build-start").title], [true, "You may not trigger build_dataset."]);
    await page.click("build-start");
    assert.deepEqual(posted, []);
  });

  test("who may not trigger build_dataset sees a run at work, and starts nothing beside or after it", async () => {
    const { page } = await open({ mayWrite: false, going: [{ dag_run_id: "manual__1+00:00", state: "running" }] });
    assert.deepEqual([page.by("build-start").disabled, page.text("build-open")], [true, "Building …"]);
    await follow(page, 2);
    assert.deepEqual([page.by("build-start").disabled, page.text("build-open")], [true, "Build dataset"]);
  });

  test("the page says that a dataset has not changed, and looks for no training", async () => {
    const { page } = await open({ dataset: "skipped" });
    await page.click("build-start");
    await follow(page, 2);
    assert.match(page.text("build-progress"), /^The dataset is as it was, so nothing is trained/);
    assert.equal(page.text("build-next"), "");
  });

  test("a run that goes on is followed, and none started beside it, also after it could not be followed without a login", async () => {
    const going = [];
    const { page } = await open({ going });
    await page.click("build-start");
    const follows = page.server.answers["dagRuns/"];
    page.server.answers["dagRuns/"] = () => [401, { detail: "no" }];
    await follow(page);
    assert.deepEqual([page.text("build-progress"), page.text("build-open")], ["You are not logged in to Airflow.", "Build dataset"]);
    page.server.answers["dagRuns/"] = follows;
    going.push({ dag_run_id: "manual__1+00:00", state: "running" });
    page.by("build").close();
    await page.click("build-open");
    assert.match(page.text("build-progress"), /^Running …/);
    assert.deepEqual([page.by("build-start").disabled, page.text("build-open")], [true, "Building …"]);
  });

  for (const [status, said, isEnd] of [[401, "You are not logged in to Airflow.", true], [404, "Airflow says: no.", true], [503, "Airflow says: no. Asking again …", false]]) {
    test(`where Airflow answers a question about the run with ${status}, the page ${isEnd ? "ends" : "goes on and says so"}`, async () => {
      const { page } = await open();
      page.server.answers["dagRuns/"] = () => [status, { detail: "no" }];
      await page.click("build-start");
      assert.deepEqual([page.text("build-progress"), page.by("build-start").disabled], [said, !isEnd]);
    });
  }

  for (const [status, said, detail = "no"] of [[401, "You are not logged in to Airflow."], [403, "You may not trigger build_dataset."], [403, "You are not logged in to Airflow.", "Invalid JWT token"], [500, "Airflow says: no."]]) {
    test(`a start that Airflow answers with ${status} and ${detail} says why`, async () => {
      const { page } = await open({ start: [status, { detail }] });
      await page.click("build-start");
      assert.deepEqual([page.text("build-progress"), page.by("build-start").disabled], [said, false]);
    });
  }
});

describe("Stop", () => {
  const run = (dag_id, dag_run_id, state) => ({ dag_id, dag_run_id, state, start_date: null, queued_at: "2026-01-01T00:00:00Z" });

  async function open(looks, ended = [200, {}]) {
    const asked = [];
    const answers = {
      "dagRuns/list": (_, { body }) => {
        assert.deepEqual(JSON.parse(body).dag_ids, ["ingest_videos", "build_dataset", "retrain", "learning_curve"]);
        return [200, { dag_runs: looks.length > 1 ? looks.shift() : looks[0] }];
      },
      "dagRuns/": (url, { method, body }) => {
        asked.push([method, url.pathname, body]);
        return ended;
      },
    };
    const page = await Visitor.open({ answers });
    await page.click("stop-open");
    return { page, asked };
  }

  test("each unfinished run is ended once, after asking, and those that follow it", async () => {
    const [build, retrain] = [run("build_dataset", "manual__1+00:00", "running"), run("retrain", "asset__2", "queued")];
    const { page, asked } = await open([[build], [build], [build, retrain], []]);
    assert.match(page.text("stop-runs"), /^build_datasetrunning since /);
    assert.deepEqual(asked, []);
    await page.click("stop-start");
    for (let look = 0; look < 7; look += 1) await page.wait(1000);
    const path = "/api/v2/dags/build_dataset/dagRuns/manual__1%2B00%3A00";
    assert.deepEqual(asked, [["PATCH", path, '{"state":"failed"}'], ["PATCH", "/api/v2/dags/retrain/dagRuns/asset__2", '{"state":"failed"}']]);
    assert.deepEqual([page.text("stop-runs"), page.text("stop-progress")], ["build_datasetendedretrainended", "Ended."]);
  });

  test("where no run is unfinished, there is nothing to press", async () => {
    const { page } = await open([[]]);
    assert.deepEqual([page.text("stop-progress"), page.by("stop-start").disabled], ["No ingest, build, retrain or learning curve is unfinished.", true]);
  });

  test("a person who may not end runs learns it", async () => {
    const { page } = await open([[run("retrain", "1", "running")]], [403, { detail: "Forbidden" }]);
    await page.click("stop-start");
    assert.deepEqual([page.text("stop-progress"), page.by("stop-start").disabled], ["Airflow says: you may not end runs of retrain.", false]);
  });
});
