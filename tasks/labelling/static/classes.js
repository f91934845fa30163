/** Make the view. */
export function classesView() {
  return { keys: {}, saved() {} };
}
