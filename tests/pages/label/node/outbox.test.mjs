import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { fakePage, fakeServer, settled } from "./fakes.mjs";

fakePage();
const { Outbox } = await import("../../../../tasks/pages/label/static/outbox.js");

let outbox, answers, asked, saved;

function open(person = "anna", store = "s3://retake") {
  const made = new Outbox(store, person);
  saved = [];
  made.addEventListener("saved", ({ detail }) => saved.push(detail.about));
  return made;
}

function add(name) {
  outbox.add({ kind: "clip", token: `token-${name}`, uid: `clip-${name}` }, name);
}

const tokens = () => asked.map(({ body }) => body.token);

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  fakePage();
  answers = [];
  asked = fakeServer(() => answers.shift() ?? [200, { number: 1, counts: {} }]);
  outbox = open();
});

test("statements are sent in order, with the header of the page, and then forgotten", async () => {
  for (const name of ["a", "b", "c"]) add(name);
  assert.deepEqual(outbox.uids, ["clip-a", "clip-b", "clip-c"]);
  await settled();
  assert.deepEqual([tokens(), saved, outbox.numUnsent], [["token-a", "token-b", "token-c"], ["a", "b", "c"], 0]);
  assert.equal(asked[0].headers["x-retake"], "label");
  assert.deepEqual(Object.keys(localStorage), []);
});

test("what is not taken is sent again with the same token, later and later, and told once", async () => {
  // The first two are not there; of the third, the server has it but its answer is lost.
  answers = [[503, { detail: "the store is away" }], [500, {}], [0]];
  add("a");
  for (const [wait, numAsked] of [[0, 1], [499, 1], [1, 2], [999, 2], [1, 3], [1999, 3], [1, 4]]) {
    mock.timers.tick(wait);
    await settled();
    assert.equal(asked.length, numAsked);
    assert.equal(outbox.isFailing, numAsked < 4);
  }
  assert.deepEqual([new Set(tokens()).size, saved], [1, ["a"]]);
});

test("what comes after a failure waits for its turn", async () => {
  answers = [[503, {}]];
  add("a");
  await settled();
  add("b");
  assert.equal(outbox.numUnsent, 2);
  outbox.retry();
  await settled();
  assert.deepEqual(tokens(), ["token-a", "token-a", "token-b"]);
});

test("a person who is logged out keeps the answers in the browser until they are back", async () => {
  answers = [[401, { detail: "no" }]];
  for (const name of ["a", "b"]) add(name);
  await settled();
  assert.deepEqual([outbox.held, outbox.numUnsent, asked.length], ["login", 2, 1]);
  for (const other of [open("ben"), open("anna", "s3://other")]) assert.equal(other.numUnsent, 0);
  outbox = open();
  assert.deepEqual(outbox.uids, ["clip-a", "clip-b"]);
  await outbox.send();
  assert.deepEqual([tokens().slice(1), saved], [["token-a", "token-b"], ["a", "b"]]);
  assert.equal(open().numUnsent, 0);
});

for (const event of ["focus", "online"]) {
  test(`answers of a person who was logged out are sent at ${event}`, async () => {
    answers = [[401, {}]];
    add("a");
    await settled();
    globalThis.dispatchEvent(new Event(event));
    await settled();
    assert.deepEqual([outbox.held, saved], [null, ["a"]]);
  });
}

test("a person who may not label is told, and nothing is lost", async () => {
  answers = [[403, {}]];
  add("a");
  await settled();
  globalThis.dispatchEvent(new Event("focus"));
  await settled();
  assert.deepEqual([outbox.held, outbox.numUnsent, asked.length], ["forbidden", 1, 1]);
});

for (const status of [400, 404, 413, 422]) {
  test(`a statement that is refused with ${status} keeps no other waiting, and is forgotten when it is dismissed`, async () => {
    answers = [[status, { detail: "there is no such clip" }]];
    for (const name of ["a", "b"]) add(name);
    await settled();
    assert.deepEqual([saved, outbox.refused.map(({ about, reason }) => [about, reason])], [["b"], [["a", "there is no such clip"]]]);
    outbox.dismiss(outbox.refused[0]);
    assert.deepEqual([outbox.refused, Object.keys(localStorage)], [[], []]);
  });
}

test("a full browser loses nothing while the page is open", async () => {
  const full = () => {
    throw new Error("full");
  };
  globalThis.localStorage = { getItem: () => null, setItem: full, removeItem: () => {} };
  add("a");
  await settled();
  assert.deepEqual(saved, ["a"]);
});
