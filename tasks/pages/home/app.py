"""Serve the page *Retake*: its data, the comparison of two datasets, and Retake's documentation.

What a person starts or stops there goes from the browser to Airflow's API. The browser also reads Airflow's runs, schedules and questions there,
so that a person sees those that Airflow shows to them, and hands them on for the rules that say what to do next. Of a store it reads the summary,
a few small objects that steps write, and what is new in the log of the page *Label*; it lists nothing. It writes nothing of its own, but reading
that log may gather full blocks of its entries into one object each.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from tasks.data.labels.ledger import Ledger
from tasks.disk import disks
from tasks.errors import BadInput, RetakeError
from tasks.loop.difference import difference
from tasks.loop.next_steps import Live, Situation, next_steps, sentence
from tasks.loop.page_answers import PageAnswers, page_answers
from tasks.loop.summary import find_manifest, main_model, model_names, read_status
from tasks.pages.web import file_response, json_body, page_app, static_files, turns
from tasks.settings import MachineSettings, load, training_page
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import LoopStatus

Json = dict[str, Any]
Look = Callable[[str, Callable[[Ledger], PageAnswers]], PageAnswers]
"""Runs a function on the statements of a store's page *Label*, all up to now."""
MAX_ROWS = 100
"""Rows of each list of a difference that the page shows; the command lists all."""
STATIC = Path(__file__).with_name("static")
MAX_BODY_BYTES = 65_536
BODY_SECONDS = 10.0
MAX_READS, MAX_DIFFERENCES = 8, 1
"""Requests at work at a time. Airflow's API server has 40 threads for all that it serves."""
LIVE = TypeAdapter(Live)
PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
DIGEST = r"^(latest|[0-9a-f]{4,64})$"
MAX_NAME = 1024


@dataclass(frozen=True)
class Samples:
    """The store of the sample videos, and the options by which `make run` ingests them."""

    store: str
    conf: Mapping[str, object]


def state(store: Store, store_uri: str, model_name: str, live: Live, look: Look) -> Json:
    """Describe a store and one of its models; of an unknown one, the main model."""
    models = model_names(store, store_uri)
    status = read_status(store, store_uri, model_name if model_name in models else main_model(store, store_uri, models))
    empty = is_empty(store, store_uri, status)
    free_share = disks(load(MachineSettings).cache_dir)[0].free_share
    answers = look(store_uri, lambda ledger: page_answers(ledger, status))
    known = replace(live, now=now_utc(), answers=answers, disk_free_share=free_share, has_videos=not empty)
    situation = Situation(status, known)
    shown = status.model_dump(mode="json", exclude={"model": {"doubtful"}})  # up to 200 labels, which the browser does not read
    for version in shown["model"]["versions"] if shown["model"] else ():
        version["mlflow_run_url"] = training_page(version["mlflow_run_url"])
    return {
        "models": models,
        "status": shown,
        "sentence": f"There are no videos in {store_uri} yet." if empty else sentence(status, known.now),
        "steps": [asdict(step) for step in next_steps(status, known, lambda path: path)],
        "num_new_labels": situation.num_new_labels,
        "num_chosen": situation.num_chosen,
        "is_quiet": situation.is_quiet,
        "folders": to_jsonable_python(status.space.folders if status.space else ()),
        "disk_free_share": known.disk_free_share,
        "is_nearly_full": situation.is_nearly_full,
        "now": known.now,
        "is_empty": empty,
    }


def is_empty(store: Store, store_uri: str, status: LoopStatus) -> bool:
    """Check whether the store has no videos; an earlier version's store has no summary."""
    return status.films is None and status.dataset is None and next(iter(store.list(Layout(store_uri).videos)), None) is None


def dataset_difference(store: Store, store_uri: str, before: str, after: str) -> Json:
    """Compare two datasets; of a long list the first rows, and its length.

    Raises:
        BadInput: there is no such dataset, or several begin with the name.
    """
    (before_digest, first), (after_digest, second) = (find_manifest(store, store_uri, name) for name in (before, after))
    compared = to_jsonable_python(difference(first, second))
    rows = {name: value[:MAX_ROWS] if isinstance(value, list) else value for name, value in compared.items()}
    numbers = {name: len(value) for name, value in compared.items() if isinstance(value, list)}
    return {"before": before_digest, "after": after_digest, "rows": rows, "numbers": numbers}


def make_app(
    store: Store,
    store_uris: Sequence[str],
    look: Look,
    person: Callable[..., object],
    login: Callable[[str], str],
    docs: Path | None = None,
    samples: Samples | None = None,
) -> FastAPI:
    """Make the application; `person` and `login` are those of `web.page_app`.

    Args:
        store: reads the stores.
        store_uris: the stores that the page offers, in the order in which the page *Label* has them.
        look: reads the log of a store's page *Label*.
        docs: the folder of Retake's documentation; None if it is not on this machine.
        samples: how the sample videos are run; None if they are not on this machine.
    """
    app = page_app("Retake", person, login)

    @app.exception_handler(RetakeError)
    def failed(_: Request, error: RetakeError) -> Response:
        return JSONResponse({"detail": str(error)}, 404 if isinstance(error, BadInput) else 503)

    app.include_router(static_files(STATIC), prefix="/home")

    @app.get("/")
    def home() -> Response:
        return file_response(STATIC / "home.html")

    @app.get("/datasets/")
    def datasets() -> Response:
        return file_response(STATIC / "datasets.html")

    app.include_router(_data(store, store_uris, look, samples, docs is not None))
    if docs:
        app.include_router(_documentation(docs), prefix="/docs")
    return app


