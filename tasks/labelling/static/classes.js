// The view *Classes*: the names in use, renamed and merged.

import { token } from "./api.js";
import { by, h, openDialog, renew } from "./dom.js";
import { isName, near, normal } from "./matching.js";
import { changed, changes, currentName, refresh, session } from "./session.js";
import { announce } from "./status.js";
import { count } from "./text.js";

const PLURALS = { verb: "verbs", noun: "nouns" };

/** Make the view; `outbox()` returns where statements go. */
export function classesView(outbox) {
  let asked = null;
  let isOpen = false;

  function render() {
    for (const target of ["verb", "noun"]) renew(by(`class-${PLURALS[target]}`), table(target, session[PLURALS[target]]));
    const merges = session.merges.toReversed();
    renew(by("merges"), ...merges.map(merge), ...(merges.length ? [] : [h("li", { class: "note" }, "None.")]));
    by("per-class-tables").replaceChildren(counts("Verbs", session.verbs), counts("Nouns", session.nouns));
  }

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
            h("td", { class: "acts" }, session.mayWrite && h("button", { type: "button", "aria-label": `Rename or merge the ${target} ${name}`, onclick: () => openRename(target, name, num_clips) }, "Rename or merge")),
          ),
        ),
      ),
    );
  }

  function counts(title, names) {
    const largest = Math.max(1, ...names.map((one) => one.num_clips));
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

  function merge(one) {
    return h(
      "li",
      {},
      h("span", { class: "item" }, h("span", {}, h("strong", {}, one.name), " is now ", h("strong", {}, one.same_as)), h("span", { class: "quiet" }, `${one.target}, by ${one.by}`)),
      session.mayWrite && h("button", { type: "button", "aria-label": `Take back: ${one.name} is now ${one.same_as}`, onclick: () => takeBack(one) }, "Take back"),
    );
  }

  function openRename(target, name, number) {
    asked = { target, name, number };
    by("rename-title").textContent = `Rename or merge the ${target} “${name}”`;
    by("rename-to").value = name;
    check();
    openDialog(by("rename"));
    by("rename-to").select();
  }

  function check() {
    const { target, name, number } = asked;
    const to = normal(by("rename-to").value);
    const others = session[PLURALS[target]].map((one) => one.name).filter((other) => other !== name);
    const moved = count(number, "clip");
    const close = near(others, to);
    const [isGood, text] =
      to === name || to === ""
        ? [false, "Write another name."]
        : !isName(to)
          ? [false, "Names have letters, digits and - : ' & . + ( ) %, and start with a letter or a digit."]
          : currentName(target, to) === name
            ? [true, `${moved} of “${name}” will be called “${to}”, as before.`]
            : currentName(target, to) !== to
              ? [false, `“${to}” is now “${currentName(target, to)}”: write that name.`]
              : others.includes(to)
                ? [true, `${moved} of “${name}” will count as “${to}”, which exists.`]
                : [true, `${moved} of “${name}” will be called “${to}”.${close.length ? ` Did you mean ${close.map((one) => `“${one}”`).join(" or ")}?` : ""}`];
    by("rename-note").textContent = text;
    by("rename-save").disabled = !isGood;
    by("rename-save").textContent = others.includes(to) ? "Merge" : "Rename";
    return isGood ? to : null;
  }

  function rename() {
    const to = check();
    if (!to) return;
    const { target, name } = asked;
    outbox().add({ kind: "class", token: token(), target, name, same_as: to }, `${name} is now ${to}`);
    by("rename").close();
  }

  function takeBack(one) {
    outbox().add({ kind: "withdrawal", token: token(), withdrawn: one.token }, `undo of ${one.name} is now ${one.same_as}`);
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
    keys: {},
    show: () => {
      isOpen = true;
      reload();
    },
    hide: () => (isOpen = false),
    saved: () => isOpen && reload(),
  };
}
