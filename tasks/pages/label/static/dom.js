// Makes elements from plain values. Text is always a text node, so a name is never read as HTML.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Make an HTML element; attributes that begin with `on` are listeners. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Find an element of the page by its id. */
export function by(id) {
  return document.getElementById(id);
}

const filled = new WeakMap();

/** Fill a select with [value, text] pairs, and keep its choice where it is still there. */
export function fillSelect(select, pairs) {
  const [chosen, text] = [select.value, JSON.stringify(pairs)];
  // A list that is open would close.
  if (filled.get(select) === text) return;
  filled.set(select, text);
  select.replaceChildren(...pairs.map(([value, text]) => h("option", { value }, text)));
  if (pairs.some(([value]) => value === chosen)) select.value = chosen;
}

/** Put new children into an element; if the focus was inside, it stays on the control with the same place. */
export function renew(element, ...children) {
  const place = [...element.querySelectorAll("button, a, summary")].indexOf(document.activeElement);
  element.replaceChildren(...children.filter(Boolean));
  if (place >= 0) element.querySelectorAll("button, a, summary")[place]?.focus({ preventScroll: true });
}

/** Show a dialog, and give the focus back to the page when it closes. */
export function openDialog(dialog, onClose = () => {}) {
  dialog.addEventListener("close", onClose, { once: true });
  dialog.showModal();
}
