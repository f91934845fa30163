import assert from "node:assert/strict";
import test, { beforeEach, mock } from "node:test";

import { fakePage } from "./fakes.mjs";

const document = fakePage();
const { Held, goesOn } = await import("../../../../tasks/pages/label/static/held.js");
const { listen, nameOf, setSingleKeys } = await import("../../../../tasks/pages/label/static/key_presses.js");

let said, box, held, view;

// A view as Clips is one: n and u answer, other letters begin a word.
function answer(letter) {
  held.flush();
  held.hold(letter, { send: () => said.push(letter), takeBack: () => said.push(`not ${letter}`) });
}

listen(() => view);
beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  [said, box, held] = [[], null, new Held()];
  document.getElementById("help").open = false;
  setSingleKeys(true);
  const words = { set: (text) => (box = text), focus: () => (box ??= "") };
  const act = (name) => () => said.push(name);
  view = {
    keys: { n: () => answer("n"), u: () => answer("u"), 1: act("1"), Enter: act("Enter"), "ctrl+z": act("undo"), ArrowRight: act("step"), " ": act("play") },
    home: act("home"),
    goesOn: (letter) => goesOn(held, words, letter),
    typed: () => words.focus(),
  };
});

function press(key, { target = document.body, ...given } = {}) {
  const event = Object.assign(new Event("keydown", { cancelable: true }), { key, code: "", repeat: false, ...given });
  Object.defineProperty(event, "target", { value: target });
  document.dispatchEvent(event);
  return event;
}

for (const [name, milliseconds] of [["at once", 0], ["after 200 ms", 200], ["after 399 ms", 399]]) {
  test(`a letter that follows ${name} makes a word of an answer by a letter`, () => {
    press("u");
    mock.timers.tick(milliseconds);
    press("n");
    mock.timers.tick(1000);
    assert.deepEqual([said, box], [["not u"], "u"]);
  });
}

test("a letter that follows later begins another answer", () => {
  press("u");
  mock.timers.tick(400);
  press("n");
  mock.timers.tick(400);
  assert.deepEqual([said, box], [["u", "n"], null]);
});

test("the same letter again answers the next clip, and each answer is said once", () => {
  for (let number = 0; number < 3; number += 1) press("n");
  mock.timers.tick(400);
  assert.deepEqual([said, box], [["n", "n", "n"], null]);
});

test("a letter of no answer begins a word, which is typed into the box", () => {
  const event = press("t");
  assert.deepEqual([said, box, event.defaultPrevented], [[], "", false]);
});

test("what is held is said when the page is left", () => {
  press("n");
  globalThis.dispatchEvent(new Event("pagehide"));
  assert.deepEqual(said, ["n"]);
});

test("a key that is held down answers once, but goes on from frame to frame", () => {
  for (const key of ["Enter", "ArrowRight"]) for (const repeat of [false, true, true]) press(key, { repeat });
  assert.deepEqual(said, ["Enter", "step", "step", "step"]);
});

test("keys that a control needs stay with the control", () => {
  press("Enter", { target: document.getElementById("answer-back") });
  press(" ", { target: document.getElementById("answer-back") });
  press("1", { target: document.getElementById("filter-name") });
  assert.deepEqual(said, []);
  press("1", { target: document.getElementById("answer-back") });
  press("Escape", { target: document.getElementById("filter-name") });
  assert.deepEqual(said, ["1", "home"]);
});

test("no key reaches the page behind a dialog, or from an input method", () => {
  press("n", { isComposing: true });
  document.getElementById("help").open = true;
  press("Enter");
  assert.deepEqual(said, []);
});

test("people who turn single keys off keep the others", () => {
  setSingleKeys(false);
  for (const key of ["n", "1", "t", "Enter", " "]) press(key);
  press("z", { ctrlKey: true });
  assert.deepEqual([said, box], [["Enter", "play", "undo"], null]);
});

for (const [given, name] of [
  [{ key: "n" }, "n"],
  [{ key: "M", shiftKey: true }, "M"],
  [{ key: '"', code: "Digit2", shiftKey: true }, "shift+2"],
  [{ key: "2", code: "Digit2" }, "2"],
  [{ key: "ArrowLeft", shiftKey: true }, "shift+ArrowLeft"],
  [{ key: "z", metaKey: true }, "ctrl+z"],
  [{ key: "a", altKey: true }, "alt+a"],
]) {
  test(`${JSON.stringify(given)} is ${name}`, () => assert.equal(nameOf({ code: "", ...given }), name));
}
