// A link into a folded part opens it. In a sandboxed frame, such as MLflow's, browsers refuse links within the page; everywhere else they need no help.
addEventListener("click", event => {
  const link = event.target.closest('a[href^="#"]');
  const target = link && document.getElementById(link.hash.slice(1));
  for (let fold = target; fold; fold = fold.parentElement) if (fold.tagName === "DETAILS") fold.open = true;
  if (target && self !== top) { event.preventDefault(); target.scrollIntoView(); }
});
