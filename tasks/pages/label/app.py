"""Make the web application of the labelling page.

Each request needs a person; a write also needs the right to label and a header that only the page's own script sends. Before that nothing of
a request is read, and no other waits for it. The page loads nothing from elsewhere, and has no inline script.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import TypeAdapter, ValidationError

from tasks.errors import NotThere, RetakeError
from tasks.pages.label.handlers import Answers, AskedStatement
from tasks.pages.label.page_data import PageData
from tasks.pages.label.queue import Reader, Wanted
from tasks.pages.label.views import ReviewQuery
from tasks.pages.web import UNAUTHORIZED, Turn, file_response, is_stranger, json_body, static_files, turns, with_headers
from tasks.store.records.labelling import MAX_TEXT
from tasks.store.stored import as_folder

STATIC = Path(__file__).with_name("static")
HEADER = "x-retake"
MAX_BODY_BYTES = 16_384
BODY_SECONDS = 10.0
MAX_READS, MAX_WRITES = 16, 8
"""Requests at work at a time, for all stores together. Airflow's API server has 40 threads for all that it serves."""
WAIT_SECONDS = 2.0
"""The longest wait of a request for clips that are being read. It occupies neither a thread nor a turn."""

UID = re.compile(r"[0-9a-f]{12}_[0-9]{9,}-[0-9]{9,}")
STATEMENT: TypeAdapter[AskedStatement] = TypeAdapter(AskedStatement)


@dataclass(frozen=True)
class Person:
    """The person who asks, and their right to label."""

    name: str
    may_write: bool


def make_app(stores: Sequence[PageData], person: Callable[..., Person], second_share: float) -> FastAPI:
    """Make the application of the pages of all stores.

    The page of the first store is at the root, and those of the others are under `stores/<number>/`.

    Args:
        stores: what the page shows and writes, one for each store.
        person: a FastAPI dependency that finds out who asks, and answers 401 to strangers.
        second_share: share of the clips that a second person reads, too.
    """
    app = FastAPI(title="Label", docs_url=None, redoc_url=None, openapi_url=None)
    of_kind = turns(MAX_READS), turns(MAX_WRITES)
    for number, data in list(enumerate(stores))[1:]:
        app.mount(f"/stores/{number}", _of_store(data, person, second_share, of_kind))
    app.mount("/", _of_store(stores[0], person, second_share, of_kind, others=stores[1:]))
    return app


def _of_store(
    data: PageData, person: Callable[..., Person], second_share: float, of_kind: tuple[Turn, Turn], others: Sequence[PageData] = ()
) -> FastAPI:
    answers = Answers(data)

    async def of_cut(cut: Annotated[str, Query(max_length=64)] = "") -> Answers:
        return answers.of_cut(cut)

    async def ready(_: Annotated[Person, Depends(person)], cut: Annotated[str, Query(max_length=64)] = "") -> None:
        await data.first_view(WAIT_SECONDS, cut)

    async def reader(asks: Annotated[Person, Depends(person)]) -> Reader:
        if not 0 < len(asks.name) <= MAX_TEXT:
            raise HTTPException(403, f"the name of your login has {len(asks.name)} characters; labels are signed with 1 to {MAX_TEXT}")
        return Reader(asks.name, asks.may_write, second_share)

    async def begin(_: Annotated[Person, Depends(person)]) -> None:
        """Read the clips as soon as anything is asked for.

        Airflow's navigation asks for the icon first.
        """
        for page_data in (data, *others):
            page_data.begin()

    app = FastAPI(title="Label", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(with_headers)
    app.exception_handler(RetakeError)(_refused)
    app.exception_handler(HTTPException)(_stranger)
    app.get("/static/login.js")(lambda: file_response(STATIC / "login.js"))
    app.get("/static/lead_out.js")(lambda: file_response(STATIC / "lead_out.js"))
    reads, writes = of_kind
    for router in (_page(data, others), static_files(STATIC)):
        app.include_router(router, dependencies=[Depends(begin), Depends(reads, scope="function")])
    app.include_router(_reads(of_cut, reader), dependencies=[Depends(begin), Depends(ready), Depends(reads, scope="function")])
    app.include_router(_writes(of_cut, reader, writes), dependencies=[Depends(begin), Depends(ready)])
    return app


def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, 404 if isinstance(error, NotThere) else 503)


