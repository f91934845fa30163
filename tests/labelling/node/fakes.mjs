// As much of a browser as the page's scripts ask for.

import { setMaxListeners } from "node:events";

/** Keeps what a page keeps in the browser. */
export function fakeStorage() {
  const kept = new Map();
  const methods = { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, String(value)), removeItem: (key) => kept.delete(key) };
  return new Proxy(methods, { ownKeys: () => [...kept.keys()], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }) });
}

/** An element that hears events and knows which selectors it fits. */
export class FakeElement extends EventTarget {
  value = "";
  hidden = false;
  textContent = "";

  constructor(localName = "div", fits = []) {
    super();
    this.localName = localName;
    this.fits = fits;
  }

  closest(selector) {
    return this.fits.some((one) => selector.includes(one)) ? this : null;
  }
}

/** Put the globals of a page in place; `elements` are found by id. */
export function fakePage(elements = {}) {
  const document = new EventTarget();
  Object.assign(document, { body: new FakeElement("body"), openDialog: null, videos: [] });
  document.getElementById = (id) => (elements[id] ??= new FakeElement());
  document.querySelector = (selector) => (selector === "dialog[open]" ? document.openDialog : null);
  document.querySelectorAll = (selector) => (selector === "video" ? document.videos : []);
  const events = new EventTarget();
  setMaxListeners(0, events);
  Object.assign(globalThis, {
    document,
    Element: FakeElement,
    localStorage: fakeStorage(),
    location: { pathname: "/retake/label/" },
    addEventListener: events.addEventListener.bind(events),
    dispatchEvent: events.dispatchEvent.bind(events),
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
