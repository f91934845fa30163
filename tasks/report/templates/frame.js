// In a sandboxed frame, such as MLflow's, browsers refuse links within the page; everywhere else they need no help.
if (self !== top) addEventListener("click", event => {
  const link = event.target.closest('a[href^="#"]');
  const section = link && document.getElementById(link.hash.slice(1));
  if (section) { event.preventDefault(); section.scrollIntoView(); }
});
