import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { fakePage, fakeServer, settled } from "./fakes.mjs";

const document = fakePage();
const { fileOf, keepOnly } = await import("../../../../tasks/pages/label/static/clip_files.js");
const { playerKeys } = await import("../../../../tasks/pages/label/static/player.js");
const { Sequence } = await import("../../../../tasks/pages/label/static/sequence.js");
const { isSame, lanesOf } = await import("../../../../tasks/pages/label/static/timeline.js");

// Clips of a second, except the last, which is half as long; the second clip is missing.
const CLIPS = [[0, 1], [2, 3], [3, 3.5]].map(([start_seconds, stop_seconds], number) => ({ uid: `clip${number}`, start_seconds, stop_seconds, num_frames: 30 }));
const video = document.createElement("video");
document.body.append(video);
let asked, player, sequence, freed;

class FakePlayer extends EventTarget {
  time = 0;
  rate = 1;
  shown = [];
  prepared = [];
  clear() {}
  show(url, { seconds }) {
    this.shown.push(url);
    this.time = seconds;
  }
  prepare(url) {
    this.prepared.push(url);
  }
  play(isOn) {
    this.isPlaying = isOn;
  }
}

beforeEach(async () => {
  keepOnly([]);
  await settled();
  mock.restoreAll();
  video.src = "";
  asked = fakeServer(() => [200, new Blob(["film"])]);
  freed = [];
  let number = 0;
  mock.method(URL, "createObjectURL", () => `blob:${(number += 1)}`);
  mock.method(URL, "revokeObjectURL", (url) => freed.push(url));
  player = new FakePlayer();
  sequence = new Sequence(player);
  sequence.open(CLIPS);
});

const paths = () => asked.map(({ path }) => path);

test("a file is read once while it is kept, and again after a failure", async () => {
  assert.equal(await fileOf("a"), await fileOf("a"));
  asked = fakeServer(() => [503, {}]);
  await assert.rejects(fileOf("b"), { status: 503 });
  asked = fakeServer(() => [200, new Blob(["film"])]);
  await fileOf("b");
  assert.deepEqual(paths(), ["clips/b.mp4"]);
});

test("files are let go of, but not those that a video element has", async () => {
  const [a, b] = [await fileOf("a"), await fileOf("b")];
  video.src = a;
  keepOnly(["c"]);
  await settled();
  assert.deepEqual([freed, paths().at(-1)], [[b], "clips/c.mp4"]);
});

test("a video goes on from clip to clip, over what no clip has, and stops at its end", async () => {
  await sequence.seek(0.5);
  await settled();
  assert.deepEqual([sequence.time, player.shown.length, player.prepared.length], [0.5, 1, 1]);
  player.dispatchEvent(new Event("end"));
  await settled();
  assert.deepEqual([sequence.time, player.shown[1]], [2, player.prepared[0]]);
  for (let number = 0; number < 2; number += 1) player.dispatchEvent(new Event("end"));
  await settled();
  player.dispatchEvent(new Event("end"));
  assert.equal(player.isPlaying, false);
});

for (const [wanted, time] of [[1.5, 2], [0.9999, 2], [-1, 0], [99, 3.5]]) {
  test(`the video at ${wanted} s is at ${time} s`, async () => {
    await sequence.seek(wanted);
    assert.equal(sequence.time, time);
  });
}

test("of two places that are wanted at once, the later is shown", async () => {
  const both = [sequence.seek(0), sequence.seek(3.2)];
  assert.equal(sequence.time, 3.2);
  await Promise.all(both);
  assert.deepEqual([sequence.time, player.shown.length], [3.2, 1]);
  assert.equal(sequence.frameSeconds, 0.5 / 30);
});

test("a clip of the video before is neither shown nor its failure named, however late it comes", async () => {
  for (const status of [200, 503]) {
    let late;
    const failures = [];
    sequence.addEventListener("failed", ({ detail }) => failures.push(detail.message));
    asked = fakeServer((address) => (address.includes("early") ? new Promise((resolve) => (late = () => resolve([status, new Blob(["film"])]))) : [200, new Blob(["film"])]));
    sequence.open([{ ...CLIPS[0], uid: `early${status}` }]);
    const before = sequence.seek(0);
    sequence.open([{ ...CLIPS[0], uid: `now${status}` }]);
    await sequence.seek(0);
    const shown = [...player.shown];
    late();
    await before;
    assert.deepEqual([player.shown, failures, sequence.time], [shown, [], 0]);
  }
});

test("a clip that cannot be read is told", async () => {
  const failures = [];
  sequence.addEventListener("failed", ({ detail }) => failures.push(detail.message));
  asked = fakeServer(() => [0]);
  await sequence.seek(3);
  assert.deepEqual([failures, sequence.time], [["the server does not answer"], 0]);
});

test("keys step by frame and second, and pause; speed has its limits", () => {
  const places = [];
  const keys = playerKeys(player, () => 0.04, (seconds) => places.push(seconds), () => 5);
  for (const key of ["ArrowLeft", "ArrowRight", "shift+ArrowLeft", "shift+ArrowRight"]) keys[key]();
  assert.deepEqual([places, player.isPlaying], [[4.96, 5.04, 4, 6], false]);
  const speeds = ["<", "<", "<", ">", ">", ">", ">", ">", ">"].map((key) => (keys[key](), player.rate));
  assert.deepEqual(speeds, [0.5, 0.25, 0.25, 0.5, 1, 1.5, 2, 3, 3]);
});

const span = (start_seconds, stop_seconds, verb = "put", noun = "meat") => ({ start_seconds, stop_seconds, verb, noun });

test("intervals that overlap lie in different lanes, and a lane is used again", () => {
  assert.deepEqual(lanesOf([span(0, 4), span(1, 2), span(2, 5), span(3, 6), span(4, 7)]), [0, 1, 1, 2, 0]);
  assert.deepEqual(lanesOf([]), []);
});

for (const [other, isTaken] of [[span(0, 4), true], [span(2, 9), true], [span(2.1, 9), false], [span(0, 4, "take"), false], [span(0, 4, "put", "bag"), false]]) {
  test(`a suggestion of 0 to 4 s is ${isTaken ? "" : "not "}taken by ${JSON.stringify(other)}`, () => assert.equal(isSame(span(0, 4), other), isTaken));
}
