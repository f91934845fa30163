"""Make the web application of the labelling page.

Each request needs a person; a write also needs the right to label and a header that only the page's own script sends. The page loads nothing
from elsewhere, and has no inline script.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse

from tasks.errors import BadInput, MissingObject, RetakeError
from tasks.labelling.answers import Answers
from tasks.labelling.asked import AskedStatement, ReviewQuery
from tasks.labelling.desk import Desk
from tasks.labelling.queue import Reader, Wanted
from tasks.web import file_response, static_files, with_headers

STATIC = Path(__file__).with_name("static")
HEADER = "x-retake"
UNAUTHORIZED = 401
MAX_BODY_BYTES = 16_384
MAX_OPEN = 24
"""Requests at a time. Airflow's API server has 40 threads for all that it serves."""
WAIT_SECONDS = 2.0
"""A page that asks for its state before the clips are read is answered when they are, or after this time."""

UID = re.compile(r"[0-9a-f]{12}_[0-9]{9,}-[0-9]{9,}")
STATUSES: dict[type[RetakeError], int] = {MissingObject: 404, BadInput: 400}


@dataclass(frozen=True)
class Person:
    """Who asks, and whether they may label."""

    name: str
    may_write: bool


def make_app(desks: Sequence[Desk], person: Callable[..., Person], second_share: float) -> FastAPI:
    """Make the application: the page of the first desk, and those of the others under `stores/<number>/`.

    Args:
        desks: what the page shows and writes, one for each store.
        person: a FastAPI dependency that finds out who asks, and answers 401 to strangers.
        second_share: share of the clips that a second person reads, too.
    """
    app = FastAPI(title="Label", docs_url=None, redoc_url=None, openapi_url=None)
    for number, desk in list(enumerate(desks))[1:]:
        app.mount(f"/stores/{number}", _of_store(desk, person, second_share))
    app.mount("/", _of_store(desks[0], person, second_share, others=desks[1:]))
    return app


def _of_store(desk: Desk, person: Callable[..., Person], second_share: float, others: Sequence[Desk] = ()) -> FastAPI:
    answers = Answers(desk)

    def of_cut(cut: Annotated[str, Query(max_length=64)] = "") -> Answers:
        return answers.of_cut(cut)

    def reader(asks: Annotated[Person, Depends(person)]) -> Reader:
        return Reader(asks.name, asks.may_write, second_share)

    async def begin(_: Annotated[Person, Depends(person)]) -> None:
        """Read the clips as soon as a person asks for anything: Airflow's navigation shows the page's icon before anybody opens the page."""
        for one in (desk, *others):
            one.begin()

    app = FastAPI(title="Label", docs_url=None, redoc_url=None, openapi_url=None)
    app.middleware("http")(_Limit())
    app.middleware("http")(with_headers)
    app.exception_handler(RetakeError)(_refused)
    app.exception_handler(HTTPException)(_stranger)
    app.get("/static/login.js")(lambda: file_response(STATIC / "login.js"))
    app.get("/static/lead_out.js")(lambda: file_response(STATIC / "lead_out.js"))
    for router in (_page(desk, others), static_files(STATIC), _reads(desk, of_cut, reader), _writes(of_cut, reader)):
        app.include_router(router, dependencies=[Depends(begin)])
    return app


class _Limit:
    """Refuses large bodies, and more requests at a time than leave threads to the rest of the server."""

    def __init__(self) -> None:
        self._num_open = 0

    async def __call__(self, request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "")
        if request.method not in ("GET", "HEAD") and (not length.isdecimal() or int(length) > MAX_BODY_BYTES):
            return JSONResponse({"detail": f"a statement has at most {MAX_BODY_BYTES} bytes"}, 413)
        if self._num_open >= MAX_OPEN:
            return JSONResponse({"detail": "the page is busy; it tries again"}, 503)
        self._num_open += 1
        try:
            return await go_on(request)
        finally:
            self._num_open -= 1


def _refused(_: Request, error: Exception) -> Response:
    status = next((status for kind, status in STATUSES.items() if isinstance(error, kind)), 503)
    return JSONResponse({"detail": str(error)}, status)


def _stranger(request: Request, error: HTTPException) -> Response:
    """Lead a stranger who follows a link to the login.

    A script that is open to all does so, because only the browser knows the hash.
    """
    if error.status_code == UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        return file_response(STATIC / "login.html", error.status_code)
    return JSONResponse({"detail": error.detail}, error.status_code)


def _page(desk: Desk, others: Sequence[Desk]) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    def page() -> Response:
        """Show the page, or go to another store's if this one has no clips and that has."""
        if desk.is_empty and (found := next((number for number, other in enumerate(others, start=1) if not other.is_empty), None)):
            return RedirectResponse(f"stores/{found}/")
        return file_response(STATIC / "index.html")

    return router


def _reads(desk: Desk, of_cut: Callable[..., Answers], reader: Callable[..., Reader]) -> APIRouter:
    router = APIRouter()
    who = Annotated[Reader, Depends(reader)]
    about = Annotated[Answers, Depends(of_cut)]

    @router.get("/state")
    async def state(answers: about, asks: who, known: str = "") -> Response:
        await desk.first_view(WAIT_SECONDS)
        return await run_in_threadpool(lambda: JSONResponse(answers.state(asks, known)))

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
        return Response(answers.film(uid), media_type="video/mp4", headers=headers)

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


def _writes(of_cut: Callable[..., Answers], reader: Callable[..., Reader]) -> APIRouter:
    router = APIRouter()

    def writer(asks: Annotated[Reader, Depends(reader)], request: Request) -> Reader:
        if request.headers.get(HEADER) != "label":
            raise HTTPException(403, "this request does not come from the labelling page")
        if not asks.may_label:
            raise HTTPException(403, "you may look, but not label: labelling needs the right to trigger build_dataset")
        return asks

    @router.post("/statements")
    def state(
        answers: Annotated[Answers, Depends(of_cut)], statement: AskedStatement, asks: Annotated[Reader, Depends(writer)]
    ) -> Response:
        return JSONResponse(answers.write(statement, asks))

    return router
