// Talks to the server of the page. Every address is relative to the page.

/** Airflow's words, with the status of what a person may not do, for a session that it signed with an earlier key. */
export const NO_SESSION = "Invalid JWT token";

/** An answer that is not what was asked for; `status` is 0 if there was no answer. */
export class Failed extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** @param {string} path @param {RequestInit} [options] */
async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Failed(0, "the server does not answer");
  }
  if (response.ok) return response;
  const told = await reason(response);
  throw new Failed(told === NO_SESSION ? 401 : response.status, told);
}

/** @param {Response} response */
async function reason(response) {
  try {
    const { detail } = await response.json();
    if (typeof detail === "string") return detail;
    if (Array.isArray(detail)) return detail.map((/** @type {{ msg: string }} */ problem) => problem.msg).join("; ");
  } catch {
    // The body is no JSON: the status says enough.
  }
  return `the server answers with status ${response.status}`;
}

/** The way of cutting whose clips are asked for; none: that of most videos. */
export const asked = { cut: "" };

/** Read JSON; values of the query that are empty are left out. @template {string} Path @param {Path} path @param {Record<string, unknown>} [query] @returns {Promise<AnswerTo<Path>>} */
export async function get(path, query = {}) {
  const given = Object.entries(path.startsWith("/") ? query : { ...query, cut: asked.cut }).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const search = new URLSearchParams(/** @type {[string, string][]} */ (given)).toString();
  return (await ask(search ? `${path}?${search}` : path)).json();
}

/** Write a statement. It may be sent again: its token keeps it single. @param {Statement} statement @returns {Promise<Saved>} */
export async function say(statement) {
  return send(asked.cut ? `statements?cut=${asked.cut}` : "statements", statement, { "x-retake": "label" });
}

/** Send JSON. @param {string} path @param {object} body */
export async function send(path, body, headers = {}, method = "POST") {
  const response = await ask(path, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    keepalive: true,
  });
  return response.json();
}

/** Read the file of a clip. @param {string} uid */
export async function clipFile(uid) {
  return (await ask(`clips/${encodeURIComponent(uid)}.mp4`)).blob();
}

/** Return the address of a part of Airflow, from whatever page of Retake this is. @param {string} path */
export function airflow(path) {
  return location.pathname.slice(0, location.pathname.lastIndexOf("/retake/") + 1) + path;
}

/** Make a new token. */
export function token() {
  return crypto.randomUUID();
}
