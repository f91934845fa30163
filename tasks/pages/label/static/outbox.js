// Sends statements in order, and keeps each in the browser until the server has it.

import { say } from "./api.js";

const PREFIX = "retake-label/unsent/";
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 30_000;

/** The statements of one person that the server does not have yet. */
export class Outbox extends EventTarget {
  /** @type {Entry[]} */
  #waiting = [];
  /** @type {(Entry & { reason: string })[]} */
  #refused = [];
  #isSending = false;
  #wake = () => {};
  #numFailures = 0;
  #number = 0;

  /** `held` says why nothing is sent: "login", "forbidden", or null. @type {"login" | "forbidden" | null} */
  held = null;

  /** @param {string} store @param {string} person */
  constructor(store, person) {
    super();
    this.prefix = `${PREFIX}${encodeURIComponent(store)}/${encodeURIComponent(person)}/`;
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.prefix)).sort();
    this.#waiting = keys.map((key) => ({ key, ...JSON.parse(localStorage.getItem(key) ?? "null") }));
    addEventListener("online", () => this.retry());
    // People come back from logging in elsewhere.
    addEventListener("focus", () => this.held === "login" && this.retry());
  }

  get numUnsent() {
    return this.#waiting.length;
  }

  /** Count of the statements made here; an answer that was asked for at a smaller count is stale. */
  get numMade() {
    return this.#number;
  }

  /** Whether sending has failed and goes on later. */
  get isFailing() {
    return this.#numFailures > 0;
  }

  /** Statements that the server will never take, with its reason. */
  get refused() {
    return this.#refused;
  }

  /** List the statements that are not saved yet, in order. */
  get statements() {
    return this.#waiting.map((entry) => entry.statement);
  }

  /** List the clips with a statement that is not saved yet. */
  get uids() {
    return this.statements.flatMap((statement) => (statement.kind === "clip" ? [statement.uid] : []));
  }

  /** Keep a statement, and send it. `about` is its text for people. @param {Statement} statement @param {string} about */
  add(statement, about) {
    this.#number += 1;
    const key = `${this.prefix}${String(Date.now()).padStart(15, "0")}-${String(this.#number).padStart(6, "0")}-${statement.token}`;
    this.#waiting.push({ key, statement, about });
    try {
      localStorage.setItem(key, JSON.stringify({ statement, about }));
    } catch {
      // The browser's storage is full: the statement waits in memory.
    }
    this.#changed();
    this.send();
  }

  /** Try again now. */
  retry() {
    this.held = null;
    this.#wake();
    this.send();
  }

  /** Forget a statement that the server refused. @param {Entry} entry */
  dismiss(entry) {
    this.#refused = this.#refused.filter((each) => each !== entry);
    localStorage.removeItem(entry.key);
    this.#changed();
  }

  /** Send what waits, one after another, because an undo must come after what it undoes. */
  async send() {
    if (this.#isSending) return;
    this.#isSending = true;
    while (this.#waiting.length && !this.held) {
      const entry = this.#waiting[0];
      try {
        const answer = await say(entry.statement);
        this.#waiting.shift();
        localStorage.removeItem(entry.key);
        this.#numFailures = 0;
        this.dispatchEvent(new CustomEvent("saved", { detail: { ...entry, answer } }));
      } catch (error) {
        await this.#failed(entry, error);
      }
      this.#changed();
    }
    this.#isSending = false;
  }

  /** @param {Entry} entry @param {import("./api.js").Failed} error */
  async #failed(entry, error) {
    if (error.status === 401 || error.status === 403) {
      this.held = error.status === 401 ? "login" : "forbidden";
    } else if ([400, 404, 413, 422].includes(error.status)) {
      this.#waiting.shift();
      this.#refused.push({ ...entry, reason: error.message });
    } else {
      this.#numFailures += 1;
      this.#changed();
      await this.#pause(Math.min(FIRST_WAIT_MS * 2 ** (this.#numFailures - 1), LONGEST_WAIT_MS));
    }
  }

  /** @param {number} milliseconds @returns {Promise<void>} */
  #pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
