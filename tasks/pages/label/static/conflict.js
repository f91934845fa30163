// Shows the answer about a clip beside the interval over it that says otherwise, with the choice between them.

import { token } from "./api.js";
import { coloured, h } from "./dom.js";
import { session } from "./session.js";
import { NOTHING, answerName, clock } from "./text.js";

/** Make one conflict; `choose` gets the label that is taken. @param {Conflict} conflict @param {(label: Label) => void} choose */
export function conflictItem(conflict, choose) {
  const { answer, interval, holds, start_seconds, stop_seconds } = conflict;
  const side = (/** @type {Label} */ label) => {
    const name = answerName(label.answer, label.verb, label.noun);
    return /** @type {const} */ ([name, [coloured(h("strong", {}, name), name), ` by ${label.by}`]]);
  };
  const [[answered, ofClip], [marked, ofInterval]] = [side(answer), side(interval)];
  const take = (/** @type {Label} */ label, /** @type {string} */ name) => h("button", { type: "button", "aria-label": `Take “${name}” for ${clock(start_seconds)}`, onclick: () => choose(label) }, `Take “${name}”`);
  return h(
    "div",
    { class: "two" },
    h("p", {}, h("a", { href: `#clip=${conflict.uid}` }, `${clock(start_seconds)}–${clock(stop_seconds)}`), " has two labels: ", ...ofClip, " for the clip, ", ...ofInterval, ` for an interval over it. Now the ${holds === "answer" ? "clip's" : "interval's"} counts, which is later.`),
    session.mayWrite && h("div", { class: "row" }, take(answer, answered), take(interval, marked)),
  );
}

/** Say which label of a conflict is taken: whoever says so knew both. @param {import("./outbox.js").Outbox} outbox @param {Conflict} conflict @param {Label} label */
export function settle(outbox, { uid, over }, { answer, verb, noun }) {
  const said = answer !== "action" || verb === NOTHING ? { answer: /** @type {const} */ ("nothing") } : { answer, verb, noun };
  outbox.add({ kind: "clip", token: token(), uid, ...said, reading: "first", over }, answerName(answer, verb, noun));
}
