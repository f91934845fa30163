// The view *Clips*: one clip after another, each with one answer.

import { clipsAfter, isAnswered } from "./ahead.js";
import { get, token } from "./api.js";
import { labelText, noSuggestionText, quickActionItems, spokenText, suggestionItems, suggestionsOf, whyText } from "./clip_parts.js";
import { conflictItem, settle } from "./conflict.js";
import { by, h, renew as fill } from "./dom.js";
import { fileOf, keepOnly } from "./clip_files.js";
import { filters, isBlind } from "./filters.js";
import { Held, goesOn } from "./held.js";
import { goingRetrain, runPage } from "./last_build.js";
import { Player, frameSeconds, playerKeys } from "./player.js";
import { changes, learn, session } from "./session.js";
import { announce } from "./status.js";
import { NOTHING, NO_OBJECT, answerName, clock, count } from "./text.js";
import { Words } from "./words.js";

const NUM_AHEAD = 5;
const NUM_BEHIND = 2;
const NUM_KEPT = 200;

/** Make the view; `outbox()` returns where statements go. @param {() => import("./outbox.js").Outbox} outbox @returns {View} */
export function clipsView(outbox) {
  const stage = by("stage");
  const player = new Player(by("clip-screen"), { loop: true, label: "The clip" });
  const words = new Words({ label: "Verb and noun", onChoose: choose, onLeave: () => stage.focus(), actions: () => [...suggested(), ...session.quickActions] });
  by("clip-words").append(words.element);
  /** @type {Clip[]} */
  let list = [];
  let at = 0;
  let isEnd = false;
  let isOpen = false;
  let wantsFocus = false;
  /** @type {Clip | undefined} */
  let shown;
  /** @type {Clip | null} */
  let onScreen = null;
  let generation = 0;
  let visit = 0;
  /** @type {Promise<void> | null} */
  let asking = null;
  /** @type {string | null} */
  let retrain = null;
  let version = "";
  /** @type {{ clip: Clip, before: Partial<Clip>, token: string }[]} */
  const answered = [];
  /** @type {Map<string, Conflict>} */
  const conflicts = new Map();
  const held = new Held();

  /** @returns {Clip | undefined} */
  const current = () => list[at];

  // Checks whether this person is asked if the label is right.
  /** @param {Clip} clip */
  const isAsked = ({ doubt }) => Boolean(doubt) && !isBlind() && session.mayWrite;

  function suggested() {
    const clip = current();
    return !clip || isBlind() ? [] : suggestionsOf(clip);
  }

  // The list of clips

  async function restart() {
    generation += 1;
    [list, at, isEnd, asking] = [[], 0, false, null];
    // The file of the clip that loops is let go of.
    player.clear();
    render();
    await more();
    await show();
  }

  function more() {
    if (isEnd || !session.ready) return Promise.resolve();
    const of = generation;
    asking ??= ask(of).finally(() => {
      if (of === generation) asking = null;
    });
    return asking;
  }

  /** @param {number} of */
  async function ask(of) {
    try {
      const added = await clipsAfter(list, outbox().uids);
      if (of !== generation) return;
      // `renew` may have brought some of them meanwhile.
      const inHand = new Set(list.map((clip) => clip.uid));
      list.push(...added.filter((clip) => !inHand.has(clip.uid)));
      isEnd = !added.length;
      if (!list.length || (isEnd && list.every(isAnswered))) retrain = await goingRetrain();
    } catch (error) {
      if (of === generation) announce(`The next clips could not be read: ${error.message}.`, { isBad: true, retry: () => more().then(show) });
    }
  }

  // A clip around an interval is none of the page's: its video is shown where it begins.
  /** @param {string} uid @returns {Promise<void>} */
  async function showClip(uid) {
    visit += 1;
    const of = visit;
    await more();
    try {
      const clip = await get(`clips/${encodeURIComponent(uid)}`);
      if (of !== visit) return undefined;
      const place = list.findIndex((each) => each.uid === uid);
      if (place < 0) list.splice(at, 0, clip);
      else at = list.indexOf(Object.assign(list[place], clip));
    } catch (error) {
      if (of !== visit) return undefined;
      const [, start, milliseconds] = /^([0-9a-f]{12})_([0-9]+)-/.exec(uid) ?? [];
      const holder = error.status === 404 && session.videos.find(({ video }) => video.startsWith(start));
      if (holder) return location.replace(`#video=${holder.video}&at=${Number(milliseconds) / 1000}`);
      announce(`The clip of this address could not be read: ${error.message}.`, { isBad: true, retry: () => showClip(uid) });
    }
    return show();
  }

  // Intervals may label what was to be asked, others may answer it, and a prediction suggest other actions. The clip on the screen stays there.
  /** @param {boolean} isAway */
  async function renew(isAway) {
    if (!list.length || outbox().numUnsent) return;
    const [of, newest, made, clip, uids] = [generation, session.version, outbox().numMade, current(), [...conflicts.keys()]];
    const look = (/** @type {string} */ uid) => get(`clips/${encodeURIComponent(uid)}`);
    const behind = list.slice(0, clip && !(isAway && !isAnswered(clip)) ? at + 1 : at);
    try {
      const [added, now, ...inConflict] = await Promise.all([clipsAfter(behind, outbox().uids), clip && look(clip.uid), ...uids.map(look)]);
      if (of !== generation || clip !== current() || made !== outbox().numMade) return;
      list = [...behind, ...added.map((each) => (each.uid === clip?.uid ? clip : each))];
      isEnd = !added.length;
      version = newest;
      // A person who has seen the suggestions reads as the first.
      if (clip && now && !(clip.reading === "first" && now.reading === "second")) Object.assign(clip, now);
      for (const { uid, conflict } of inConflict) {
        if (conflict) conflicts.set(uid, conflict);
        else conflicts.delete(uid);
      }
      if (current() === clip) keepAround();
      else show();
    } catch {
      // The next time may be better.
    }
  }

  // Showing

  async function show() {
    const clip = current();
    shown = clip;
    seen(false);
    keepAround();
    if (isOpen && clip) speak(clip);
    if (list.length - at <= NUM_AHEAD) more().then(() => (current() === shown ? keepAround() : show()));
    if (!clip) {
      player.clear();
      return;
    }
    try {
      const url = await fileOf(clip.uid);
      if (clip !== current()) return;
      onScreen = clip;
      player.show(url, { play: true });
      const next = list[at + 1];
      if (next) fileOf(next.uid).then((nextUrl) => clip === current() && player.prepare(nextUrl), () => {});
    } catch (error) {
      announce(`This clip could not be read: ${error.message}.`, { isBad: true, retry: show });
    }
  }

  // An answer before the picture is there would be about a clip that nobody has seen.
  /** @param {boolean} isSeen */
  function seen(isSeen) {
    stage.setAttribute("aria-busy", String(!isSeen));
  }

  // For those who do not see what is suggested.
  /** @param {Clip} clip */
  function speak(clip) {
    by("spoken").textContent = spokenText(clip, isBlind());
  }

  function keepAround() {
    keepOnly(list.slice(Math.max(0, at - NUM_BEHIND), at + NUM_AHEAD + 1).map((each) => each.uid));
    render();
  }

  function render() {
    const clip = current();
    by("view-clips").classList.toggle("is-empty", !clip);
    fill(by("clip-end"), ...(!session.ready || clip ? [] : isEnd ? endParts() : ["Reading clips …"]));
    by("clip-caption").replaceChildren(
      ...(clip ? [h("a", { href: `#intervals/${clip.video}/${clip.start_seconds}`, title: "Open in Intervals" }, clip.name), ` ${clock(clip.start_seconds)}–${clock(clip.stop_seconds)}`] : []),
    );
    // The reason names the model's answers.
    by("clip-why").textContent = clip && !isBlind() ? whyText(clip) : "";
    by("clip-reading").hidden = clip?.reading !== "second";
    by("clip-label").hidden = !clip || !isAnswered(clip);
    if (clip && isAnswered(clip)) by("clip-label").replaceChildren("Answer: ", h("strong", {}, labelText(clip)), h("kbd", {}, "Enter"), isAsked(clip) ? " says that it is right" : " keeps it");
    renderConflicts(clip);
    renderSuggestions(clip);
    fill(by("quick-actions"), ...quickActionItems(Boolean(clip), choose));
    by("quick-actions-title").hidden = !session.quickActions.length;
    if (clip && isOpen && (wantsFocus || document.activeElement === document.body)) {
      stage.focus({ preventScroll: true });
      wantsFocus = false;
    }
    for (const id of /** @type {const} */ (["answer-nothing", "answer-unsure"])) by(id).disabled = !clip || !session.mayWrite;
    by("answer-back").disabled = at === 0;
    by("answer-later").disabled = !clip;
    by("answer-undo").disabled = !answered.length;
    words.input.disabled = !session.mayWrite;
  }

  function endParts() {
    const later = list.filter((clip) => !isAnswered(clip)).length;
    const build = session.mayWrite && h("button", { type: "button", onclick: () => by("build-open").click() }, "Build a dataset");
    if (later) return [`No other clip is left; ${count(later, "clip")} had no answer. Go back with Backspace. `, filters.isDefault() && build];
    if (!filters.isDefault()) return ["No clip is left with these filters."];
    return [
      "All clips have an answer. Thank you. ",
      build,
      h("a", { href: runPage("retrain", retrain), target: "_top" }, retrain ? "retrain is running: open its run" : "Open the runs of retrain"),
    ];
  }

  // The conflict of this clip, and those that the last answers have made.
  /** @param {Clip | undefined} clip */
  function renderConflicts(clip) {
    const open = new Map(conflicts);
    if (clip?.conflict) open.set(clip.uid, clip.conflict);
    const take = (/** @type {Conflict} */ conflict) => (/** @type {Label} */ label) => {
      if (conflict.uid === clip?.uid) choose({ ...(label.verb === NOTHING ? { answer: "nothing" } : label), over: conflict.over, reading: "first" });
      else settle(outbox(), conflict, label);
    };
    fill(by("clip-conflicts"), ...[...open.values()].map((conflict) => conflictItem(conflict, take(conflict))));
  }

  /** @param {Clip | undefined} clip */
  function renderSuggestions(clip) {
    const suggestions = suggested();
    const isFirst = Boolean(clip && !isAnswered(clip));
    fill(by("suggestions"), ...suggestionItems(suggestions, isFirst, accept));
    by("no-suggestion").hidden = !clip || suggestions.length > 0;
    by("no-suggestion").textContent = noSuggestionText(clip, isBlind());
  }

  // Answers

  /** @param {number} number */
  function accept(number) {
    const suggestion = suggested()[number];
    if (suggestion) choose(suggestion);
    else if (current()) announce("There is no suggestion here: type a verb and a noun.");
  }

  function enter() {
    const clip = current();
    if (clip?.label && isAsked(clip)) choose(clip.label.verb === NOTHING ? { answer: "nothing" } : clip.label);
    else if (clip && isAnswered(clip)) go(1);
    else accept(0);
  }

  /** @param {Choice & { letter?: string, over?: string | null, reading?: Reading }} choice */
  function choose({ answer = "action", verb = null, noun = null, letter, over = current()?.over, reading = current()?.reading }) {
    held.flush();
    const clip = current();
    if (!clip) return;
    if (letter) held.hold(letter);
    if (!session.mayWrite) {
      announce("You may look, but not label.", { isBad: true });
      return;
    }
    if (stage.getAttribute("aria-busy") === "true") {
      announce("The clip is not there yet.");
      return;
    }
    const best = suggestionsOf(clip)[0];
    const action = answer === "action" ? { verb, noun: noun ?? NO_OBJECT } : {};
    /** @type {ClipStatement} */
    const statement = { kind: "clip", token: token(), uid: clip.uid, answer, ...action, reading };
    if (over) statement.over = over;
    if (best) statement.suggested = { ...best, shown: !isBlind() };
    if (isAsked(clip)) statement.checked = true;
    if (answered.length === NUM_KEPT) answered.shift();
    answered.push({ clip, before: { label: clip.label, answer: clip.answer, token: clip.token, conflict: clip.conflict, doubt: clip.doubt }, token: statement.token });
    const label = answer === "unsure" ? null : { verb: action.verb ?? "nothing", noun: action.noun ?? NO_OBJECT, origin: session.me };
    Object.assign(clip, { answer, label, token: statement.token, conflict: null, doubt: null });
    if (action.verb) learn(action.verb, action.noun);
    const send = () => outbox().add(statement, answerName(answer, action.verb, action.noun));
    if (letter) held.hold(letter, { send, takeBack });
    else send();
    go(1);
    stage.focus();
  }

  function undo() {
    held.flush();
    const last = answered.at(-1);
    if (!last) return;
    outbox().add({ kind: "withdrawal", token: token(), withdrawn: last.token }, `undo of ${answerName(last.clip.answer, last.clip.label?.verb, last.clip.label?.noun)}`);
    conflicts.delete(last.clip.uid);
    takeBack();
    stage.focus();
  }

  // Show the clip of the last answer as it was before.
  function takeBack() {
    const last = answered.pop();
    if (!last) return;
    Object.assign(last.clip, last.before);
    const place = list.indexOf(last.clip);
    if (place >= 0) at = place;
    else list.splice(at, 0, last.clip);
    show();
  }

  /** @param {number} step */
  function go(step) {
    const to = Math.min(Math.max(at + step, 0), list.length);
    if (to === at) return;
    at = to;
    // Clips far behind are let go of, so that a long day needs no more memory than a short one.
    at -= list.splice(0, Math.max(0, at - NUM_KEPT)).length;
    words.clear();
    show();
  }

  // Controls

  by("answer-nothing").addEventListener("click", () => choose({ answer: "nothing" }));
  by("answer-unsure").addEventListener("click", () => choose({ answer: "unsure" }));
  by("answer-back").addEventListener("click", () => go(-1));
  by("answer-later").addEventListener("click", () => go(1));
  by("answer-undo").addEventListener("click", undo);
  by("clip-screen").addEventListener("click", () => player.toggle());
  player.addEventListener("time", () => renderTime());
  player.addEventListener("state", () => renderTime());
  // The clip before still plays until the next one is read.
  player.addEventListener("ready", () => onScreen === current() && seen(true));
  player.addEventListener("broken", () => {
    seen(true);
    if (isOpen) announce("This browser cannot play this clip.", { isBad: true });
  });
  filters.onChange((isOnlyBlind) => {
    const clip = current();
    if (!isOnlyBlind) restart();
    else if (clip) speak(clip);
    render();
  });
  changes.addEventListener("change", () => {
    render();
    if (isOpen && version !== session.version) renew(false);
    if (!isOpen || !isEnd || current()) return;
    // Others may have left clips, or new ones have come.
    isEnd = false;
    more().then(() => (current() ? show() : render()));
  });

  function renderTime() {
    const length = player.duration;
    by("clip-progress").max = length || 1;
    by("clip-progress").value = player.time;
    const speed = player.rate === 1 ? "" : ` · ${player.rate}×`;
    by("clip-time").textContent = `${player.time.toFixed(2)} s${speed}${player.isMuted ? "" : " · sound on"}${player.isPlaying ? "" : " · paused"}`;
  }

  /** @type {View["keys"]} */
  const keys = {
    ...playerKeys(player, () => frameSeconds(current())),
    Enter: enter,
    n: () => choose({ answer: "nothing", letter: "n" }),
    u: () => choose({ answer: "unsure", letter: "u" }),
    Backspace: () => go(-1),
    PageUp: () => go(-1),
    PageDown: () => go(1),
    "ctrl+z": undo,
    "/": () => words.focus(),
  };
  for (let number = 1; number <= 9; number += 1) {
    keys[String(number)] = () => session.quickActions[number - 1] && choose(session.quickActions[number - 1]);
    if (number <= 3) keys[`shift+${number}`] = () => accept(number - 1);
  }

  return {
    keys,
    home: () => stage.focus(),
    goesOn: (letter) => session.mayWrite && goesOn(held, words, letter),
    typed: () => session.mayWrite && words.focus(),
    show: (uid) => {
      isOpen = true;
      wantsFocus = true;
      if (uid) showClip(uid);
      else if (session.ready && !list.length) more().then(show);
      else if (current()) show().then(() => renew(true));
    },
    saved: ({ statement, answer }) => {
      if (statement.kind === "clip") conflicts.delete(statement.uid);
      for (const conflict of answer.conflicts) conflicts.set(conflict.uid, conflict);
      render();
    },
    hide: () => {
      isOpen = false;
      visit += 1;
      player.play(false);
    },
  };
}
