// Says what happened: in a line that screen readers read, in the counts, and in banners for what needs a person.

import { airflow } from "./api.js";
import { by, h } from "./dom.js";
import { changes, session } from "./session.js";
import { count } from "./text.js";

const CONFLICTS = "#review/conflicts";

/** Say one thing; `retry` adds a button. @param {string} text @param {{ isBad?: boolean, retry?: (() => unknown) | null }} [options] */
export function announce(text, { isBad = false, retry = null } = {}) {
  const line = by("status");
  line.classList.toggle("bad", isBad);
  line.replaceChildren(text, ...(retry ? [" ", h("button", { type: "button", onclick: retry }, "Try again")] : []));
}

/** Say how much is done. @param {Counts} counts */
function doneText({ num_clips: all, num_labelled: labelled, num_unsure: unsure }) {
  return `${(labelled + unsure).toLocaleString("en")} of ${all.toLocaleString("en")} done`;
}

/** Keep counts and banners as they are now. @param {import("./outbox.js").Outbox} outbox */
export function keepStatusNew(outbox) {
  changes.addEventListener("change", renderCounts);
  for (const event of ["change", "saved"]) outbox.addEventListener(event, () => renderBanner(outbox));
  outbox.addEventListener("saved", ({ detail: { about, answer } }) => {
    session.counts = answer.counts;
    renderCounts();
    const number = answer.conflicts.length;
    announce(`Saved: ${about}; ${doneText(answer.counts)}.${number ? ` ${count(number, "clip")} now ${number === 1 ? "has" : "have"} two labels: choose one.` : ""}`);
  });
  renderBanner(outbox);
}

function renderCounts() {
  by("who").textContent = session.mayWrite ? session.me : `${session.me} (may only look)`;
  by("not-ready").hidden = session.ready;
  if (session.isEmpty) by("not-ready").textContent = `${session.store} has no clips yet: run ingest_videos first.`;
  if (!session.counts) return;
  const { num_clips: all, num_remaining: remaining, num_mine: mine, num_unsure: unsure, num_conflicts: conflicts } = session.counts;
  by("done").textContent = doneText(session.counts);
  by("remaining").replaceChildren(`${remaining.toLocaleString("en")} remaining · ${mine.toLocaleString("en")} by you${unsure ? ` · ${unsure.toLocaleString("en")} unsure` : ""}`, conflicts ? " · " : "", conflicts ? h("a", { href: CONFLICTS, onclick: leadAgain }, count(conflicts, "conflict")) : "");
  Object.assign(by("done-bar"), { max: all || 1, value: all - remaining });
}

// The same address once more is no news to a browser.
function leadAgain() {
  if (location.hash === CONFLICTS) dispatchEvent(new Event("hashchange"));
}

/** @param {import("./outbox.js").Outbox} outbox */
function renderBanner(outbox) {
  const parts = [];
  const unsent = `${count(outbox.numUnsent, "answer")} not saved yet`;
  if (outbox.held === "login") {
    parts.push(h("p", {}, `You are no longer logged in. ${unsent}; kept in this browser. `, h("a", { href: airflow(""), target: "_top" }, "Log in to Airflow"), " ", again(outbox)));
  } else if (outbox.held === "forbidden") {
    parts.push(h("p", {}, `You may look, but not label: labelling needs the right to trigger build_dataset. ${unsent}; kept in this browser. `, again(outbox)));
  } else if (outbox.isFailing) {
    parts.push(h("p", {}, `${unsent}: the server does not answer. They are kept in this browser and sent again. `, again(outbox)));
  }
  for (const entry of outbox.refused) {
    parts.push(h("p", {}, `“${entry.about}” was refused: ${entry.reason} `, h("button", { type: "button", onclick: () => outbox.dismiss(entry) }, "Dismiss")));
  }
  // The same words again would be read aloud again.
  if (by("banner").textContent !== parts.map((part) => part.textContent).join("")) by("banner").replaceChildren(...parts);
  by("unsent").textContent = outbox.numUnsent > 1 ? `${outbox.numUnsent} not saved` : "";
}

/** @param {import("./outbox.js").Outbox} outbox */
function again(outbox) {
  return h("button", { type: "button", onclick: () => outbox.retry() }, "Try again");
}
