import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";

import { STATIC, fakePage } from "./fakes.mjs";

const TAGS = ["button", "input", "select", "dialog", "progress"];

test("the types of the scripts know each element that the page has, by its tag", () => {
  const types = readFileSync(new URL("../types.d.ts", STATIC), "utf8");
  const [, ids] = /interface Ids \{(.*?)\n\}/s.exec(types);
  const typed = [...ids.matchAll(/(\w+): ([^;]*);/g)].flatMap(([, tag, names]) => [...names.matchAll(/"([^"]+)"/g)].map(([, id]) => `${tag} ${id}`));
  const there = fakePage()
    .querySelectorAll("[id]")
    .map(({ id, localName }) => `${TAGS.includes(localName) ? localName : "other"} ${id}`);
  assert.deepEqual(typed.toSorted(), there.toSorted());
});

test("an element that the page lacks is named", async () => {
  fakePage();
  const { by } = await import(new URL("dom.js", STATIC));
  assert.throws(() => by("nowhere"), { message: "the page has no element with the id nowhere" });
  assert.equal(by("build").localName, "dialog");
});
