// Draws the scores of all versions with their intervals, then and on today's clips, and lists them for readers.

import { h, svg } from "../../label/static/dom.js";
import { link } from "./boxes.js";
import { day, score } from "./formats.js";

const MOST_DRAWN = 8;
const HEIGHT = 156;
const TOP = 16;
const BOTTOM = 34;
const LEFT = 30;
const MIN_STEP = 82;
const MAX_STEP = 130;
/** Pixels between the score of then and that of now. */
const APART = 10;
const TICKS = [0, 25, 50, 75, 100];

/** Place the versions, earliest first: for each the x, and the labels added since the decision before. @param {Version[]} versions @param {number} width */
function placed(versions, width) {
  const sorted = versions.toReversed();
  const drawn = sorted.slice(-Math.max(1, Math.min(MOST_DRAWN, Math.floor((width - LEFT) / MIN_STEP))));
  const step = Math.min(MAX_STEP, (width - LEFT) / Math.max(1, drawn.length));
  return drawn.map((version, number) => {
    const before = versions.slice(drawn.length - number).find(isDecision);
    return { version, x: LEFT + step * (number + 0.5), step, added: before && isDecision(version) ? version.num_labelled - before.num_labelled : null };
  });
}

/** @param {Version} version */
function isDecision({ event }) {
  return event !== "champion again";
}

/** Return the height at which a score is drawn. @param {number} percent */
function height(percent) {
  return TOP + (HEIGHT - TOP - BOTTOM) * (1 - percent / 100);
}

/** Draw the chart. @param {Version[]} versions @param {number} width */
export function chart(versions, width) {
  const places = placed(versions, width);
  return svg(
    "svg",
    { width, height: HEIGHT, role: "img", "aria-label": `Scores of ${versions.length === 1 ? "the only version" : `the latest ${places.length} of ${versions.length} versions`}; the table has the same` },
    TICKS.map((tick) => [svg("line", { class: "tick", x1: LEFT, x2: width, y1: height(tick), y2: height(tick) }), svg("text", { class: "at", x: LEFT - 4, y: height(tick) + 4, "text-anchor": "end" }, String(tick))]).flat(),
    places.flatMap(({ version, x, step, added }) => [
      ...mark("then", x - (version.top1_now === null ? 0 : APART / 2), version.top1, version.interval),
      ...(version.top1_now === null || !version.interval_now ? [] : mark("now", x + APART / 2, version.top1_now, version.interval_now)),
      added !== null && svg("text", { class: "at", x: x - step / 2, y: TOP - 6, "text-anchor": "middle" }, `${added < 0 ? "−" : "+"}${Math.abs(added).toLocaleString("en")}`),
      svg("text", { class: "name", x, y: HEIGHT - 19, "text-anchor": "middle" }, `v${version.version} · ${day(version.at)}`),
      svg("text", { class: `at ${version.event === "kept" ? "" : "event"}`, x, y: HEIGHT - 5, "text-anchor": "middle" }, EVENTS[version.event]),
    ]),
  );
}

/** @type {Record<Version["event"], string>} */
const EVENTS = { promoted: "promoted", provisional: "provisional", kept: "not promoted", "champion again": "champion again" };

/** @param {string} kind @param {number} x @param {number} top1 @param {Interval95} interval */
function mark(kind, x, top1, [low, high]) {
  return [svg("line", { class: `range ${kind}`, x1: x, x2: x, y1: height(low), y2: height(high) }), svg("circle", { class: `dot ${kind}`, cx: x, cy: height(top1), r: 4 })];
}

/** List all versions. @param {Version[]} versions */
export function table(versions) {
  const heads = ["Version", "When", "Then", "Today's clips", "Clips", "Labels", "What happened", "Why", "Read"];
  return h(
    "div",
    { class: "wide", tabindex: 0, role: "group", "aria-label": "All versions" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
      h("tbody", {}, versions.map((version) => h(
        "tr",
        {},
        h("th", { scope: "row" }, `v${version.version}`),
        [day(version.at), score(version.top1, version.interval), version.top1_now !== null && version.interval_now ? score(version.top1_now, version.interval_now) : "not scored", String(version.num_clips), version.num_labelled.toLocaleString("en"), EVENTS[version.event]].map((text) => h("td", { class: "short" }, text)),
        h("td", {}, version.reason),
        h("td", {}, version.report_url && link(version.report_url, "Report"), " ", version.mlflow_run_url && link(version.mlflow_run_url, "Run")),
      ))),
    ),
  );
}