def _stranger(request: Request, error: HTTPException) -> Response:
    """Lead a stranger to the login by a script: only browsers know a link's hash."""
    if is_stranger(request, error):
        return file_response(STATIC / "login.html", UNAUTHORIZED)
    return JSONResponse({"detail": error.detail}, error.status_code)


def _page(data: PageData, others: Sequence[PageData]) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    def page(store: Annotated[str, Query(max_length=1024)] = "") -> Response:
        """Show the page of the store in which `store` lies, else of one with clips."""
        holding = [
            (len(candidate.store_uri), number)
            for number, candidate in enumerate((data, *others))
            if as_folder(store).startswith(as_folder(candidate.store_uri))
        ]
        _, chosen = max(holding, default=(0, 0))
        if not holding and data.is_empty:
            chosen = next((number for number, other in enumerate(others, start=1) if not other.is_empty), 0)
        return RedirectResponse(f"stores/{chosen}/") if chosen else file_response(STATIC / "index.html")

    return router


def _reads(of_cut: Callable[..., Awaitable[Answers]], reader: Callable[..., Awaitable[Reader]]) -> APIRouter:
    router = APIRouter()
    who = Annotated[Reader, Depends(reader)]
    about = Annotated[Answers, Depends(of_cut)]

    @router.get("/state")
    def state(answers: about, asks: who, known: str = "") -> Response:
        return JSONResponse(answers.state(asks, known))

    @router.get("/queue")
    def queue(
        answers: about,
        asks: who,
        wanted: Annotated[Wanted, Depends()],
        skip: str = "",
        limit: Annotated[int, Query(ge=1, le=50)] = 10,
        after: str | None = None,
    ) -> Response:
        return JSONResponse(answers.queue(asks, wanted, frozenset(skip.split(",")), limit, after))

    @router.get("/clips/{uid}.mp4")
    def video(answers: about, uid: str) -> Response:
        if not UID.fullmatch(uid):
            raise HTTPException(404)
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(answers.clip_file(uid), media_type="video/mp4", headers=headers)

    @router.get("/clips/{uid}")
    def clip(answers: about, asks: who, uid: str) -> Response:
        return JSONResponse(answers.clip(asks, uid))

    @router.get("/videos/{video}")
    def intervals(answers: about, asks: who, video: str) -> Response:
        return JSONResponse(answers.video(asks, video))

    @router.get("/review")
    def review(answers: about, asks: who, query: Annotated[ReviewQuery, Depends()]) -> Response:
        return JSONResponse(answers.review(asks, query))

    @router.get("/build")
    def build(answers: about) -> Response:
        return JSONResponse(answers.build())

    @router.get("/classes")
    def classes(answers: about) -> Response:
        return JSONResponse(answers.classes())

    return router


def _writes(of_cut: Callable[..., Awaitable[Answers]], reader: Callable[..., Awaitable[Reader]], turn: Turn) -> APIRouter:
    router = APIRouter()

    async def writer(asks: Annotated[Reader, Depends(reader)], request: Request) -> Reader:
        if request.headers.get(HEADER) != "label":
            raise HTTPException(403, "this request does not come from the labelling page")
        if not asks.may_label:
            raise HTTPException(403, "you may look, but not label: labelling needs the right to trigger build_dataset")
        return asks

    async def asked(_: Annotated[Reader, Depends(writer)], request: Request) -> AskedStatement:
        try:
            return STATEMENT.validate_json(await json_body(request, MAX_BODY_BYTES, BODY_SECONDS, "the statement"))
        except ValidationError as error:
            raise HTTPException(422, "; ".join(problem["msg"] for problem in error.errors())) from None

    @router.post("/statements", dependencies=[Depends(asked), Depends(turn, scope="function")])
    def state(
        answers: Annotated[Answers, Depends(of_cut)],
        statement: Annotated[AskedStatement, Depends(asked)],
        asks: Annotated[Reader, Depends(writer)],
    ) -> Response:
        return JSONResponse(answers.write(statement, asks))

    return router
