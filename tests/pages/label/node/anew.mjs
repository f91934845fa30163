// Imports scripts as a page does that is opened anew: each time with modules that remember nothing.

import { register } from "node:module";

/** Hand the query of a module on to the modules that it imports. */
const HOOKS = `export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  const query = context.parentURL?.match(/[?]anew=\\d+$/)?.[0];
  return query ? { ...resolved, url: resolved.url + query, format: "module" } : resolved;
}`;
let number = 0;

register(`data:text/javascript,${encodeURIComponent(HOOKS)}`);

export async function importAnew(url) {
  number += 1;
  await import(`${url}?anew=${number}`);
}
