"""Serve a page of Retake under Airflow's address: its own files, and no script or address but its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

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
    """Read the body of a request, which `name` describes, if it is JSON, short and in time."""
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
    """Answer with a file of a page. Each answer is new, because Airflow's compression changes it."""
    return Response(path.read_bytes(), status, media_type=TYPES[path.suffix])


async def with_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """Add the headers of every answer."""
    response = await go_on(request)
    for name, value in ALWAYS.items():
        response.headers.setdefault(name, value)
    return response


def is_stranger(request: Request, error: HTTPException) -> bool:
    """Check whether a person who opens a page has no session, or one that this server did not make."""
    unknown = error.status_code == UNAUTHORIZED or (error.status_code == FORBIDDEN and error.detail == INVALID_TOKEN)
    return unknown and "text/html" in request.headers.get("accept", "")


def lead_strangers_to(login: Callable[[str], str], app: FastAPI) -> None:
    """Redirect a stranger to the login, and from there back to this server, whatever host the request names."""

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        if is_stranger(request, error):
            return RedirectResponse(login(f"{request.url.path}?{request.url.query}"))
        return JSONResponse({"detail": error.detail}, error.status_code)


def static_files(folder: Path) -> APIRouter:
    """Serve the files of a page at `static/`."""
    router, names = APIRouter(), {path.name for path in folder.iterdir() if path.suffix in TYPES}

    @router.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in names:
            raise HTTPException(404)
        return file_response(folder / name)

    return router
