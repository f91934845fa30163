// Draws a video's timeline: intervals, labels of clips and files, suggestions, the draft and the playhead. Bars can be chosen, and the ends of the draft dragged.

import { coloured, svg } from "./dom.js";
import { answerName, clock, sinceText } from "./text.js";

const RULER = 20;
const LANE = 24;
const GAP = 3;
const GRIP = 10;
const TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const TICK_PIXELS = 64;
const MAX_ZOOM = 64;
const SAME_SHARE = 0.5;
const KINDS = /** @type {const} */ ([["interval", "intervals"], ["label", "labels"], ["predicted", "predicted"]]);

/** @typedef {{ intervals: Bar[], labels: Bar[], predicted: Bar[], draft: Draft | null }} Shown */

/** A timeline in a box. Fires `seek`, `choose` and `drag`. */
export class Timeline extends EventTarget {
  #box;
  #zoom = 1;
  /** @type {Video | null} */
  #video = null;
  #playhead = svg("line", { class: "playhead", y1: 0 });
  /** @type {Shown} */
  #shown = { intervals: [], labels: [], predicted: [], draft: null };

  /** @param {HTMLElement} box */
  constructor(box) {
    super();
    this.#box = box;
    new ResizeObserver(() => this.draw()).observe(box);
    box.addEventListener("pointerdown", (event) => this.#press(event));
  }

  get zoom() {
    return this.#zoom;
  }

  /** Zoom by a factor, around the playhead. @param {number} factor @param {number} seconds */
  zoomBy(factor, seconds) {
    this.#zoom = Math.min(Math.max(this.#zoom * factor, 1), MAX_ZOOM);
    this.draw();
    this.#box.scrollLeft = this.#x(seconds) - this.#box.clientWidth / 2;
  }

  /** Show a video with these bars. @param {Video} video @param {Shown} shown */
  show(video, shown) {
    if (video !== this.#video) this.#zoom = 1;
    this.#video = video;
    this.#shown = shown;
    this.draw();
  }

  /** Move the playhead, and keep it in sight. @param {number} seconds @param {boolean} isFollowed */
  move(seconds, isFollowed) {
    const x = this.#x(seconds);
    this.#playhead.setAttribute("x1", String(x));
    this.#playhead.setAttribute("x2", String(x));
    const { scrollLeft, clientWidth } = this.#box;
    if (isFollowed && (x < scrollLeft || x > scrollLeft + clientWidth - 12)) this.#box.scrollLeft = x - clientWidth / 5;
  }

  draw() {
    const width = this.#width;
    if (!this.#video || width <= 0) return;
    const { draft } = this.#shown;
    let height = RULER + GAP;
    const bars = KINDS.flatMap(([kind, name]) => {
      const [lanes, top] = [lanesOf(this.#shown[name]), height];
      height += Math.max(kind === "interval" ? 1 : 0, ...lanes.map((lane) => lane + 1)) * LANE + GAP;
      return this.#shown[name].map((span, number) => this.#bar(span, kind, top + lanes[number] * LANE));
    });
    this.#playhead.setAttribute("y2", String(height));
    this.#drawing = svg(
      "svg",
      { width, height, role: "img", "aria-label": "Timeline. The lists below have the same intervals." },
      this.#ruler(height),
      bars,
      draft && this.#draft(draft, height),
      this.#playhead,
    );
    this.#box.replaceChildren(this.#drawing);
  }

  /** @type {SVGElement | null} */
  #drawing = null;

  get #duration() {
    return this.#video?.duration_seconds ?? 0;
  }

  get #width() {
    return Math.floor(this.#box.clientWidth * this.#zoom);
  }

  /** @param {number} seconds */
  #x(seconds) {
    return this.#video ? (seconds / this.#video.duration_seconds) * this.#width : 0;
  }

  /** @param {PointerEvent} event */
  #seconds(event) {
    const x = event.clientX - (this.#drawing ?? this.#box).getBoundingClientRect().left;
    return Math.min(Math.max((x / this.#width) * this.#duration, 0), this.#duration);
  }

  /** @param {number} height */
  #ruler(height) {
    const perPixel = this.#duration / this.#width;
    const step = TICKS.find((tick) => tick / perPixel >= TICK_PIXELS) ?? Math.max(...TICKS);
    const marks = [];
    for (let number = 0; number * step < this.#duration; number += 1) {
      const x = this.#x(number * step);
      marks.push(svg("line", { class: "tick", x1: x, x2: x, y1: 0, y2: height }));
      marks.push(svg("text", { class: "at", x: x + 3, y: 13 }, clock(number * step, step < 1 ? 1 : 0)));
    }
    return marks;
  }

  /** @param {Bar} span @param {BarKind} kind @param {number} y */
  #bar(span, kind, y) {
    const [from, to] = [this.#x(span.start_seconds), this.#x(span.stop_seconds)];
    const name = answerName(span.answer, span.verb, span.noun);
    const bar = svg(
      "svg",
      { class: `bar ${kind}${span.isChosen ? " chosen" : ""}${span.isDone ? " done" : ""}`, x: from, y, width: Math.max(to - from - 1, 3), height: LANE - GAP },
      svg("title", {}, `${name} ${clock(span.start_seconds)}–${clock(span.stop_seconds)} ${sinceText(span)}`.trim()),
      svg("rect", { width: "100%", height: "100%", rx: 3 }),
      svg("text", { x: 5, y: 15 }, name),
    );
    coloured(bar, name);
    bar.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.stopPropagation();
      this.dispatchEvent(new CustomEvent("choose", { detail: { kind, bar: span } }));
    });
    return bar;
  }

  /** @param {Draft} draft @param {number} height */
  #draft(draft, height) {
    if (draft.start === null) return null;
    const from = this.#x(draft.start);
    const to = draft.stop === null ? from + 1 : this.#x(draft.stop);
    const grip = (/** @type {"start" | "stop"} */ end, /** @type {number} */ x) => {
      const handle = svg("rect", { class: "grip", x: x - GRIP / 2, y: 0, width: GRIP, height });
      handle.addEventListener("pointerdown", (event) => this.#grab(event, end));
      return handle;
    };
    return [
      svg("rect", { class: "draft", x: from, y: 0, width: Math.max(to - from, 1), height }),
      svg("line", { class: "edge", x1: from, x2: from, y1: 0, y2: height }),
      draft.stop !== null && svg("line", { class: "edge", x1: to, x2: to, y1: 0, y2: height }),
      grip("start", from),
      draft.stop !== null && grip("stop", to),
    ].flat();
  }

  /** @param {PointerEvent} event @param {"start" | "stop"} end */
  #grab(event, end) {
    event.stopPropagation();
    this.#follow(event, (moved) => this.dispatchEvent(new CustomEvent("drag", { detail: { end, seconds: this.#seconds(moved) } })));
  }

  /** @param {PointerEvent} event */
  #press(event) {
    if (!this.#video || event.button !== 0 || !(event.target instanceof Element && this.#drawing?.contains(event.target))) return;
    const seek = (/** @type {PointerEvent} */ moved) => this.dispatchEvent(new CustomEvent("seek", { detail: this.#seconds(moved) }));
    seek(event);
    this.#follow(event, seek);
  }

  // Redrawing replaces the elements under the pointer, so the box, which stays, hears the pointer.
  /** @param {PointerEvent} event @param {(event: PointerEvent) => void} move */
  #follow(event, move) {
    event.preventDefault();
    this.#box.setPointerCapture(event.pointerId);
    const following = new AbortController();
    const { signal } = following;
    this.#box.addEventListener("pointermove", move, { signal });
    for (const name of ["pointerup", "pointercancel"]) this.#box.addEventListener(name, () => following.abort(), { signal });
  }
}

/** Put bars that overlap into different lanes; return the lane of each. @param {Span[]} bars */
export function lanesOf(bars) {
  /** @type {number[]} */
  const ends = [];
  return bars.map((bar) => {
    const free = ends.findIndex((end) => end <= bar.start_seconds + 1e-6);
    const lane = free < 0 ? ends.length : free;
    ends[lane] = bar.stop_seconds;
    return lane;
  });
}

/** Check whether an interval says what a suggestion says, for most of its time. @param {Action & Span} suggested @param {Action & Span} other */
export function isSame(suggested, other) {
  const both = Math.min(suggested.stop_seconds, other.stop_seconds) - Math.max(suggested.start_seconds, other.start_seconds);
  return suggested.verb === other.verb && suggested.noun === other.noun && both >= SAME_SHARE * (suggested.stop_seconds - suggested.start_seconds);
}
