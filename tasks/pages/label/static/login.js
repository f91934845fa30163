// Leads a stranger to Airflow's login and back to this address, with its hash, which no server sees.

const here = encodeURIComponent(location.pathname + location.search + location.hash);
const login = `${location.pathname.replace(/retake\/label\/.*$/, "")}api/v2/auth/login?next=${here}`;
/** @type {HTMLAnchorElement} */ (document.getElementById("login")).href = login;
// Airflow's frame has a login around it.
if (window.top === window) location.replace(login);
