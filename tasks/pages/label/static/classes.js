// The view *Classes*: the names in use with some of their clips, renamed and merged.

import { get, token } from "./api.js";
import { by, h, openDialog, renew } from "./dom.js";
import { fileOf } from "./clip_files.js";
import { isName, near, normal } from "./matching.js";
import { Player } from "./player.js";
import { changed, changes, currentName, refresh, session } from "./session.js";
import { announce } from "./status.js";
import { actionName, clock, count } from "./text.js";

const NUM_SHOWN = 6;
const PLURALS = /** @type {const} */ ({ verb: "verbs", noun: "nouns" });

/** Make the view; `outbox()` returns where statements go. @param {() => import("./outbox.js").Outbox} outbox @returns {View} */
export function classesView(outbox) {
  /** @type {{ target: Target, name: string, number: number } | null} */
  let asked = null;
  let isOpen = false;
  /** @type {Player | null} */
  let player = null;
  let generation = 0;
  /** @type {{ token: string | null, run: () => unknown }[]} */
  const done = [];

  function render() {
    for (const target of /** @type {const} */ (["verb", "noun"])) renew(by(`class-${PLURALS[target]}`), table(target, session[PLURALS[target]]));
    by("near-part").hidden = !session.near.length || !session.mayWrite;
    renew(by("near"), ...session.near.map(pair));
    const merges = session.merges.toReversed();
    renew(by("merges"), ...merges.map(merge), ...(merges.length ? [] : [h("li", { class: "note" }, "None.")]));
    perClass();
  }

  function perClass() {
    by("per-class-tables").replaceChildren(counts("Verbs", session.verbs), counts("Nouns", session.nouns));
  }

  /** @param {Target} target @param {Name[]} names */
  function table(target, names) {
    if (!names.length) return h("p", { class: "note" }, "None yet.");
    return h(
      "table",
      {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Name"), h("th", { scope: "col", class: "num" }, "Clips"), h("th", {}, h("span", { class: "sr" }, "What to do")))),
      h(
        "tbody",
        {},
        names.map(({ name, num_clips }) =>
          h(
            "tr",
            {},
            h("td", {}, name),
            h("td", { class: "num" }, num_clips.toLocaleString("en")),
            h("td", { class: "acts" }, h("button", { type: "button", disabled: !num_clips, "aria-label": `Watch clips of the ${target} ${name}`, onclick: () => openClips(target, name) }, "Watch"), session.mayWrite && h("button", { type: "button", "aria-label": `Rename or merge the ${target} ${name}`, onclick: () => openRename(target, name, num_clips) }, "Rename or merge")),
          ),
        ),
      ),
    );
  }

  /** @param {string} title @param {Name[]} names */
  function counts(title, names) {
    const largest = Math.max(1, ...names.map((name) => name.num_clips));
    return h(
      "table",
      {},
      h("caption", {}, title),
      h(
        "tbody",
        {},
        names.map(({ name, num_clips }) =>
          h("tr", {}, h("td", {}, name), h("td", {}, h("meter", { min: 0, max: largest, value: num_clips, "aria-hidden": "true" })), h("td", { class: "num" }, num_clips.toLocaleString("en"))),
        ),
      ),
    );
  }

  /** @param {Merge} earlier */
  function merge(earlier) {
    return h(
      "li",
      {},
      h("span", { class: "item" }, h("span", {}, h("strong", {}, earlier.name), " is now ", h("strong", {}, earlier.same_as)), h("span", { class: "quiet" }, `${earlier.target}, by ${earlier.by}`)),
      session.mayWrite && h("button", { type: "button", "aria-label": `Take back: ${earlier.name} is now ${earlier.same_as}`, onclick: () => takeBack(earlier) }, "Take back"),
    );
  }

  // The rarer name is merged into the more frequent one.
  /** @param {Near} pair */
  function pair({ target, names }) {
    const [to, from] = session[PLURALS[target]].filter(({ name }) => names.includes(name));
    if (!from) return null;
    const text = `Merge ${from.name} into ${to.name}`;
    return h(
      "li",
      {},
      h("span", { class: "item" }, h("span", {}, h("strong", {}, from.name), " and ", h("strong", {}, to.name)), h("span", { class: "quiet" }, `${target}s, ${count(from.num_clips, "clip")} and ${count(to.num_clips, "clip")}`)),
      h("button", { type: "button", "aria-label": text, onclick: () => openRename(target, from.name, from.num_clips, to.name) }, "Merge"),
    );
  }

  /** @param {Target} target @param {string} name */
  async function openClips(target, name) {
    generation += 1;
    const of = generation;
    by("of-class-title").textContent = `Clips of the ${target} “${name}”`;
    by("of-class-list").replaceChildren();
    player ??= new Player(by("of-class-screen"), { loop: true, label: "The clip" });
    openDialog(by("of-class"), () => player?.clear());
    try {
      const { clips } = await get("queue", { show: "labelled", name, limit: NUM_SHOWN });
      if (of !== generation) return;
      const shown = clips.filter(({ label }) => label?.[target] === name);
      by("of-class-list").replaceChildren(...shown.map(item));
      if (shown.length) await play(shown[0]);
    } catch (error) {
      if (of === generation) by("of-class-list").replaceChildren(h("li", { class: "note" }, `The clips could not be read: ${error.message}.`));
    }
  }

  /** @param {Clip} clip */
  function item(clip) {
    return h(
      "li",
      {},
      h("button", { type: "button", class: "item", "data-uid": clip.uid, onclick: () => play(clip) }, h("span", { class: "when" }, `${clip.name} ${clock(clip.start_seconds)}`), h("strong", {}, clip.label && actionName(clip.label.verb, clip.label.noun)), h("span", { class: "quiet" }, clip.label?.origin)),
      h("a", { href: `#clip=${clip.uid}`, onclick: () => by("of-class").close() }, "In Clips"),
    );
  }

  /** @param {Clip} clip */
  async function play(clip) {
    generation += 1;
    const of = generation;
    by("of-class-list").querySelector(".note")?.remove();
    for (const button of by("of-class-list").querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.getAttribute("data-uid") === clip.uid));
    try {
      const url = await fileOf(clip.uid);
      if (of === generation && by("of-class").open) player?.show(url, { play: true });
    } catch (error) {
      if (of === generation) by("of-class-list").append(h("li", { class: "note" }, `The clip could not be read: ${error.message}.`));
    }
  }

  /** @param {Target} target @param {string} name @param {number} number */
  function openRename(target, name, number, to = name) {
    asked = { target, name, number };
    by("rename-title").textContent = `Rename or merge the ${target} “${name}”`;
    by("rename-to").value = to;
    check();
    openDialog(by("rename"));
    by("rename-to").select();
  }

  function check() {
    if (!asked) return null;
    const { target, name, number } = asked;
    const to = normal(by("rename-to").value);
    const others = session[PLURALS[target]].map((each) => each.name).filter((other) => other !== name);
    const problem = problemOf(target, name, to);
    by("rename-note").textContent = problem ?? `${count(number, "clip")} of “${name}” will ${effectOf(target, name, to, others)}`;
    by("rename-save").disabled = problem !== null;
    by("rename-save").textContent = others.includes(to) ? "Merge" : "Rename";
    return problem === null ? to : null;
  }

  function rename() {
    const to = check();
    if (!to || !asked) return;
    const { target, name } = asked;
    const statement = merged(target, name, to);
    done.push({ token: statement.token, run: () => withdraw(statement) });
    by("rename").close();
  }

  /** @param {Target} target @param {string} name @param {string} same_as */
  function merged(target, name, same_as) {
    /** @type {ClassMerge} */
    const statement = { kind: "class", token: token(), target, name, same_as };
    outbox().add(statement, `${name} is now ${same_as}`);
    return statement;
  }

  /** @param {{ token: string, name: string, same_as: string }} earlier */
  function withdraw(earlier) {
    outbox().add({ kind: "withdrawal", token: token(), withdrawn: earlier.token }, `undo of ${earlier.name} is now ${earlier.same_as}`);
  }

  /** @param {Merge} earlier */
  function takeBack(earlier) {
    withdraw(earlier);
    const own = done.findIndex(({ token: of }) => of === earlier.token);
    if (own >= 0) done.splice(own, 1);
    done.push({ token: null, run: () => merged(earlier.target, earlier.name, earlier.same_as) });
  }

  function undo() {
    if (!session.mayWrite || !done.length) return announce("There is no change to take back: the list below has those of before.");
    return done.pop()?.run();
  }

  by("rename-to").addEventListener("input", check);
  by("rename-to").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    // Else the same key would press the button that opened the dialog, which has the focus again.
    event.preventDefault();
    rename();
  });
  by("rename-save").addEventListener("click", rename);
  changes.addEventListener("change", render);

  function reload() {
    refresh().then(changed, (error) => announce(`The classes could not be read: ${error.message}.`, { isBad: true, retry: reload }));
  }

  return {
    keys: { "ctrl+z": undo },
    show: () => {
      isOpen = true;
      reload();
    },
    hide: () => (isOpen = false),
    saved: () => (isOpen ? reload() : perClass()),
  };
}

/** Say why a name cannot take the place of another; null if it can. @param {Target} target @param {string} name @param {string} to */
function problemOf(target, name, to) {
  if (to === name || to === "") return "Write another name.";
  if (!isName(to)) return "Names have letters, digits and - : ' & . + ( ) %, and start with a letter or a digit.";
  const current = currentName(target, to);
  return current === to || current === name ? null : `“${to}” is now “${current}”: write that name.`;
}

/** Say what becomes of the clips of a name. @param {Target} target @param {string} name @param {string} to @param {string[]} others */
function effectOf(target, name, to, others) {
  if (currentName(target, to) === name) return `be called “${to}”, as before.`;
  if (others.includes(to)) return `count as “${to}”, which exists.`;
  const close = near(others, to).map((each) => `“${each}”`);
  return `be called “${to}”.${close.length ? ` Did you mean ${close.join(" or ")}?` : ""}`;
}
