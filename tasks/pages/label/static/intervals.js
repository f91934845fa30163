// The view *Intervals*: actions from one moment of a video to another.

import { get, token } from "./api.js";
import { conflictItem, settle } from "./conflict.js";
import { by, coloured, h, renew } from "./dom.js";
import { isBlind } from "./filters.js";
import { Player, playerKeys } from "./player.js";
import { Sequence } from "./sequence.js";
import { changes, learn, session } from "./session.js";
import { announce } from "./status.js";
import { actionName, answerName, clock, count, percent, sinceText } from "./text.js";
import { Timeline, isSame } from "./timeline.js";
import { Words } from "./words.js";

/** @type {Draft} */
const NEW = { start: null, stop: null, verb: null, noun: null, replaces: null, suggested: null, over: null };

/** Make the view; `outbox()` returns where statements go. @param {() => import("./outbox.js").Outbox} outbox @returns {View} */
export function intervalsView(outbox) {
  const stage = by("interval-stage");
  const player = new Player(by("interval-screen"), { loop: false, label: "The video" });
  const sequence = new Sequence(player);
  const timeline = new Timeline(by("timeline"));
  const words = new Words({ label: "Verb and noun", onChoose: name, onLeave: () => stage.focus(), actions: () => session.quickActions });
  by("interval-words").append(words.element);
  /** @type {Video | null} */
  let video = null;
  let draft = { ...NEW };
  let isOpen = false;
  let version = "";
  let visit = 0;
  /** @type {({ video: string, statement: IntervalStatement, before: Interval | null } | { video: string, statement: null, before: Interval })[]} */
  const done = [];
  // The intervals that undos bring back, by the token of the undo.
  /** @type {Map<string, Interval & { video: string }>} */
  const undone = new Map();

  /** @param {string} [hash] @param {number} [seconds] */
  async function open(hash, seconds) {
    const known = session.videos.map((each) => each.video);
    const wanted = [hash, video?.video].find((key) => key && known.includes(key)) ?? known[0];
    if (!wanted) return;
    if (hash && hash !== wanted) announce("The video of this address has no clips on this page.", { isBad: true });
    by("interval-video").value = wanted;
    visit += 1;
    const [now, unsent, made] = [visit, outbox().statements, outbox().numMade];
    try {
      const answer = await get(`videos/${encodeURIComponent(wanted)}`);
      if (now !== visit) return;
      if (video?.video !== answer.video) draft = { ...NEW };
      video = answer;
      [...unsent, ...outbox().statements].forEach(take);
      if (made !== outbox().numMade) renewed();
      sequence.open(video.clips);
      render();
      player.play(seconds === undefined);
      await sequence.seek(seconds ?? 0);
    } catch (error) {
      if (now === visit) announce(`The video could not be read: ${error.message}.`, { isBad: true, retry: () => open(wanted, seconds) });
    }
  }

  // Labels of others, and what the last statement led to.
  async function renewed() {
    if (!video || outbox().numUnsent) return;
    const [of, seen, made] = [video.video, session.version, outbox().numMade];
    const answer = await get(`videos/${encodeURIComponent(of)}`).catch(() => null);
    if (answer && video.video === of && made === outbox().numMade) {
      version = seen;
      video = answer;
      render();
    }
  }

  // The draft

  /** @param {Partial<Draft>} changed */
  function setDraft(changed) {
    draft = { ...draft, ...changed };
    render();
  }

  function setIn(seconds = sequence.time) {
    const start = round(seconds);
    setDraft({ start, stop: draft.stop !== null && draft.stop <= seconds ? null : draft.stop });
    announce(`In at ${clock(start)}.`);
  }

  function setOut(seconds = sequence.time) {
    if (draft.start === null || seconds <= draft.start) {
      announce("The out point comes after the in point: set the in point first.", { isBad: true });
      return;
    }
    const stop = round(seconds);
    setDraft({ stop });
    announce(`Out at ${clock(stop)}.`);
  }

  /** @param {Choice} choice */
  function name({ answer, verb = null, noun = null }) {
    stage.focus();
    if (answer) {
      announce("An interval needs an action. Where nothing happens, make none.");
      return;
    }
    setDraft({ verb, noun });
    if (draft.start !== null && draft.stop !== null) save();
  }

  /** @param {BarKind} kind @param {Bar} bar */
  function choose(kind, bar) {
    const { verb, noun, probability } = /** @type {Suggestion} */ (bar);
    const suggested = kind === "predicted" ? { verb, noun, probability, shown: true } : null;
    const isAction = (bar.answer ?? "action") === "action";
    const action = isAction ? { verb, noun } : {};
    draft = { ...NEW, start: bar.start_seconds, stop: bar.stop_seconds, ...action, replaces: bar.token ?? null, suggested, over: kind === "label" ? bar : null };
    render();
    sequence.seek(bar.start_seconds);
    stage.focus({ preventScroll: true });
  }

  function clear() {
    draft = { ...NEW };
    words.clear();
    render();
  }

  // Writing

  function save() {
    if (!session.mayWrite) return announce("You may look, but not label.", { isBad: true });
    if (!video || draft.start === null || draft.stop === null) return announce("Set in and out points first: i and o.", { isBad: true });
    if (!draft.verb || draft.noun === null) {
      words.focus();
      return announce("Which action is it? Type verb and noun.");
    }
    /** @type {IntervalStatement} */
    const statement = {
      kind: "interval",
      token: token(),
      video: video.video,
      start_seconds: draft.start,
      stop_seconds: draft.stop,
      verb: draft.verb,
      noun: draft.noun,
      replaces: draft.replaces,
      suggested: draft.suggested,
    };
    const before = video.intervals.find((interval) => interval.token === draft.replaces) ?? null;
    done.push({ video: video.video, statement, before });
    add(statement);
    learn(statement.verb, statement.noun);
    clear();
    return stage.focus({ preventScroll: true });
  }

  /** @param {IntervalStatement} statement */
  function add(statement) {
    say(statement, `${actionName(statement.verb, statement.noun)} ${clock(statement.start_seconds)}–${clock(statement.stop_seconds)}`);
  }

  /** @param {Statement} statement @param {string} about */
  function say(statement, about) {
    outbox().add(statement, about);
    take(statement);
    render();
  }

  // Show what a statement makes of the video's intervals before the server knows it.
  /** @param {Statement} statement */
  function take(statement) {
    if (!video) return;
    const added = statement.kind === "interval" ? { ...statement, by: session.me } : undone.get(statement.token);
    const gone = [added?.token, statement.kind === "interval" && statement.replaces, statement.kind === "withdrawal" && statement.withdrawn];
    const left = video.intervals.filter((other) => !gone.includes(other.token));
    video.intervals = added && added.video === video.video ? [...left, added].sort((a, b) => a.start_seconds - b.start_seconds || a.stop_seconds - b.stop_seconds) : left;
  }

  /** @param {Interval} interval @param {boolean} [isUndo] @param {(Interval & { video: string }) | null} [back] */
  function withdraw(interval, isUndo = false, back = null) {
    if (!video) return;
    /** @type {Withdrawal} */
    const statement = { kind: "withdrawal", token: token(), withdrawn: interval.token, undo: isUndo };
    if (back) undone.set(statement.token, back);
    if (!isUndo) done.push({ video: video.video, statement: null, before: interval });
    if (draft.replaces === interval.token) draft = { ...NEW };
    say(statement, `undo of ${actionName(interval.verb, interval.noun)}`);
  }

  // An interval that the undone one replaced comes back by itself; a withdrawn one is said again.
  function undo() {
    const last = done.pop();
    if (!last) return;
    if (last.statement) {
      withdraw(last.statement, true, last.before && { ...last.before, video: last.video });
      return;
    }
    const { start_seconds, stop_seconds, verb, noun } = last.before;
    add({ kind: "interval", token: token(), video: last.video, start_seconds, stop_seconds, verb, noun, replaces: null, suggested: null });
  }

  // Showing

  function predicted() {
    if (!video || isBlind()) return [];
    const { intervals } = video;
    const isChosen = (/** @type {Span} */ span) => draft.suggested !== null && draft.start === span.start_seconds && draft.stop === span.stop_seconds;
    return video.predicted.map((bar) => ({ ...bar, isDone: intervals.some((other) => isSame(bar, other)), isChosen: isChosen(bar) }));
  }

  function labels() {
    return (video?.labels ?? []).map((label) => ({ ...label, isChosen: draft.over?.by === label.by && draft.start === label.start_seconds }));
  }

  /** @param {number} step */
  function next(step) {
    const all = predicted().filter((bar) => !bar.isDone);
    if (!all.length) return announce("No suggestion is left in this video.");
    const place = all.findIndex((bar) => bar.isChosen);
    const now = sequence.time;
    const from = place >= 0 ? place + step : step > 0 ? all.findIndex((bar) => bar.stop_seconds > now) : all.findLastIndex((bar) => bar.start_seconds < now);
    const bar = all[Math.min(Math.max(from, 0), all.length - 1)];
    choose("predicted", bar);
    return announce(`Suggested: ${actionName(bar.verb, bar.noun)}, ${percent(bar.probability)}, ${clock(bar.start_seconds)} to ${clock(bar.stop_seconds)}.`);
  }

  function render() {
    const intervals = (video?.intervals ?? []).map((interval) => ({ ...interval, isChosen: interval.token === draft.replaces }));
    const suggestions = predicted();
    for (const [id, value] of /** @type {const} */ ([["in", draft.start], ["out", draft.stop]])) if (document.activeElement !== by(id)) by(id).value = String(value ?? "");
    by("draft").textContent = draftText();
    by("interval-save").disabled = !session.mayWrite || draft.start === null || draft.stop === null;
    by("interval-undo").disabled = !done.length;
    for (const id of /** @type {const} */ (["set-in", "set-out", "in", "out"])) by(id).disabled = !video;
    words.input.disabled = !session.mayWrite;
    by("interval-place").textContent = video ? `${count(video.intervals.length, "interval")} in this video${video.num_hidden ? `, ${video.num_hidden} more hidden` : ""}` : "";
    renew(
      by("interval-list"),
      video !== null && video.num_hidden > 0 && h("li", { class: "note" }, hiddenText(video.num_hidden)),
      ...intervals.map((bar) => row("interval", bar)), ...(intervals.length ? [] : [h("li", { class: "note" }, "None yet: set in and out points with i and o.")]));
    renew(
      by("predicted-list"),
      ...suggestions.map((bar) => row("predicted", bar)),
      ...(suggestions.length ? [] : [h("li", { class: "note" }, isBlind() ? "Hidden: blind is on in Clips." : "None yet: a champion network gives them (run predict_videos).")]),
    );
    renew(by("label-list"), ...labels().map((bar) => row("label", bar)), ...(video?.labels.length ? [] : [h("li", { class: "note" }, "None yet.")]));
    renew(by("interval-conflicts"), ...(video?.conflicts ?? []).map((conflict) => conflictItem(conflict, (taken) => settle(outbox(), conflict, taken))));
    if (video && isOpen) timeline.show(video, { intervals, labels: labels(), predicted: suggestions, draft });
    renderTime();
  }

  function draftText() {
    if (draft.start === null) return "";
    const what = draft.verb ? actionName(draft.verb, draft.noun) : "no action yet";
    const kind = draft.over ? `Over the label by ${draft.over.by}` : draft.replaces ? "Change" : draft.suggested ? `Suggested ${percent(draft.suggested.probability)}` : "New";
    return `${kind}: ${what}, ${clock(draft.start)}–${draft.stop === null ? "…" : clock(draft.stop)}`;
  }

  /** @param {BarKind} kind @param {Bar} bar */
  function row(kind, bar) {
    const text = answerName(bar.answer, bar.verb, bar.noun);
    return h(
      "li",
      { class: bar.isDone ? "quiet" : "" },
      h(
        "button",
        { type: "button", class: "item", "aria-pressed": String(Boolean(bar.isChosen)), onclick: () => choose(kind, bar) },
        h("span", { class: "when" }, `${clock(bar.start_seconds)}–${clock(bar.stop_seconds)}`),
        coloured(h("strong", {}, text), text),
        h("span", { class: "quiet" }, bar.probability === undefined ? sinceText(bar) : `${percent(bar.probability)}${bar.isDone ? " ✓ taken" : ""}`),
      ),
      kind === "interval" && session.mayWrite && h("button", { type: "button", "aria-label": `Withdraw ${text} at ${clock(bar.start_seconds)}`, onclick: () => withdraw(/** @type {Interval} */ (bar)) }, "✕"),
      kind === "label" && h("a", { href: `#clip=${bar.uid}`, "aria-label": `Open ${text} at ${clock(bar.start_seconds)} in Clips` }, "In Clips"),
    );
  }

  function renderTime() {
    const now = sequence.time;
    by("interval-time").textContent = video ? `${clock(now)} of ${clock(video.duration_seconds)}` : "";
    by("interval-state").textContent = [player.rate === 1 ? "" : `${player.rate}×`, player.isMuted ? "" : "sound on", player.isPlaying ? "" : "paused"].filter(Boolean).join(" · ");
    by("zoom").textContent = `${timeline.zoom}×`;
    if (video && isOpen) timeline.move(now, player.isPlaying);
  }

  // Controls

  sequence.addEventListener("time", renderTime);
  sequence.addEventListener("failed", ({ detail }) => announce(`The clip could not be read: ${detail.message}.`, { isBad: true }));
  player.addEventListener("state", renderTime);
  timeline.addEventListener("seek", ({ detail }) => {
    sequence.seek(detail);
    stage.focus({ preventScroll: true });
  });
  timeline.addEventListener("choose", ({ detail }) => choose(detail.kind, detail.bar));
  timeline.addEventListener("drag", ({ detail: { end, seconds } }) => {
    const isValid = end === "start" ? draft.stop === null || seconds < draft.stop : draft.start !== null && seconds > draft.start;
    if (isValid) setDraft({ [end]: round(seconds) });
  });
  changes.addEventListener("change", () => {
    if (!isOpen) return;
    render();
    if (version !== session.version) renewed();
  });
  by("interval-video").addEventListener("change", () => (location.hash = `#intervals/${by("interval-video").value}`));
  by("interval-screen").addEventListener("click", () => player.toggle());
  by("set-in").addEventListener("click", () => setIn());
  by("set-out").addEventListener("click", () => setOut());
  by("in").addEventListener("change", () => by("in").value !== "" && setIn(clamp(by("in").valueAsNumber)));
  by("out").addEventListener("change", () => by("out").value !== "" && setOut(clamp(by("out").valueAsNumber)));
  by("interval-save").addEventListener("click", save);
  by("interval-clear").addEventListener("click", clear);
  by("interval-undo").addEventListener("click", undo);
  by("zoom-in").addEventListener("click", () => zoom(2));
  by("zoom-out").addEventListener("click", () => zoom(0.5));

  /** @param {number} seconds */
  function clamp(seconds) {
    return Math.min(Math.max(seconds, 0), video?.duration_seconds ?? 0);
  }

  /** @param {number} factor */
  function zoom(factor) {
    timeline.zoomBy(factor, sequence.time);
    renderTime();
  }

  const keys = {
    ...playerKeys(player, () => sequence.frameSeconds, (seconds) => sequence.seek(seconds), () => sequence.time),
    i: () => setIn(),
    o: () => setOut(),
    Enter: save,
    Escape: clear,
    ArrowDown: () => next(1),
    ArrowUp: () => next(-1),
    Home: () => sequence.seek(0),
    End: () => video && sequence.seek(video.duration_seconds),
    "+": () => zoom(2),
    "=": () => zoom(2),
    "-": () => zoom(0.5),
    Delete: () => {
      const interval = video?.intervals.find((other) => other.token === draft.replaces);
      if (interval) withdraw(interval);
    },
    "ctrl+z": undo,
    "/": () => words.focus(),
  };

  return {
    keys,
    home: () => stage.focus(),
    typed: () => session.mayWrite && words.focus(),
    show: (rest) => {
      const [hash, seconds] = rest.split("/");
      isOpen = true;
      stage.focus({ preventScroll: true });
      open(hash, seconds === undefined ? undefined : Number(seconds) || 0);
    },
    hide: () => {
      isOpen = false;
      visit += 1;
      player.play(false);
    },
    saved: () => isOpen && renewed(),
  };
}

/** @param {number} number */
function hiddenText(number) {
  return `${count(number, "label")} ${number === 1 ? "is" : "are"} hidden: you are to read a clip there as the second. Answer it in Clips first.`;
}

/** @param {number} seconds */
function round(seconds) {
  return Math.round(seconds * 1000) / 1000;
}
