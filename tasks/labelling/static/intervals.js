/** Make the view. */
export function intervalsView() {
  return { keys: {}, saved() {} };
}
