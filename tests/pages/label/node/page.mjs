// The whole page on a fake document, and a server that remembers what it is told.

import assert from "node:assert/strict";
import { mock } from "node:test";

import { importAnew } from "./anew.mjs";
import { STATIC, fakePage, fakeServer, settled } from "./fakes.mjs";

export const STORE = "s3://retake";
export const VIDEO = "a".repeat(64);

const action = (verb, noun, probability) => ({ verb, noun, probability });

/** A clip as the server tells it. */
export function clip(number, changes = {}) {
  const suggestions = [action("put", "meat", 0.9), action("take", "bag", 0.45)];
  const about = { uid: `clip${number}`, video: VIDEO, name: "a.mp4", start_seconds: number, stop_seconds: number + 1, num_frames: 30 };
  return { ...about, reading: "first", reason: null, suggestions, label: null, answer: null, token: null, over: null, conflict: null, ...changes };
}

/** Make a server with these changes; `clips` has those of clips by number, or all clips. */
function serverOf({ state, clips = {}, review, ...others }) {
  const first = {
    version: "1",
    ready: true,
    store: STORE,
    me: "anna",
    may_write: true,
    second_share: 0.1,
    build_options: { store: STORE, clip_seconds: 1 },
    cut: "one",
    cuts: [{ cut: "one", name: "1 s" }],
    counts: { num_clips: 120, num_labelled: 0, num_nothing: 0, num_unsure: 0, num_conflicts: 0, num_remaining: 120, num_mine: 0, ...state?.counts },
    frequent: [],
    brought: { verbs: [], nouns: [] },
    videos: [{ video: VIDEO, name: "a.mp4", num_clips: 40, num_labelled: 0 }],
  };
  const named = (...names) => names.map((name) => ({ name, num_clips: 1 }));
  return {
    state: { ...first, ...state, counts: first.counts },
    clips: Array.isArray(clips) ? clips : Array.from({ length: 120 }, (_, number) => clip(number, clips[number])),
    classes: { verbs: named("put", "take"), nouns: named("bag", "meat"), merges: [], near: [] },
    build: { num_clips: 40, num_new: 3, last_recipe: "auto: a probe", last_estimate: "about 40 s", gate: "The gate asks for 10 clips." },
    videos: {},
    review: { rows: [], num_rows: review?.rows?.length ?? 0, num_hidden: 0, rows_per_page: 50, people: [], agreement: null, unread: [], ...review },
    answers: {},
    conflicts: [],
    statements: [],
    ...others,
  };
}

const suggested = (start_seconds, stop_seconds, verb, noun, probability) => ({ start_seconds, stop_seconds, verb, noun, probability });

/** A video of 40 clips as the server tells it. */
export function videoOf(changes = {}) {
  const clips = Array.from({ length: 40 }, (_, number) => clip(number));
  const predicted = [suggested(0, 4, "put", "meat", 0.9), suggested(4, 8, "take", "bag", 0.86)];
  return { video: VIDEO, name: "a.mp4", duration_seconds: 40, clips, intervals: [], labels: [], conflicts: [], num_hidden: 0, predicted, ...changes };
}

/** A conflict between the answer to a clip and an interval over it. */
export function conflictOf(number, changes = {}) {
  const said = (verb, noun, by) => ({ answer: "action", verb, noun, by });
  const about = { uid: `clip${number}`, video: VIDEO, start_seconds: number, stop_seconds: number + 1 };
  return { ...about, answer: said("put", "meat", "anna"), interval: said("take", "bag", "ben"), over: "token-9", holds: "answer", ...changes };
}

// An interval replaces another; an undo brings that one back.
function remember(server, said) {
  const about = said.kind === "withdrawal" ? server.statements.find(({ token }) => token === said.withdrawn) : said;
  const [added, gone] = said.kind === "withdrawal" ? [said.undo && about?.replaces, said.withdrawn] : [said.token, said.replaces];
  for (const video of Object.values(server.videos)) {
    if (about?.kind === "interval" && about.video !== video.video) continue;
    const before = [...video.intervals, ...(server.before ?? [])];
    server.before = before;
    const interval = said.kind === "interval" ? { ...said, by: server.state.me } : before.find(({ token }) => token === added);
    video.intervals = [...video.intervals.filter(({ token }) => token !== gone), ...(interval ? [interval] : [])].sort((a, b) => a.start_seconds - b.start_seconds);
  }
}