def _data(store: Store, store_uris: Sequence[str], look: Look, samples: Samples | None, has_docs: bool) -> APIRouter:
    router, reads, compares = APIRouter(), turns(MAX_READS), turns(MAX_DIFFERENCES)

    def chosen(given: Annotated[str, Query(alias="store", max_length=MAX_NAME)] = "") -> str:
        """Check that the page offers the store; empty leaves the choice to the page."""
        if given and given not in store_uris:
            raise HTTPException(404, f"the page has no store {given}; RETAKE_LABEL_STORES names those that it has besides RETAKE_STORE_URI")
        return given

    def shown(given: str) -> str:
        """Choose the first store with videos where none is named."""
        return given or next((uri for uri in store_uris if store.exists(Layout(uri).status.films.uri)), store_uris[0])

    async def seen(request: Request) -> Live:
        """Read the facts that the browser has from Airflow."""
        try:
            return LIVE.validate_json(await json_body(request, MAX_BODY_BYTES, BODY_SECONDS, "what the page has seen of Airflow"))
        except ValidationError as error:
            raise HTTPException(422, "; ".join(problem["msg"] for problem in error.errors())) from None

    @router.post("/state", dependencies=[Depends(seen), Depends(reads, scope="function")])
    def tell(
        uri: Annotated[str, Depends(chosen)], live: Annotated[Live, Depends(seen)], model: Annotated[str, Query(max_length=MAX_NAME)] = ""
    ) -> Response:
        uri = shown(uri)
        about = {"stores": list(store_uris), "store": uri, "has_docs": has_docs, "samples": samples and asdict(samples)}
        return JSONResponse({**about, **state(store, uri, model, live, look)})

    @router.get("/difference", dependencies=[Depends(compares, scope="function")])
    def compare(
        uri: Annotated[str, Depends(chosen)], a: Annotated[str, Query(pattern=DIGEST)], b: Annotated[str, Query(pattern=DIGEST)] = "latest"
    ) -> Response:
        return JSONResponse(dataset_difference(store, shown(uri), a, b))

    return router


def _documentation(folder: Path) -> APIRouter:
    router = APIRouter()
    pages = {path.name: path for path in folder.glob("*.md")}
    pictures = {path.name: path for path in folder.glob("images/*") if path.suffix in PICTURES}

    @router.get("/")
    def index() -> Response:
        return HTMLResponse(contents(folder))

    @router.get("/images/{name}")
    def picture(name: str) -> Response:
        if name not in pictures:
            raise HTTPException(404)
        return Response(pictures[name].read_bytes(), media_type=PICTURES[pictures[name].suffix])

    @router.get("/{name}")
    def page(name: str) -> Response:
        if name not in pages:
            raise HTTPException(404, f"the documentation has no page {name}")
        return HTMLResponse(rendered(pages[name]))

    return router


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_SERVED = re.compile(r"https?://|#|[\w-]+\.md(#|$)")
"""Links that lead somewhere from a page of the browser. Others name files of the repository."""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="../home/static/icon.svg">
<link rel="stylesheet" href="../home/static/home.css">
<script src="../label/static/lead_out.js" defer></script>
</head>
<body class="text">
<header class="top"><nav aria-label="Retake"><a href="../">Retake</a> <a href="./">All pages</a></nav></header>
<main>
{body}
</main>
</body>
</html>
"""


def contents(folder: Path) -> str:
    """List the documentation's pages in the order of the README beside the folder."""
    readme = folder.parent / "README.md"
    places = {name: i for i, name in enumerate(reading_order(readme) if readme.is_file() else ())}
    pages = sorted(folder.glob("*.md"), key=lambda path: (places.get(path.name, len(places)), path.name))
    lines = [f'<li><a href="{escape(path.name)}">{escape(title_of(path))}</a></li>' for path in pages]
    return PAGE.format(title="Retake: documentation", body="<h1>Documentation</h1>\n<ul class='contents'>\n" + "\n".join(lines) + "\n</ul>")


def reading_order(readme: Path) -> list[str]:
    """List the pages that the README's section *Where to read on* names."""
    section = readme.read_text(encoding="utf-8").partition("\n## Where to read on\n")[2]
    return list(dict.fromkeys(re.findall(r"\(docs/([\w-]+\.md)[)#]", section)))


def title_of(path: Path) -> str:
    """Return the first heading of a page."""
    heading = re.search(r"^# (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1].replace("`", "") if heading else path.stem


def rendered(path: Path) -> str:
    """Render a page of the documentation; HTML in it stays text."""
    tokens = _MARKDOWN.parse(path.read_text(encoding="utf-8"))
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            token.attrSet("id", anchor(tokens[number + 1].content))
        for child in token.children or ():
            _lead(child)
    # A wide table scrolls by itself, and can be reached by keys.
    body = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    body = body.replace("<table>", '<div class="wide" tabindex="0" role="group" aria-label="Table"><table>')
    body = body.replace("</table>", "</table></div>").replace("<pre>", '<pre tabindex="0">')
    return PAGE.format(title=escape(title_of(path)), body=body)


def anchor(heading: str) -> str:
    """Make the anchor of a heading as GitHub does."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _lead(token: Token) -> None:
    """Open a link outside of Airflow's frame.

    One to a file that is not served leads nowhere.
    """
    href = str(token.attrGet("href") or "")
    if token.type != "link_open":
        return
    if not _SERVED.match(href):
        del token.attrs["href"]
    elif href.startswith("http"):
        token.attrSet("target", "_top")
