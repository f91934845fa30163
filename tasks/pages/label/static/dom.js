// Makes elements from plain values. Text is always a text node, so a name is never read as HTML.

const SVG = "http://www.w3.org/2000/svg";
const NUM_HUES = 24;
const REST_MS = 350;

/** @template {Element} E @param {E} element @param {Attributes} attributes @param {(Child | Child[])[]} children */
function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.flat().filter(isShown));
  return element;
}

/** @param {Child} child @returns {child is Node | string} */
function isShown(child) {
  return child !== null && child !== undefined && child !== false;
}

/** Make an HTML element; attributes that begin with `on` are listeners. @template {keyof HTMLElementTagNameMap} T @param {T} tag @param {Attributes} attributes @param {(Child | Child[])[]} children */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. @template {keyof SVGElementTagNameMap} T @param {T} tag @param {Attributes} attributes @param {(Child | Child[])[]} children */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Find an element by its id. @param {string} id */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no element with the id ${id}`);
  return element;
}

/** Find an element of this page. @template {Ids[keyof Ids]} Id @param {Id} id @returns {ElementOf<Id>} */
export function by(id) {
  return /** @type {any} */ (find(id));
}

const filled = new WeakMap();

/** Fill a select with [value, text] pairs, and keep its choice where it is still there. @param {HTMLSelectElement} select @param {[string, string][]} pairs */
export function fillSelect(select, pairs) {
  const [chosen, text] = [select.value, JSON.stringify(pairs)];
  // A list that is open would close.
  if (filled.get(select) === text) return;
  filled.set(select, text);
  select.replaceChildren(...pairs.map(([value, label]) => h("option", { value }, label)));
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}

/** Put new children into an element; if the focus was inside, it stays on the control with the same place. @param {Element} element @param {Child[]} children */
export function renew(element, ...children) {
  const place = [...element.querySelectorAll("button, a, summary")].findIndex((control) => control === document.activeElement);
  element.replaceChildren(...children.filter(isShown));
  if (place >= 0) /** @type {NodeListOf<HTMLElement>} */ (element.querySelectorAll("button, a, summary"))[place]?.focus({ preventScroll: true });
}

/** Call when a person rests from typing into an input. @param {HTMLInputElement} input @param {() => unknown} call */
export function onRest(input, call) {
  /** @type {number | undefined} */
  let timer;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(call, REST_MS);
  });
}

/** Show a dialog, and give the focus back to the page when it closes. @param {HTMLDialogElement} dialog */
export function openDialog(dialog, onClose = () => {}) {
  dialog.addEventListener("close", onClose, { once: true });
  dialog.showModal();
}

/** Return the hue of a class in degrees by its name alone, the same on every page. @param {string} name */
export function hueOf(name) {
  let hash = 2166136261;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16777619);
  return ((hash >>> 8) % NUM_HUES) * (360 / NUM_HUES);
}

/** Colour an element by a class: the style sheet makes `--class` and `--class-page` of the hue readable in light and dark. @template {HTMLElement | SVGElement} E @param {E} element @param {string} name */
export function coloured(element, name) {
  element.classList.add("coloured");
  element.style.setProperty("--hue", String(hueOf(name)));
  return element;
}
