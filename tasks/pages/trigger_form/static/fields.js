// Makes one field of the form from one param of a DAG, and reads its value. Text is never inserted as HTML.

/** @typedef {{ type?: string | string[], enum?: any[], items?: Schema, title?: string, section?: string, examples?: string[], values_display?: Record<string, string>, hidden?: Record<string, Param> }} Schema */
/** @typedef {{ schema: Schema, value: any, description?: string }} Param */
/** @typedef {HTMLInputElement & HTMLSelectElement & HTMLTextAreaElement} Input */
/** @typedef {{ make: (schema: Schema) => HTMLElement, show: (input: Input, value: any, schema: Schema) => void, read: (input: Input, schema: Schema) => unknown }} Kind */
/** @typedef {ReturnType<typeof makeField>} Field */

/** @template {keyof HTMLElementTagNameMap} T @param {T} name @param {object} [properties] @param {(Node | string | null)[]} children */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** @param {unknown} a @param {unknown} b */
export const isSame = (a, b) => JSON.stringify(a) === JSON.stringify(b);

/** @param {Schema} schema */
const types = (schema) => [schema.type ?? "string"].flat();

/** @type {Record<string, string>} */
const WORDS = {
  array: "a list", object: "a JSON object", string: "text", boolean: "true or false", integer: "a whole number", number: "a number", null: "null",
};

/** @param {unknown} value */
const typeOf = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value);

/** @param {Schema} schema @param {any} value @returns {boolean} */
function fits(schema, value) {
  const type = typeOf(value);
  if (schema.enum) return type !== "array" && type !== "object";
  const { items } = schema;
  if (type === "array" && items && !value.every((/** @type {unknown} */ item) => fits(items, item))) return false;
  return types(schema).includes(type) || (type === "integer" && types(schema).includes("number"));
}

// Says why a value of the address cannot be filled in; null if it can.
/** @param {string} name @param {Param} param @param {unknown} value */
export function misfit(name, { schema }, value) {
  if (fits(schema, value)) return null;
  const wanted = schema.enum ? "one of its values" : types(schema).map((type) => WORDS[type]).join(" or ");
  return `${schema.title ?? name} (${name}) takes ${wanted}, not ${JSON.stringify(value)}.`;
}

// By the type of its schema, each kind of input: how it is made, shows a value, and is read.
/** @satisfies {Record<string, Kind>} */
const KINDS = {
  choice: {
    make: (schema) => element("select", {}, ...(schema.enum ?? []).map((value, i) => element("option", { value: i, textContent: value ?? "" }))),
    show: (input, value, schema) => { input.value = String((schema.enum ?? []).findIndex((each) => isSame(each, value))); },
    read: (input, schema) => {
      if (input.value === "") throw new Error("choose one of its values");
      return schema.enum?.[Number(input.value)];
    },
  },
  boolean: {
    make: () => element("input", { type: "checkbox" }),
    show: (input, value) => { input.checked = Boolean(value); },
    read: (input) => input.checked,
  },
  number: {
    make: (schema) => element("input", { type: "number", step: types(schema).includes("integer") ? "1" : "any" }),
    show: (input, value) => { input.value = value ?? ""; },
    read: (input) => {
      if (input.validity.badInput) throw new Error("is not a number");
      return input.value === "" ? null : Number(input.value);
    },
  },
  json: {
    make: () => element("textarea", { spellcheck: false }),
    show: (input, value) => { input.value = value === null ? "" : JSON.stringify(value); },
    read: (input) => (input.value.trim() === "" ? null : JSON.parse(input.value)),
  },
  lines: {
    make: () => element("textarea", { spellcheck: false }),
    show: (input, value) => { input.value = (value ?? []).join("\n"); },
    read: (input) => input.value.split("\n").map((line) => line.trim()).filter(Boolean),
  },
  text: {
    make: () => element("input", { type: "text", spellcheck: false }),
    show: (input, value) => { input.value = value ?? ""; },
    read: (input, schema) => (input.value === "" && types(schema).includes("null") ? null : input.value),
  },
};

/** @param {Schema} schema @returns {Kind} */
function kindOf(schema) {
  const all = types(schema);
  if (schema.enum) return KINDS.choice;
  if (all.includes("boolean")) return KINDS.boolean;
  if (all.includes("integer") || all.includes("number")) return KINDS.number;
  if (all.includes("array")) return schema.items && types(schema.items).includes("string") ? KINDS.lines : KINDS.json;
  return all.includes("object") ? KINDS.json : KINDS.text;
}

/** @param {unknown} value */
function inWords(value) {
  const words = Array.isArray(value) ? value.join("; ") : value ?? "";
  return words === "" ? "empty" : typeof words === "string" ? words : JSON.stringify(words);
}

// Returns the field's element, and functions that read its value and say whether it differs from the default.
/** @param {string} name @param {Param} param @param {unknown} given */
export function makeField(name, param, given) {
  const schema = param.schema;
  const kind = kindOf(schema);
  const input = /** @type {Input} */ (kind.make(schema));
  input.id = `field-${name}`;
  const isGiven = given !== undefined;
  const help = element("p", { className: "help", id: `help-${name}`, textContent: param.description ?? "" });
  input.setAttribute("aria-describedby", help.id);
  const label = element("label", { htmlFor: input.id, textContent: schema.title ?? name });
  const field = element("div", { className: "field" }, label, input, help);
  if (kind === KINDS.text && schema.examples) {
    const shown = schema.values_display ?? {};
    const options = schema.examples.map((value) => element("option", { value, textContent: shown[value] ?? "" }));
    field.append(element("datalist", { id: `examples-${name}` }, ...options));
    input.setAttribute("list", `examples-${name}`);
  }
  kind.show(input, isGiven ? given : param.value, schema);
  const read = () => kind.read(input, schema);
  const isChanged = () => {
    try { return !isSame(read(), param.value); } catch { return true; }
  };
  const back = element("button", { type: "button", className: "plain", textContent: `Default: ${inWords(param.value)}` });
  const line = element("p", { className: "help default" }, back);
  field.append(line);
  const mark = () => {
    field.classList.toggle("given", isChanged());
    line.hidden = !isChanged();
  };
  back.addEventListener("click", () => { kind.show(input, param.value, schema); mark(); input.focus(); });
  field.addEventListener("input", mark);
  mark();
  return { name, field, input, read, isChanged, title: label.textContent, section: schema.section ?? null };
}
