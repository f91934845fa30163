// Writes times and shares for people.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Return the seconds between two times. @param {string} from @param {string} to */
export function secondsBetween(from, to) {
  return (Date.parse(to) - Date.parse(from)) / 1000;
}

/** Write a length of time to its largest unit: "3 days", "2 h". @param {number} seconds */
export function length(seconds) {
  const whole = Math.max(0, seconds);
  if (whole < 90) return `${Math.round(whole)} s`;
  if (whole < 90 * MINUTE) return `${Math.round(whole / MINUTE)} min`;
  if (whole < 2 * DAY) return `${Math.round(whole / HOUR)} h`;
  return `${Math.round(whole / DAY)} days`;
}

/** Say how long ago a time was. @param {string} at @param {string} now */
export function ago(at, now) {
  const seconds = secondsBetween(at, now);
  return seconds < 60 ? "just now" : `${length(seconds)} ago`;
}

/** Say when a time to come is. @param {string} at @param {string} now */
export function ahead(at, now) {
  const seconds = secondsBetween(now, at);
  return seconds < 60 ? "now" : `in ${length(seconds)}`;
}

/** Write a score with its interval: "40 % [11, 75]". @param {number} top1 @param {Interval95} interval */
export function score(top1, [low, high]) {
  return `${Math.round(top1)} % [${Math.round(low)}, ${Math.round(high)}]`;
}

/** Write bytes: "1.5 GiB". @param {number} bytes */
export function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 2 ** (10 * power);
  return `${value < 10 && power ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** Write a time with its day of the week, in the person's own time: "Fri 21:00 UTC". @param {string} at */
export function clockTime(at) {
  return new Date(at).toLocaleString("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" }).replace(",", "");
}

/** Write a day: "12 Nov". @param {string} at */
export function day(at) {
  return new Date(at).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}
