/** Make the panel. */
export function buildPanel() {}
