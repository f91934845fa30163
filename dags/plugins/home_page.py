"""Put the page *Retake* first into Airflow's navigation, and mount all of Retake's pages, behind Airflow's own login.

Airflow mounts applications in the order in which it happens to load plugins, and `/retake` holds the addresses of the other pages: so they
are mounted here, before it.
"""

from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

from dags.plugins import label_page, report_page, trigger_form

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tasks.pages.home.state import Samples

ICON = "retake/home/static/icon.svg"
REPOSITORY = Path(__file__).parents[2]


@cache
def _application() -> "FastAPI":
    """Make the application at its first request, as that of the labelling page."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.home.app import make_app
    from tasks.settings import LabellingSettings, RunnerSettings, StoreSettings, load
    from tasks.store.objects import Store

    # A store that hangs must not occupy the threads of Airflow's API server.
    store = Store.from_settings(load(StoreSettings), read_seconds=10, num_retries=1)
    uris = [*dict.fromkeys((load(RunnerSettings).store_uri, *load(LabellingSettings).stores))]
    docs = REPOSITORY / "docs"
    return make_app(store, uris, get_user, trigger_form.login_address, docs if docs.is_dir() else None, _samples())


def _samples() -> "Samples | None":
    """Describe how `make run` ingests the sample videos, if they are on this machine."""
    if not (REPOSITORY / "tasks" / "local" / "samples").is_dir():
        return None
    from tasks.local.choices import SAMPLE_OPTIONS, SAMPLE_STORE, SAMPLES, Choices
    from tasks.pages.home.state import Samples

    return Samples(SAMPLE_STORE, Choices(store=SAMPLE_STORE, sources=[str(SAMPLES)], options=SAMPLE_OPTIONS).conf("ingest_videos"))


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
    """Hand a request to the application."""
    await _application()(scope, receive, send)


class HomePage(AirflowPlugin):
    """The page, first in the navigation by the name of its plugin, and the applications of all pages."""

    name = "retake_home"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        label_page.MOUNTED,
        trigger_form.MOUNTED,
        report_page.MOUNTED,
        {"app": application, "url_prefix": "/retake", "name": "Retake"},
    ]
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {
            "name": "Retake",
            "href": "retake/",
            "destination": "nav",
            "url_route": "retake",
            "nav_top_level": True,
            "icon": ICON,
            "icon_dark_mode": ICON.replace(".svg", "_dark.svg"),
        }
    ]
