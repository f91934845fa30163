// The page that compares two datasets.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { importAnew } from "../../label/node/anew.mjs";
import { FakeElement, parse } from "../../label/node/dom.mjs";
import { settled, told } from "./page.mjs";

const STATIC = new URL("../../../../tasks/pages/home/static/", import.meta.url);
const [A, B] = ["a".repeat(16), "b".repeat(16)];
const NONE = Object.fromEntries(["videos_added", "videos_removed", "clips_added", "clips_removed", "relabelled", "moved", "classes_added", "classes_removed", "splits"].map((name) => [name, []]));

async function open(search, rows = {}, numbers = {}, kept = [[B, "2026-11-28T20:00:00Z", 5000], [A, "2026-11-20T20:00:00Z", 4840]]) {
  const document = parse(readFileSync(new URL("datasets.html", STATIC), "utf8"));
  const state = told();
  state.status.dataset.datasets = kept.map(([digest, at, num_clips]) => ({ digest, at, num_clips }));
  const [asked, late] = [[], {}];
  const all = { ...NONE, ...rows };
  const answer = { before: A, after: B, rows: all, numbers: { ...Object.fromEntries(Object.entries(all).map(([name, list]) => [name, list.length])), ...numbers } };
  Object.assign(globalThis, { document, Element: FakeElement, window: { top: null }, location: { pathname: "/retake/datasets/", search }, history: { replaceState() {} } });
  globalThis.fetch = async (address) => {
    asked.push(address);
    return late[address] ?? { ok: true, status: 200, json: async () => (address.startsWith("../state") ? state : answer) };
  };
  await importAnew(new URL("datasets.js", STATIC));
  await settled();
  const compare = async (a, b) => {
    for (const [id, value] of Object.entries({ a, b })) document.getElementById(id).value = value;
    document.getElementById("choice").dispatchEvent(new Event("submit", { cancelable: true }));
    await settled();
  };
  return { asked, late, answer, compare, text: (id) => document.getElementById(id).textContent };
}

test("without a choice the latest dataset is compared with the one before", async () => {
  const page = await open("?store=s3://retake");
  assert.equal(page.asked.at(-1), `../difference?store=s3%3A%2F%2Fretake&a=${A}&b=${B}`);
  assert.equal(page.text("difference"), "They have the same clips, with the same labels, in the same splits.");
});

test("each list has its number, and a long one says how to see the rest", async () => {
  const clip = { uid: "u", name: "<i>film.mp4", start_seconds: 8, stop_seconds: 16, before: "put meat", after: "take bag" };
  const page = await open(`?store=s3://other&a=${A}&b=${B}`, { relabelled: [clip], classes_added: ["wash pan"], videos_added: [{ name: "new.mp4", num_clips: 80 }], splits: [{ split: "train", before: 1, after: 2 }] }, { relabelled: 400 });
  const text = page.text("difference");
  assert.match(text, /Labels that changed: 400VideoTimeBeforeNow<i>film.mp40:08–0:16put meattake bagAnd 399 more: eval "\$\(\.venv\/bin\/python -m tasks\.local env\)"; \.venv\/bin\/python -m tasks diff a+ b+ --store=s3:\/\/other/);
  assert.match(text, /New videos: 1VideoClipsnew.mp480/);
  assert.match(text, /New classes: 1Classwash pan/);
  assert.match(text, /SplitsSplitClips beforeClips nowtrain12/);
});

test("of two comparisons the one that was asked for last is shown", async () => {
  const page = await open("");
  const [first, second] = [[B, A], [A, A]].map(([a, b]) => `../difference?store=${encodeURIComponent("s3://retake")}&a=${a}&b=${b}`);
  const reply = {};
  for (const address of [first, second]) page.late[address] = new Promise((resolve) => (reply[address] = resolve));
  await page.compare(B, A);
  await page.compare(A, A);
  assert.equal(page.asked.at(-1), second);
  reply[second]({ ok: true, status: 200, json: async () => ({ ...page.answer, before: "second" }) });
  reply[first]({ ok: false, status: 503, json: async () => ({ detail: "busy" }) });
  await settled();
  assert.deepEqual([page.text("said"), page.text("banner")], [`second → ${B}`, ""]);
});

test("an address with one dataset of a store that lists none says when the list comes", async () => {
  const page = await open(`?a=${A}`, {}, {}, []);
  assert.equal(page.text("banner"), "The list of datasets appears with the next build.");
});

for (const search of ["", `?a=${A}`, `?b=${A}`, `?a=${A}&b=${A}`])
  test(`a single dataset is not compared with itself: ${search}`, async () => {
    const page = await open(search, {}, {}, [[A, "2026-11-28T20:00:00Z", 60]]);
    assert.equal(page.text("banner"), "There is one dataset: a second to compare appears with the next build.");
  });

for (const [search, other] of [[`?a=${A}`, `a=${A}&b=${B}`], [`?a=${B}`, `a=${B}&b=${A}`], [`?b=${A}`, `a=${B}&b=${A}`], [`?a=${A}&b=${A}`, `a=${A}&b=${B}`]])
  test(`of two datasets, one of the address is compared with the other: ${search}`, async () => {
    assert.match((await open(search)).asked.at(-1), new RegExp(`${other}$`));
  });

test("a dataset of the address that is no longer listed is compared, too", async () => {
  const page = await open(`?a=${"c".repeat(16)}&b=${B}`);
  assert.match(page.asked.at(-1), new RegExp(`a=${"c".repeat(16)}`));
});
