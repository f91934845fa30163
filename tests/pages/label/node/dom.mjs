// As much of a document as the scripts of our pages ask for. Nothing here has a place or a size, and no film plays.

const FLAGS = ["hidden", "disabled", "checked", "open", "multiple"];
const TEXTS = ["id", "type", "href", "max", "min", "title"];
const VOID = ["meta", "link", "input", "br"];
const WIDTH = 800;
const known = new Map();

/** Read selectors like a browser: tags, ids, classes, attributes and `:not([…])`, one behind another or with commas between. */
function testsOf(selectors) {
  if (!known.has(selectors)) {
    known.set(selectors, selectors.split(",").map((selector) => selector.trim().split(/\s+/).toReversed().map(testOf)));
  }
  return known.get(selectors);
}

function testOf(compound) {
  const tests = compound.match(/:not\([^)]*\)|\[[^\]]*\]|[.#:]?[\w-]+/g).map((part) => {
    if (part.startsWith(":not(")) {
      const excluded = testOf(part.slice(5, -1));
      return (element) => !excluded(element);
    }
    if (part.startsWith(":")) return () => false;
    if (part.startsWith("#")) return (element) => element.id === part.slice(1);
    if (part.startsWith(".")) return (element) => element.classList.contains(part.slice(1));
    if (!part.startsWith("[")) return (element) => element.localName === part;
    const [name, value] = part.slice(1, -1).split("=");
    return (element) => element.getAttribute(name) !== null && (value === undefined || element.getAttribute(name) === value);
  });
  return (element) => tests.every((test) => test(element));
}

class TextNode {
  parentNode = null;

  constructor(text) {
    this.textContent = text;
  }
}

export class FakeElement extends EventTarget {
  #attributes = new Map();
  #value = null;
  childNodes = [];
  parentNode = null;
  scrollLeft = 0;
  clientWidth = WIDTH;
  validity = { badInput: false };
  style = new Map();

  constructor(localName, document) {
    super();
    this.localName = localName;
    this.ownerDocument = document;
    this.style.setProperty = (name, value) => this.style.set(name, String(value));
    this.classList = {
      contains: (name) => this.#classes().includes(name),
      add: (name) => this.classList.toggle(name, true),
      remove: (name) => this.classList.toggle(name, false),
      toggle: (name, isOn) => this.setAttribute("class", [...this.#classes().filter((other) => other !== name), ...(isOn ? [name] : [])].join(" ")),
    };
  }

  #classes() {
    return (this.getAttribute("class") ?? "").split(/\s+/).filter(Boolean);
  }

  getAttribute(name) {
    return this.#attributes.get(name) ?? null;
  }

  setAttribute(name, value) {
    this.#attributes.set(name, String(value));
  }

  removeAttribute(name) {
    this.#attributes.delete(name);
  }

  get ariaLabel() {
    return this.getAttribute("aria-label");
  }

  get children() {
    return this.childNodes.filter((node) => node instanceof FakeElement);
  }

  get textContent() {
    return this.childNodes.map((node) => node.textContent).join("");
  }

  set textContent(text) {
    this.replaceChildren(...(text === "" ? [] : [text]));
  }

  append(...nodes) {
    for (const given of nodes) {
      const node = given instanceof FakeElement ? given : new TextNode(String(given));
      if (node.parentNode) node.parentNode.childNodes = node.parentNode.childNodes.filter((other) => other !== node);
      node.parentNode = this;
      this.childNodes.push(node);
    }
  }

  replaceChildren(...nodes) {
    for (const node of this.childNodes) node.parentNode = null;
    this.childNodes = [];
    this.append(...nodes);
  }

  /** Add all elements below to a list, in the order of the document. */
  descendants(list = []) {
    for (const child of this.childNodes) {
      if (!(child instanceof FakeElement)) continue;
      list.push(child);
      child.descendants(list);
    }
    return list;
  }

  matches(selectors) {
    return testsOf(selectors).some(([fits, ...around]) => {
      if (!fits(this)) return false;
      let above = this.parentNode;
      for (const fitsAbove of around) {
        while (above && !fitsAbove(above)) above = above.parentNode;
        if (!above) return false;
        above = above.parentNode;
      }
      return true;
    });
  }

  querySelectorAll(selectors) {
    return this.descendants().filter((element) => element.matches(selectors));
  }

  querySelector(selectors) {
    return this.descendants().find((element) => element.matches(selectors)) ?? null;
  }

  closest(selectors) {
    return this.matches(selectors) ? this : (this.parentNode?.closest(selectors) ?? null);
  }

  contains(other) {
    return other === this || Boolean(other.parentNode && this.contains(other.parentNode));
  }

  get isShown() {
    if (this === this.ownerDocument.body) return true;
    return !this.hidden && (this.localName !== "dialog" || this.open) && Boolean(this.parentNode?.isShown);
  }

  focus() {
    if (this.disabled) return;
    const before = this.ownerDocument.activeElement;
    if (before === this) return;
    this.ownerDocument.focused = this;
    before.dispatchEvent(new Event("blur"));
    this.dispatchEvent(new Event("focus"));
  }

  /** Events reach what lies around the element, and then the document. */
  dispatchEvent(event) {
    if (event.target === null) Object.defineProperty(event, "target", { value: this });
    super.dispatchEvent(event);
    if (!event.bubbles || event.cancelBubble) return !event.defaultPrevented;
    return (this.parentNode ?? this.ownerDocument).dispatchEvent(event);
  }

  click() {
    if (!this.disabled) this.dispatchEvent(new Event("click", { bubbles: true, cancelable: true }));
  }

  get value() {
    if (this.localName !== "select") return this.#value ?? this.getAttribute("value") ?? "";
    const values = this.children.map((option) => option.value);
    return this.#value === "" || values.includes(this.#value) ? this.#value : (values[0] ?? "");
  }

  /** A list of choices takes none but its own. */
  set value(value) {
    const isTaken = this.localName !== "select" || this.children.some((option) => option.value === String(value));
    this.#value = isTaken ? String(value) : "";
  }

  get valueAsNumber() {
    return Number.parseFloat(this.value);
  }

  select() {}
  scrollIntoView() {}
  setPointerCapture() {}

  getBoundingClientRect() {
    return { left: 0, top: 0, width: WIDTH, height: 0 };
  }

  showModal() {
    this.open = true;
  }

  close() {
    this.open = false;
    this.dispatchEvent(new Event("close"));
  }
}

for (const name of FLAGS) {
  Object.defineProperty(FakeElement.prototype, name, {
    get() {
      return this.getAttribute(name) !== null;
    },
    set(isOn) {
      if (isOn) this.setAttribute(name, "");
      else this.removeAttribute(name);
    },
  });
}
for (const name of TEXTS) {
  Object.defineProperty(FakeElement.prototype, name, {
    get() {
      return this.getAttribute(name) ?? "";
    },
    set(text) {
      this.setAttribute(name, text);
    },
  });
}

/** A film is there as soon as it has an address, and stands still. */
class FakeVideo extends FakeElement {
  currentTime = 0;
  paused = true;
  playbackRate = 1;
  readyState = 0;
  duration = 1;
  #src = "";

