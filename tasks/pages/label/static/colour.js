// Gives each class a colour by its name alone; the style sheet makes it readable in light and dark.

const NUM_HUES = 24;

/** Return the hue of a class in degrees, the same on every page. @param {string} name */
export function hueOf(name) {
  let hash = 2166136261;
  for (const letter of name) hash = Math.imul(hash ^ (letter.codePointAt(0) ?? 0), 16777619);
  return ((hash >>> 8) % NUM_HUES) * (360 / NUM_HUES);
}

/** Colour an element by a class: what it has of `--class` and `--class-page` then is the class's. @template {HTMLElement | SVGElement} E @param {E} element @param {string} name */
export function coloured(element, name) {
  element.classList.add("coloured");
  element.style.setProperty("--hue", String(hueOf(name)));
  return element;
}
