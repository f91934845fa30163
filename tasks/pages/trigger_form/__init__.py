"""Serve the form of a DAG, filled in from an address.

Airflow's own form cannot be filled in so (apache/airflow#54800). This application serves files alone. The page's script reads the fields
from Airflow's API and starts the run there, with the rights of the person.
"""

from collections.abc import Callable
from pathlib import Path

from fastapi import Depends, FastAPI, Response

from tasks.pages.web import file_response, lead_strangers_to, static_files, with_headers

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

    lead_strangers_to(login, app)

    @app.get("/")
    def form() -> Response:
        return file_response(STATIC / "form.html")

    return app