  get src() {
    return this.#src;
  }

  set src(url) {
    this.#src = url;
    this.readyState = 0;
    this.currentTime = 0;
    if (this.ownerDocument.filmsCome) queueMicrotask(() => this.comes());
  }

  comes() {
    this.readyState = 4;
    this.dispatchEvent(new Event("loadeddata"));
  }

  removeAttribute(name) {
    if (name === "src") this.#src = "";
    super.removeAttribute(name);
  }

  play() {
    this.paused = false;
    this.dispatchEvent(new Event("play"));
    return Promise.resolve();
  }

  pause() {
    this.paused = true;
  }

  load() {
    this.readyState = 0;
  }
}

class FakeDocument extends EventTarget {
  visibilityState = "visible";
  filmsCome = true;
  focused = null;

  createElement(name) {
    return new (name === "video" ? FakeVideo : FakeElement)(name, this);
  }

  createElementNS(_, name) {
    return this.createElement(name);
  }

  get activeElement() {
    return this.focused && this.body.contains(this.focused) ? this.focused : this.body;
  }

  getElementById(id) {
    return this.body.descendants().find((element) => element.id === id) ?? null;
  }

  querySelector(selectors) {
    return this.body.querySelector(selectors);
  }

  querySelectorAll(selectors) {
    return this.body.querySelectorAll(selectors);
  }

  dispatchEvent(event) {
    super.dispatchEvent(event);
    return !event.defaultPrevented;
  }
}

/** Read a document as this project writes them: each tag is closed, and attributes have double quotes or no value. */
export function parse(html) {
  const document = new FakeDocument();
  const open = [document.createElement("root")];
  for (const [, text, closing, name, attributes] of html.matchAll(/([^<]*)<(\/?)([\w!]+)([^>]*)>/g)) {
    if (text.trim()) open.at(-1).append(text);
    if (name === "!doctype") continue;
    if (closing) {
      open.pop();
      continue;
    }
    const element = document.createElement(name);
    for (const [, attribute, , value] of attributes.matchAll(/([\w-]+)(="([^"]*)")?/g)) element.setAttribute(attribute, value ?? "");
    open.at(-1).append(element);
    if (!VOID.includes(name)) open.push(element);
  }
  document.body = open[0].querySelector("body");
  return document;
}
