// The box that searches verbs and nouns: an ARIA combobox with a list.

import { h } from "./dom.js";
import { optionsOf } from "./matching.js";
import { currentName, session } from "./session.js";

/** @typedef {import("./matching.js").Option} Option */

let numBoxes = 0;

// Names that were merged are found, too: they lead to their new name.
/** @param {Target} target @param {Name[]} names @param {string[]} brought */
function namesOf(target, names, brought) {
  const merged = session.merges.filter((merge) => merge.target === target).map((merge) => merge.name);
  return [...new Set([...names.map((each) => each.name), ...merged, ...brought])];
}

/** @param {Option} option */
const completion = (option) => option.complete ?? option.text;

/** A search box; `onChoose` gets {verb, noun} or {answer}, `onLeave` is called on Escape. */
export class Words {
  /** @type {Option[]} */
  #options = [];
  #active = -1;
  /** A new verb that was chosen, while the text begins with it: it need not be chosen again with its noun. */
  #chosen = "";

  /** @param {{ label: string, onChoose: (choice: Choice) => void, onLeave: () => void, actions?: () => Action[] }} options */
  constructor({ label, onChoose, onLeave, actions = () => [] }) {
    numBoxes += 1;
    const id = `words-${numBoxes}`;
    this.onChoose = onChoose;
    this.onLeave = onLeave;
    this.actions = actions;
    this.list = h("ul", { id: `${id}-list`, role: "listbox", "aria-label": "Words", hidden: true });
    this.hint = h("p", { class: "hint", role: "status" });
    this.input = h("input", {
      id,
      type: "text",
      role: "combobox",
      placeholder: "verb noun",
      maxlength: 140,
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
      oninput: () => this.#search(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#show(false),
      onfocus: () => this.#search(),
    });
    this.element = h("div", { class: "words" }, h("div", { class: "words-top" }, h("label", { for: id }, label), this.hint), h("div", { class: "words-box" }, this.input, this.list));
  }

  get isEmpty() {
    return this.input.value === "";
  }

  /** Empty the box. */
  clear() {
    this.set("");
  }

  /** Write a text into the box. @param {string} text */
  set(text) {
    this.input.value = text;
    this.hint.textContent = "";
    this.#search();
  }

  focus() {
    this.input.focus();
  }

  #search() {
    this.hint.textContent = "";
    if (!this.input.value.startsWith(this.#chosen)) this.#chosen = "";
    this.#options = optionsOf(this.input.value, {
      verbs: namesOf("verb", session.verbs, [...session.brought.verbs, ...(this.#chosen ? [this.#chosen.trim()] : [])]),
      // In a store of verbs alone, an action has no object.
      nouns: namesOf("noun", session.nouns, session.nouns.length || !session.verbs.length ? session.brought.nouns : []),
      actions: this.actions(),
      rename: currentName,
    });
    this.#active = this.#options[0]?.isSure ? 0 : -1;
    this.list.replaceChildren(
      ...this.#options.map((option, number) =>
        h(
          "li",
          {
            id: `${this.list.id}-${number}`,
            role: "option",
            "aria-selected": "false",
            onpointerdown: (event) => event.preventDefault(),
            onclick: () => this.#choose(option),
          },
          h("span", {}, option.text),
          option.note && h("small", {}, option.note),
        ),
      ),
    );
    this.#show(this.#options.length > 0 && document.activeElement === this.input);
    this.#mark();
  }

  /** @param {boolean} isOpen */
  #show(isOpen) {
    this.list.hidden = !isOpen;
    this.input.setAttribute("aria-expanded", String(isOpen));
  }

  #mark() {
    [...this.list.children].forEach((item, number) => item.setAttribute("aria-selected", String(number === this.#active)));
    const item = this.list.children[this.#active];
    if (item) {
      this.input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else {
      this.input.removeAttribute("aria-activedescendant");
    }
  }

  /** @param {number} step */
  #move(step) {
    const { length } = this.#options;
    if (!length) return;
    this.#active = this.#active < 0 ? (step > 0 ? 0 : length - 1) : (this.#active + step + length) % length;
    this.#show(true);
    this.#mark();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = {
      ArrowDown: () => this.#move(1),
      ArrowUp: () => this.#move(-1),
      Enter: () => this.#enter(),
      Escape: () => this.#leave(),
      Tab: this.#active >= 0 && !event.shiftKey && completion(this.#options[this.#active]) !== this.input.value ? () => this.#complete(this.#options[this.#active]) : null,
      Backspace: this.isEmpty ? () => this.#leave() : null,
    }[event.key];
    event.stopPropagation();
    if (act) {
      event.preventDefault();
      act();
    }
  }

  /** @param {Option} option */
  #complete(option) {
    if (option.complete && !option.isSure) this.#chosen = option.complete;
    this.set(completion(option));
  }

  #enter() {
    if (this.#active >= 0) this.#choose(this.#options[this.#active]);
    else if (this.#options.length) this.hint.textContent = "Not a known word. Choose it with the arrow down to add it, or correct it.";
    else this.hint.textContent = this.isEmpty ? "Type a verb and a noun." : "Names have letters, digits and - : ' & . + ( ) %.";
  }

  /** @param {Option} option */
  #choose(option) {
    if (option.complete) {
      this.#complete(option);
      this.focus();
      return;
    }
    this.clear();
    this.onChoose(option);
  }

  #leave() {
    this.clear();
    this.onLeave();
  }
}
