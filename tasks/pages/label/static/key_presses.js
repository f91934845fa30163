// Hands key presses to the view that is open. A key that a control needs stays with the control. What each key does is in `keys` of clips.js,
// intervals.js and classes.js and `playerKeys` of player.js; people read it in the <kbd> of index.html.

/** @type {Record<string, string[]>} */
const NATIVE = { button: ["Enter", " "], a: ["Enter"], summary: ["Enter", " "], input: [" "] };
const TYPING = "input:not([type=checkbox]), select, textarea, [contenteditable]";
const MAY_REPEAT = /Arrow|^[-+=]$/;
const SETTING = "retake-label/single-keys";

/** Check whether single letters and digits are commands: people who dictate or use a screen reader can turn them off. */
export function areSingleKeysOn() {
  return localStorage.getItem(SETTING) !== "off";
}

/** @param {boolean} isOn */
export function setSingleKeys(isOn) {
  localStorage.setItem(SETTING, isOn ? "on" : "off");
}

/** Name a key press: `ctrl+z`, `shift+ArrowLeft`, `n`; shift only counts for keys that are no letters. @param {KeyboardEvent} event */
export function nameOf(event) {
  const isLetter = event.key.length === 1;
  const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
  const key = digit && event.shiftKey ? digit : event.key;
  const marks = [(event.ctrlKey || event.metaKey) && "ctrl", event.altKey && "alt", event.shiftKey && (!isLetter || digit) && "shift"];
  return [...marks.filter(Boolean), key].join("+");
}

/** Listen to keys; `open()` returns the view that is open, with `keys` by name, and perhaps `typed(event)` for other letters and `goesOn(letter)` for one that goes on with a word. @param {() => View} open */
export function listen(open) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    const target = event.target instanceof Element ? event.target : document.body;
    if (target.closest(TYPING)) {
      if (event.key === "Escape") open().home?.();
      return;
    }
    if (NATIVE[target.localName]?.includes(event.key)) return;
    const name = nameOf(event);
    const isSingle = event.key.length === 1 && event.key !== " " && !name.startsWith("ctrl+");
    if (isSingle && !areSingleKeysOn()) return;
    const view = open();
    const isLetter = isSingle && /^\p{L}$/u.test(name);
    if (isLetter && !event.repeat && view.goesOn?.(name)) return;
    const act = view.keys[name];
    if (act) {
      event.preventDefault();
      // A key that is held down answers once.
      if (!event.repeat || MAY_REPEAT.test(name)) act(event);
    } else if (isLetter) {
      view.typed?.(event);
    }
  });
}
