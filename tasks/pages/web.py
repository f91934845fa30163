"""Serve pages under Airflow's address: their shared parts, and pages that lie in a store."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from tasks.errors import MissingObject, RetakeError
from tasks.store.objects import Store
from tasks.store.stored import as_folder

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
UNAUTHORIZED, FORBIDDEN = 401, 403
INVALID_TOKEN = "Invalid JWT token"  # noqa: S105 - Airflow's words for a cookie that another installation or an earlier key signed
TURN_SECONDS = 5.0
"""The longest wait of a request for its turn. It occupies no thread."""
Turn = Callable[[], AsyncIterator[None]]
ALWAYS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; media-src 'self' blob:; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
IN_A_STORE = ALWAYS | {
    "Content-Security-Policy": "sandbox allow-scripts allow-popups allow-popups-to-escape-sandbox allow-downloads; default-src 'none'; "
    "img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; frame-ancestors 'self'"
}


def turns(number: int) -> Turn:
    """Make a dependency that lets this many requests go on at a time."""
    free = asyncio.Semaphore(number)

    async def turn() -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await free.acquire()
        except TimeoutError:
            raise HTTPException(503, "the page is busy; try again in a moment") from None
        try:
            yield
        finally:
            free.release()

    return turn


async def json_body(request: Request, max_bytes: int, seconds: float, name: str) -> bytes:
    """Read the body `name` of a request if it is JSON, short and in time."""
    if request.headers.get("content-type") != "application/json":
        raise HTTPException(422, f"{name} is JSON")
    length = request.headers.get("content-length", "")
    if not length.isdecimal() or int(length) > max_bytes:
        raise HTTPException(413, f"{name} has at most {max_bytes} bytes")
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError:
        raise HTTPException(408, f"{name} did not arrive within {seconds:g} seconds") from None


def file_response(path: Path, status: int = 200) -> Response:
    """Answer with a file of a page, each time anew: Airflow's compression changes an answer."""
    return Response(path.read_bytes(), status, media_type=TYPES[path.suffix])


async def with_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add the headers of every answer."""
    response = await go_on(request)
    for name, value in ALWAYS.items():
        response.headers.setdefault(name, value)
    return response


def is_stranger(request: Request, error: HTTPException) -> bool:
    """Check whether a person who opens a page has no session that this server made."""
    unknown = error.status_code == UNAUTHORIZED or (error.status_code == FORBIDDEN and error.detail == INVALID_TOKEN)
    return unknown and "text/html" in request.headers.get("accept", "")


def page_app(title: str, person: Callable[..., object], login: Callable[[str], str]) -> FastAPI:
    """Make an application that answers to people with a session alone.

    Strangers are redirected to the login and back to this server, whichever host the request names.

    Args:
        title: name of the application.
        person: a FastAPI dependency that answers 401 to strangers.
        login: gives the address where a stranger logs in and comes back to an address.
    """
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(person)])
    app.middleware("http")(with_headers)

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if is_stranger(request, error):
            return RedirectResponse(login(f"{request.url.path}?{request.url.query}"))
        return JSONResponse({"detail": error.detail}, error.status_code)

    return app


def static_files(folder: Path) -> APIRouter:
    """Serve the files of a page at `static/`."""
    router, names = APIRouter(), {path.name for path in folder.iterdir() if path.suffix in TYPES}

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in names:
            raise HTTPException(404)
        return file_response(folder / name)

    return router


def stored_pages(store: Store, uris: Sequence[str], person: Callable[..., object], login: Callable[[str], str]) -> FastAPI:
    """Make the application of the pages that steps write into the stores `uris`.

    These are reports, comparisons, searches and predictions. A page is one file that loads nothing. The browser gives it an origin of its
    own, so a script in it cannot act as the person who reads it.
    """
    app = page_app("Report", person, login)

    @app.get("/")
    def page(page: Annotated[str, Query(max_length=2048)]) -> Response:
        if not page.endswith(".html") or not any(page.startswith(as_folder(uri)) for uri in uris):
            raise HTTPException(404, f"{page!r} is no page of {' or '.join(uris)}; RETAKE_LABEL_STORES names further stores")
        try:
            return Response(store.read_bytes(page), media_type="text/html; charset=utf-8", headers=IN_A_STORE)
        except MissingObject:
            raise HTTPException(404, f"there is no page {page}; it may have been deleted") from None
        except RetakeError as error:
            raise HTTPException(503, str(error)) from None

    return app
