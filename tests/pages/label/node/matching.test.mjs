import assert from "node:assert/strict";
import test from "node:test";

import { isName, near, normal, optionsOf } from "../../../../tasks/pages/label/static/matching.js";

const WORDS = {
  verbs: ["put", "take", "move", "cut-up"],
  nouns: ["meat", "bag", "sauce", "potato"],
  actions: [{ verb: "put", noun: "meat" }],
  rename: (target, name) => name,
};

function shown(text, words = {}) {
  return optionsOf(text, { ...WORDS, ...words }).map((option) => (option.note ? `${option.text} | ${option.note}` : option.text));
}

for (const [typed, options] of [
  ["pu", ["put …", "put meat", "pu … | new verb"]],
  ["put po", ["put potato", "put po | new noun"]],
  ["put meta", ["put meat | did you mean this?", "put meta | new noun"]],
  ["putt meat", ["put meat | did you mean this?", "putt meat | new verb"]],
  ["nudge pan", ["nudge pan | new verb and new noun"]],
  ["Put  MEAT", ["put meat"]],
  ["cut up ba", ["cut-up bag", "cut-up ba | new noun"]],
  ["cut up meat", ["cut-up meat"]],
  ["take ", ["take | no object", "take meat", "take bag", "take sauce", "take potato"]],
  ["noth", ["nothing happens", "noth … | new verb"]],
  ["nothing ", ["nothing happens"]],
  ["meat", ["put meat", "take meat", "move meat", "meat … | new verb"]],
  ["put <b>", []],
  ["", []],
  ["  ", []],
]) {
  test(`“${typed}” can mean ${options.length ? options.join(", ") : "nothing"}`, () => assert.deepEqual(shown(typed), options));
}

test("only known words are sure: Enter takes no new word and no guess", () => {
  for (const text of ["put meta", "putt meat", "nudge pan", "xylo"]) assert.ok(optionsOf(text, WORDS).every((option) => !option.isSure), text);
  assert.ok(optionsOf("put me", WORDS)[0].isSure);
});

test("a name that was merged leads to its new name", () => {
  const rename = (target, name) => (target === "noun" && name === "beef" ? "meat" : name);
  assert.deepEqual(shown("put beef", { nouns: [...WORDS.nouns, "beef"], rename }), ["put meat | was put beef"]);
});

test("without nouns a verb is an action of its own", () => {
  const [option] = optionsOf("wav", { ...WORDS, verbs: ["wave"], nouns: [], actions: [] });
  assert.deepEqual([option.verb, option.noun, option.complete], ["wave", "(none)", undefined]);
});

test("there are never more than nine options", () => {
  const names = Array.from({ length: 50 }, (_, number) => `p${number}`);
  for (const text of ["p", "p1 ", "p1 p"]) assert.ok(optionsOf(text, { ...WORDS, verbs: names, nouns: names }).length <= 9, text);
});

test("a name is written as the store writes it", () => {
  assert.equal(normal("  Cut_up \u200b Ｍeat "), "cut-up-meat");
  for (const name of ["put", "cut-up", "été", "2nd"]) assert.ok(isName(name), name);
  for (const name of ["", "-put", "<b>", "put meat", "x".repeat(65)]) assert.ok(!isName(name), name);
});

test("a slip of the finger is near, and two letters exchanged are one slip", () => {
  assert.deepEqual(near(["meat", "bag"], "maet"), ["meat"]);
  assert.deepEqual(near(["meat", "bag"], "gab"), []);
  assert.deepEqual(near(["potato"], "optatoo"), ["potato"]);
  assert.deepEqual(near(["to"], "ti"), []);
});
