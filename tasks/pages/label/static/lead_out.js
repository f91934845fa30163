// Lets links with the target `_top` lead the window. Airflow's frame may not do so, but a link of the window itself may.

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element && /** @type {HTMLAnchorElement | null} */ (event.target.closest("a[target=_top]"));
  if (!link || !window.top || window.top === window || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  Object.assign(window.top.document.createElement("a"), { href: link.href }).click();
});
