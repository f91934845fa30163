// Starts the page: reads what there is, opens the view that the address names, and listens to keys.

import { by, openDialog } from "./dom.js";
import { buildPanel } from "./build.js";
import { classesView } from "./classes.js";
import { clipsView } from "./clips.js";
import { keepListsNew } from "./filters.js";
import { intervalsView } from "./intervals.js";
import { areSingleKeysOn, listen, setSingleKeys } from "./key_presses.js";
import "./lead_out.js";
import { Outbox } from "./outbox.js";
import { reviewView } from "./review.js";
import { changed, refresh, session } from "./session.js";
import { announce, keepStatusNew } from "./status.js";
import { stopPanel } from "./stop.js";

const RENEW_MS = 3000;
// So often the page asks as if it knew nothing: clips that were lent to others come back without a word.
const ANEW_EVERY = 7;
const WAIT_MS = 100;
const LONGEST_WAIT_MS = 5000;

/** @type {Outbox} */
let outbox;
const views = {
  clips: clipsView(() => outbox),
  intervals: intervalsView(() => outbox),
  review: reviewView(() => outbox),
  classes: classesView(() => outbox),
};
/** @type {View | null} */
let open = null;

// Links from elsewhere are `#clip=<uid>`, `#name=<action>`, `#show=<filter>` and `#video=<id>&at=<seconds>`.
function place() {
  const hash = location.hash.slice(1);
  const asked = new URLSearchParams(hash);
  if (asked.has("name")) {
    by("filter-name").value = asked.get("name") ?? "";
    by("filter-name").dispatchEvent(new Event("input"));
    return ["clips"];
  }
  if (asked.has("show")) {
    by("filter-show").value = asked.get("show") ?? "";
    by("filter-show").value ||= "unlabelled";
    by("filter-show").dispatchEvent(new Event("change"));
    return ["clips"];
  }
  if (asked.has("clip")) return ["clips", asked.get("clip") ?? ""];
  return asked.has("video") ? ["intervals", asked.get("video") ?? "", asked.get("at") ?? "0"] : hash.split("/");
}

function route() {
  const [name, ...rest] = place();
  const view = /** @type {keyof typeof views} */ (Object.hasOwn(views, name) ? name : "clips");
  if (open && open !== views[view]) open.hide?.();
  for (const other of /** @type {(keyof typeof views)[]} */ (Object.keys(views))) {
    by(`view-${other}`).hidden = other !== view;
    const link = by(`to-${other}`);
    if (other === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  open = views[view];
  open.show?.(rest.join("/"));
}

async function start() {
  for (let wait = WAIT_MS; ; wait = Math.min(1.5 * wait, LONGEST_WAIT_MS)) {
    try {
      await refresh();
      if (!outbox) {
        outbox = new Outbox(session.store, session.me);
        keepStatusNew(outbox);
        outbox.addEventListener("saved", ({ detail }) => Object.values(views).forEach((view) => view.saved?.(detail)));
        outbox.send();
        if (!session.mayWrite) announce("You may look, but not label: labelling needs the right to trigger build_dataset.");
      }
      changed();
      if (session.ready) break;
    } catch (error) {
      announce(error.status === 401 ? "You are not logged in to Airflow." : `The page cannot be read: ${error.message}.`, { isBad: true });
      if (error.status === 401) return;
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
  route();
  let number = 0;
  let isAsking = false;
  setInterval(() => {
    if (document.visibilityState !== "visible" || outbox.numUnsent || isAsking) return;
    number += 1;
    isAsking = true;
    refresh(number % ANEW_EVERY > 0).then((isNew) => isNew && changed(), () => {}).finally(() => (isAsking = false));
  }, RENEW_MS);
}

keepListsNew();
buildPanel();
stopPanel();
listen(() => open ?? { keys: {} });
addEventListener("hashchange", route);
by("help-open").addEventListener("click", () => openDialog(by("help")));
document.addEventListener("keydown", (event) => {
  const isTyping = event.target instanceof Element && event.target.closest("input, select, textarea");
  if (event.key === "?" && !isTyping && !document.querySelector("dialog[open]")) openDialog(by("help"));
});
for (const button of document.querySelectorAll("dialog .close")) button.addEventListener("click", () => button.closest("dialog")?.close());
by("single-keys").checked = areSingleKeysOn();
by("single-keys").addEventListener("change", () => setSingleKeys(by("single-keys").checked));
// Airflow shows the page in a frame, which has no keys until it has the focus.
window.focus();
start();