function answer(server, address, options) {
  const url = new URL(address, "http://localhost/retake/label/");
  const name = url.pathname.replace("/retake/label/", "");
  const given = Object.entries(server.answers).find(([part]) => address.includes(part))?.[1];
  if (given) return given(url, options);
  if (["state", "classes", "build", "review"].includes(name)) return [200, server[name]];
  if (name.endsWith(".mp4")) return [200, new Blob([name])];
  if (name.startsWith("clips/")) {
    const known = server.clips.find(({ uid }) => name === `clips/${uid}`);
    return known ? [200, known] : [404, { detail: "there is no such clip" }];
  }
  if (name.startsWith("videos/")) return [200, server.videos[name.slice(7)]];
  if (name === "queue") {
    const skip = (url.searchParams.get("skip") ?? "").split(",");
    return [200, { clips: server.clips.filter(({ uid, isCovered }) => !isCovered && !skip.includes(uid)).slice(0, 20) }];
  }
  assert.equal(name, "statements", `nobody answers ${address}`);
  const said = JSON.parse(options.body);
  server.statements.push(said);
  server.state.counts.num_labelled += 1;
  remember(server, said);
  return [200, { number: server.statements.length, counts: server.state.counts, conflicts: server.conflicts.filter(({ uid, over }) => uid === said.uid && over !== said.over) }];
}

/** A person with the page open. */
export class Visitor {
  /** Open the page, with scripts that remember nothing of an earlier one, on a server with these changes. */
  static async open(changes = {}, hash = "") {
    const visitor = new Visitor();
    const server = serverOf(changes);
    visitor.server = server;
    visitor.document = fakePage(hash);
    mock.restoreAll();
    mock.timers.reset();
    mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
    let number = 0;
    mock.method(URL, "createObjectURL", () => `blob:${(number += 1)}`);
    mock.method(URL, "revokeObjectURL", () => {});
    visitor.asked = fakeServer((address, options) => answer(server, address, options));
    await importAnew(new URL("label.js", STATIC));
    await settled();
    return visitor;
  }

  by(id) {
    return this.document.getElementById(id);
  }

  text(id) {
    return this.by(id).textContent;
  }

  /** The texts of what fits a selector. */
  texts(selectors) {
    return this.document.querySelectorAll(selectors).map((element) => element.textContent);
  }

  /** Press keys; a text is typed letter by letter, where the focus is. */
  async press(...keys) {
    for (const key of keys) {
      const shift = key.startsWith("Shift+");
      const ctrl = key.startsWith("Control+");
      const name = key.replace(/^(Shift|Control)\+/, "");
      const target = this.document.activeElement;
      const code = /^\d$/.test(name) ? `Digit${name}` : "";
      const event = Object.assign(new Event("keydown", { bubbles: true, cancelable: true }), { key: name, code, repeat: false, shiftKey: shift, ctrlKey: ctrl });
      target.dispatchEvent(event);
      const now = this.document.activeElement;
      if (!event.defaultPrevented && name.length === 1 && now.localName === "input") await this.fill(now, now.value + name);
      await settled();
    }
  }

  async type(text) {
    await this.press(...text);
  }

  async fill(input, text) {
    input.value = text;
    for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
    await settled();
  }

  /** Check a box, or not. */
  async check(id, isOn) {
    this.by(id).checked = isOn;
    this.by(id).dispatchEvent(new Event("change"));
    await settled();
  }

  /** Click what has this name, or the element of this id. */
  async click(name) {
    const named = this.document.querySelectorAll("button, a").filter((element) => (element.ariaLabel ?? element.textContent.trim()) === name && element.isShown);
    const element = this.by(name) ?? named[0];
    assert.ok(element, `nothing is called ${name}`);
    element.click();
    if (element.href?.startsWith("#")) location.hash = element.href;
    await settled();
  }

  async wait(milliseconds) {
    mock.timers.tick(milliseconds);
    await settled();
  }

  /** Wait until the page has asked for what is new. */
  async renew(state = {}) {
    Object.assign(this.server.state, { version: `${Number(this.server.state.version) + 1}` }, state);
    await this.wait(3000);
  }

  /** Keep requests for a part of an address waiting; the first that waits gets what the function that is returned is given. */
  late(part) {
    const waiting = [];
    this.server.answers[part] = () => new Promise((resolve) => waiting.push(resolve));
    return async (body, status = 200) => {
      waiting.shift()([status, body]);
      await settled();
    };
  }

  /** The address of the film that a screen shows. */
  film(screen) {
    return this.document.querySelector(`#${screen} video:not(.behind)`)?.src;
  }

  /** The query of the last request for this path. */
  query(path) {
    return Object.fromEntries(new URLSearchParams(this.asked.findLast((request) => request.path.startsWith(path)).path.split("?")[1]));
  }

  /** What the server was told, without tokens. */
  get said() {
    return this.server.statements.map(({ token, ...statement }) => statement);
  }
}
