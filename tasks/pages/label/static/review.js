// The view *Review*: all labels, who gave them, where people differ, and how far they agree.

import { get, token } from "./api.js";
import { conflictItem, settle } from "./conflict.js";
import { by, coloured, fillSelect, h, onRest, openDialog, renew } from "./dom.js";
import { fileOf } from "./clip_files.js";
import { Player } from "./player.js";
import { changes, learn, session } from "./session.js";
import { announce } from "./status.js";
import { answerName, clock, count, decimal, moment, percent } from "./text.js";
import { Words } from "./words.js";

const NUM_UNREAD = 5;
const COLUMNS = ["Clip", "Label", "By", "When", ""];

/** Make the view; `outbox()` returns where statements go. @param {() => import("./outbox.js").Outbox} outbox @returns {View} */
export function reviewView(outbox) {
  const words = new Words({ label: "Verb and noun", onChoose: change, onLeave: () => by("change").close(), actions: () => session.quickActions });
  by("change-words").append(words.element);
  /** @type {Player | null} */
  let player = null;
  /** @type {Row | null} */
  let changing = null;
  let page = 0;
  let generation = 0;
  let isOpen = false;

  async function load() {
    generation += 1;
    const of = generation;
    try {
      const answer = await get("review", {
        show: by("review-show").value,
        by: by("review-by").value,
        video: by("review-video").value,
        name: by("review-name").value.trim(),
        page,
      });
      if (of === generation) render(answer);
    } catch (error) {
      if (of === generation) announce(`The labels could not be read: ${error.message}.`, { isBad: true, retry: load });
    }
  }

  /** @param {Review} answer */
  function render({ rows, num_rows, num_hidden, rows_per_page, people, agreement, unread }) {
    const numPages = Math.max(1, Math.ceil(num_rows / rows_per_page));
    if (page >= numPages) {
      turn(numPages - 1 - page);
      return;
    }
    fillSelect(by("review-by"), [["", "all people"], ...people.map((person) => /** @type {[string, string]} */ ([person, person]))]);
    by("agreement").textContent = agreementText(agreement);
    by("review-count").textContent = `${count(num_rows, "label")}${num_hidden ? `; ${num_hidden.toLocaleString("en")} more hidden until you have read their clips as the second person` : ""}`;
    renew(by("review-unread"), ...unread.slice(0, NUM_UNREAD).map((problem) => h("li", {}, problem)), unread.length > NUM_UNREAD && h("li", {}, `and ${unread.length - NUM_UNREAD} more`));
    renew(by("review-rows"), rows.length ? table(rows) : h("p", { class: "end" }, "No label fits."));
    by("review-page").textContent = `page ${page + 1} of ${numPages}`;
    by("review-newer").disabled = page === 0;
    by("review-older").disabled = page + 1 >= numPages;
  }

  /** @param {Row[]} rows */
  function table(rows) {
    return h(
      "table",
      { class: "labels" },
      h("caption", { class: "sr" }, "Labels, the latest first"),
      h("thead", {}, h("tr", {}, COLUMNS.map((name) => h("th", { scope: "col" }, name || h("span", { class: "sr" }, "What to do"))))),
      h("tbody", {}, rows.map(row)),
    );
  }

  /** @param {Row} entry */
  function row(entry) {
    const { conflict } = entry;
    const text = answerName(entry.answer, entry.verb, entry.noun);
    const place = `${entry.name} ${clock(entry.start_seconds)}`;
    return h(
      "tr",
      { class: entry.is_conflict || entry.conflict ? "conflict" : "" },
      h("td", {}, h("a", { href: address(entry) }, entry.name), h("span", { class: "quiet when" }, ` ${clock(entry.start_seconds)}–${clock(entry.stop_seconds)}`)),
      h("td", {}, coloured(h("strong", {}, text), text), entry.kind === "interval" && h("span", { class: "quiet" }, " (interval)"), entry.is_conflict && h("span", { class: "flag" }, "people differ"), history(entry), conflict && conflictItem(conflict, (taken) => settle(outbox(), conflict, taken))),
      h("td", {}, entry.by, entry.reading === "second" && h("span", { class: "quiet" }, " (second)")),
      h("td", { class: "quiet" }, entry.at && moment(entry.at)),
      h(
        "td",
        { class: "acts" },
        entry.kind !== "clip"
          ? h("a", { href: address(entry), "aria-label": `Open ${text} of ${place} in Intervals` }, "In Intervals")
          : h("button", { type: "button", "aria-label": `${session.mayWrite ? "Change" : "Watch"} ${text} of ${place}`, onclick: () => openChange(entry) }, session.mayWrite ? "Change" : "Watch"),
        entry.kind !== "file" && session.mayWrite && h("button", { type: "button", "aria-label": `Withdraw ${text} of ${place}`, onclick: () => withdraw(entry) }, "Withdraw"),
      ),
    );
  }

  /** @param {Row} row */
  function history({ statements }) {
    if (statements.length < 2) return null;
    return h(
      "details",
      { class: "history" },
      h("summary", {}, count(statements.length, "statement")),
      h(
        "ol",
        {},
        statements.map((statement) =>
          h("li", {}, `${statement.by}${statement.reading === "second" ? " (second)" : ""}: ${answerName(statement.answer, statement.verb, statement.noun)}, `, h("span", { class: "quiet" }, moment(statement.at))),
        ),
      ),
    );
  }

  // Writing

  /** @param {Row} entry */
  function withdraw(entry) {
    outbox().add({ kind: "withdrawal", token: token(), withdrawn: entry.token }, `withdrawal of ${answerName(entry.answer, entry.verb, entry.noun)}`);
  }

  /** @param {Row} entry */
  async function openChange(entry) {
    changing = entry;
    by("change-title").textContent = session.mayWrite ? "Change the label" : "Watch the clip";
    by("change-about").textContent = `${entry.name} ${clock(entry.start_seconds)}–${clock(entry.stop_seconds)}: ${answerName(entry.answer, entry.verb, entry.noun)} (by ${entry.by})`;
    for (const id of /** @type {const} */ (["change-words", "change-nothing", "change-unsure"])) by(id).hidden = !session.mayWrite;
    words.clear();
    player ??= new Player(by("change-screen"), { loop: true, label: "The clip" });
    openDialog(by("change"), () => player?.clear());
    const isHere = () => changing === entry && by("change").open;
    try {
      const url = await fileOf(entry.uid);
      if (isHere()) player.show(url, { play: true });
    } catch (error) {
      if (isHere()) by("change-about").textContent += ` The clip could not be read: ${error.message}.`;
    }
  }

  /** @param {Choice} choice */
  function change({ answer = "action", verb = null, noun = null }) {
    if (!changing) return;
    const said = answer === "action" ? { verb, noun } : {};
    outbox().add({ kind: "clip", token: token(), uid: changing.uid, answer, ...said, reading: "first", ...(changing.over && { over: changing.over }) }, answerName(answer, verb, noun));
    if (answer === "action" && verb !== null && noun !== null) learn(verb, noun);
    by("change").close();
  }

  // Controls

  function again() {
    page = 0;
    load();
  }

  /** @param {number} step */
  function turn(step) {
    page += step;
    load();
    by("review-rows").scrollIntoView({ block: "nearest" });
  }

  for (const id of /** @type {const} */ (["review-show", "review-by", "review-video"])) by(id).addEventListener("change", again);
  onRest(by("review-name"), again);
  by("review-newer").addEventListener("click", () => turn(-1));
  by("review-older").addEventListener("click", () => turn(1));
  by("change-nothing").addEventListener("click", () => change({ answer: "nothing" }));
  by("change-unsure").addEventListener("click", () => change({ answer: "unsure" }));
  by("change-screen").addEventListener("click", () => player?.toggle());
  changes.addEventListener("change", () => isOpen && !by("change").open && document.activeElement === document.body && load());

  return {
    keys: {},
    show: (which) => {
      isOpen = true;
      if (which === "conflicts") {
        page = 0;
        for (const [id, value] of /** @type {const} */ ([["show", which], ["by", ""], ["video", ""], ["name", ""]])) by(`review-${id}`).value = value;
      }
      load();
    },
    hide: () => (isOpen = false),
    saved: () => isOpen && load(),
  };
}

/** @param {Row} entry */
function address(entry) {
  return `#intervals/${entry.video}/${entry.start_seconds}`;
}

/** @param {Agreement | null} agreement */
function agreementText(agreement) {
  if (!agreement) return `No clip has been read twice yet. ${percent(session.secondShare)} of the clips are given to a second person, who does not see the first answer.`;
  const { num_clips, num_videos, share, kappa, interval } = agreement;
  const range = interval ? ` (95 % interval ${interval.map(decimal).join(" to ")}, over ${count(num_videos, "video")})` : " (no interval: it takes clips of three videos)";
  const value = kappa === null ? "cannot be told: both always give the same answer" : `${decimal(kappa)}${range}`;
  return `Agreement beyond chance, Cohen's kappa: ${value}. Same answer: ${percent(share)} of ${count(num_clips, "clip")} read twice.`;
}
