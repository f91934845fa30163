"""Serve the form of a DAG filled in from an address, which Airflow's own form cannot be (apache/airflow#54800).

It serves files alone. The page's script reads the fields from Airflow's API and starts the run there, with the rights of the person.
"""

from collections.abc import Callable
from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from tasks.pages.web import UNAUTHORIZED, file_response, static_files, with_headers

STATIC = Path(__file__).with_name("static")


def make_app(person: Callable[..., object], login: Callable[[str], str]) -> FastAPI:
    """Make the application.

    Args:
        person: a FastAPI dependency that answers 401 to strangers.
        login: gives the address where a stranger logs in and comes back to an address.
    """
    app = FastAPI(title="Trigger", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(person)])
    app.middleware("http")(with_headers)
    app.include_router(static_files(STATIC))

    @app.exception_handler(HTTPException)
    def refused(request: Request, error: HTTPException) -> Response:
        """Lead a stranger to the login, and back to this server, whatever host the request names."""
        if error.status_code == UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(login(f"{request.url.path}?{request.url.query}"))
        return JSONResponse({"detail": error.detail}, error.status_code)

    @app.get("/")
    def form() -> Response:
        return file_response(STATIC / "form.html")

    return app
