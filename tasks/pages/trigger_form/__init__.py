"""Serve the form of a DAG, filled in from an address.

Airflow's own form cannot be filled in so (apache/airflow#54800). This application serves files alone. The page's script reads the fields
from Airflow's API and starts the run there, with the rights of the person.
"""

from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Response

from tasks.pages.web import file_response, page_app, static_files

STATIC = Path(__file__).with_name("static")


def make_app(person: Callable[..., object], login: Callable[[str], str]) -> FastAPI:
    """Make the application; the arguments are those of `web.page_app`."""
    app = page_app("Trigger", person, login)
    app.include_router(static_files(STATIC))

    @app.get("/")
    def form() -> Response:
        return file_response(STATIC / "form.html")

    return app
