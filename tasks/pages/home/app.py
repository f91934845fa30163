"""Make the web application of the page *Retake*.

It only reads: what a person starts or stops there goes from the browser to Airflow's API. The browser also reads Airflow's runs, schedules and
questions there, so that a person sees those that Airflow shows to them, and hands them on for the rules that say what to do next.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import TypeAdapter, ValidationError

from tasks.errors import BadInput, RetakeError
from tasks.loop.live import Live
from tasks.pages.home.docs import contents, rendered
from tasks.pages.home.state import Samples, dataset_difference, state
from tasks.pages.web import file_response, json_body, lead_strangers_to, static_files, turns, with_headers
from tasks.store.layout import Layout
from tasks.store.objects import Store

STATIC = Path(__file__).with_name("static")
MAX_BODY_BYTES = 65_536
BODY_SECONDS = 10.0
MAX_READS, MAX_DIFFERENCES = 8, 1
"""Requests at work at a time. Airflow's API server has 40 threads for all that it serves."""
LIVE = TypeAdapter(Live)
PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
DIGEST = r"^(latest|[0-9a-f]{4,64})$"
MAX_NAME = 1024


def make_app(
    store: Store,
    store_uris: Sequence[str],
    person: Callable[..., object],
    login: Callable[[str], str],
    docs: Path | None = None,
    samples: Samples | None = None,
) -> FastAPI:
    """Make the application.

    Args:
        store: reads the stores.
        store_uris: the stores that the page offers, in the order in which the page *Label* has them.
        person: a FastAPI dependency that answers 401 to strangers.
        login: gives the address where a stranger logs in and comes back to an address.
        docs: the folder of Retake's documentation; None if it is not on this machine.
        samples: how the sample videos are run; None if they are not on this machine.
    """
    app = FastAPI(title="Retake", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(person)])
    app.middleware("http")(with_headers)

    lead_strangers_to(login, app)

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

    app.include_router(_data(store, store_uris, samples, docs is not None))
    if docs:
        app.include_router(_documentation(docs), prefix="/docs")
    return app


def _data(store: Store, store_uris: Sequence[str], samples: Samples | None, has_docs: bool) -> APIRouter:
    router, reads, compares = APIRouter(), turns(MAX_READS), turns(MAX_DIFFERENCES)

    def chosen(given: Annotated[str, Query(alias="store", max_length=MAX_NAME)] = "") -> str:
        """Check that the page offers the store; empty leaves the choice to the page."""
        if given and given not in store_uris:
            raise HTTPException(404, f"the page has no store {given}; RETAKE_LABEL_STORES names those that it has besides RETAKE_STORE_URI")
        return given

    def shown(given: str) -> str:
        """Choose the first store with films where none is named."""
        return given or next((uri for uri in store_uris if store.exists(Layout(uri).status.films.uri)), store_uris[0])

    async def seen(request: Request) -> Live:
        """Read the facts that the browser has from Airflow."""
        try:
            return LIVE.validate_json(await json_body(request, MAX_BODY_BYTES, BODY_SECONDS, "what the page has seen of Airflow"))
        except ValidationError as error:
            raise HTTPException(422, "; ".join(problem["msg"] for problem in error.errors())) from None

    @router.post("/state", dependencies=[Depends(seen), Depends(reads, scope="function")])
    def tell(
        uri: Annotated[str, Depends(chosen)],
        live: Annotated[Live, Depends(seen)],
        model: Annotated[str, Query(max_length=MAX_NAME)] = "",
    ) -> Response:
        uri = shown(uri)
        about = {"stores": list(store_uris), "store": uri, "has_docs": has_docs, "samples": samples and asdict(samples)}
        return JSONResponse({**about, **state(store, uri, model, live)})

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
