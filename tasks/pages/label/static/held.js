// Holds an answer by a letter back for a moment, because words begin with this letter, too.

// Nine of ten people type the next letter of a word within this time; nobody sees, knows and names the next clip in it.
const HOLD_MS = 400;

/** The last answer by a letter, as long as another letter may make it the beginning of a word. */
export class Held {
  /** @type {string | null} */
  #letter = null;
  #send = () => {};
  #takeBack = () => {};
  #timer = 0;

  constructor() {
    addEventListener("pagehide", () => this.flush());
  }

  /** Hold a letter: `send` says its answer, `takeBack` undoes what the page shows of it. @param {string} letter */
  hold(letter, { send = () => {}, takeBack = () => {} } = {}) {
    this.flush();
    [this.#letter, this.#send, this.#takeBack] = [letter, send, takeBack];
    this.#timer = setTimeout(() => this.flush(), HOLD_MS);
  }

  /** Say what is held, now. */
  flush() {
    this.#end()?.send();
  }

  /** Take the answer back if `letter` goes on with a word; return the word's first letter, else null. @param {string} letter */
  take(letter) {
    // No word begins with the same letter twice.
    const held = letter === this.#letter ? null : this.#end();
    held?.takeBack();
    return held?.letter ?? null;
  }

  #end() {
    if (this.#letter === null) return null;
    clearTimeout(this.#timer);
    const held = { letter: this.#letter, send: this.#send, takeBack: this.#takeBack };
    this.#letter = null;
    return held;
  }
}

/** Write `letter` behind the one that is held, if both begin a word: the box takes the letter that is typed. @param {Held} held @param {import("./words.js").Words} words @param {string} letter */
export function goesOn(held, words, letter) {
  const first = held.take(letter);
  if (first === null) return false;
  words.set(first);
  words.focus();
  return true;
}
