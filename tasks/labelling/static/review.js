/** Make the view. */
export function reviewView() {
  return { keys: {}, saved() {} };
}
