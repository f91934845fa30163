// As much of a browser as the page's scripts ask for.

import { setMaxListeners } from "node:events";
import { readFileSync } from "node:fs";

import { FakeElement, parse } from "./dom.mjs";

export const STATIC = new URL("../../../../tasks/pages/label/static/", import.meta.url);

/** Keeps what a page keeps in the browser. */
export function fakeStorage() {
  const kept = new Map();
  const methods = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, String(value)), removeItem: (key) => kept.delete(key) };
  return new Proxy(methods, { ownKeys: () => [...kept.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });
}

/** Put the globals of the page in place, without its scripts, and return its document. */
export function fakePage(hash = "") {
  const document = parse(readFileSync(new URL("index.html", STATIC), "utf8"));
  const events = new EventTarget();
  setMaxListeners(0, events);
  let at = hash;
  const location = {
    pathname: "/retake/label/",
    replace(to) {
      location.hash = to;
    },
    get hash() {
      return at;
    },
    set hash(to) {
      at = to;
      events.dispatchEvent(new Event("hashchange"));
    },
  };
  Object.assign(globalThis, {
    document,
    location,
    Element: FakeElement,
    localStorage: fakeStorage(),
    addEventListener: events.addEventListener.bind(events),
    dispatchEvent: events.dispatchEvent.bind(events),
    window: { focus() {} },
    requestAnimationFrame() {},
    ResizeObserver: class {
      observe() {}
    },
    HTMLMediaElement: { HAVE_CURRENT_DATA: 2 },
  });
  return document;
}

/** Answer requests by `answer(path, options)`, which returns [status, body]; returns the requests. */
export function fakeServer(answer) {
  const asked = [];
  globalThis.fetch = async (path, options = {}) => {
    asked.push({ path, ...options, body: options.body && JSON.parse(options.body) });
    const [status, body] = await answer(path, options);
    if (status === 0) throw new TypeError("no connection");
    return new Response(body instanceof Blob ? body : JSON.stringify(body), { status });
  };
  return asked;
}

/** Let everything that waits for answers go on. */
export async function settled() {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}
