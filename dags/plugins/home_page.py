"""Put the page *Retake* first into Airflow's navigation, and mount all of Retake's pages, behind Airflow's own login.

Airflow mounts applications in the order in which it happens to load plugins, and `/retake` holds the addresses of the other pages: so they
are mounted here, before it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from airflow.plugins_manager import AirflowPlugin

from dags.plugins import label_page
from dags.plugins._pages import login_address, mounted, stores

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tasks.pages.home.app import Samples

ICON = "retake/home/static/icon.svg"
REPOSITORY = Path(__file__).parents[2]


def make() -> "FastAPI":
    """Make the application of the page *Retake*."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.home.app import make_app

    docs = REPOSITORY / "docs"
    return make_app(*stores(), get_user, login_address, docs if docs.is_dir() else None, _samples())


def _samples() -> "Samples | None":
    """Describe how `make run` ingests the sample videos, if they are on this machine."""
    if not (REPOSITORY / "tasks" / "local" / "samples").is_dir():
        return None
    from tasks.local.choices import SAMPLE_OPTIONS, SAMPLE_STORE, SAMPLES, Choices
    from tasks.pages.home.app import Samples

    return Samples(SAMPLE_STORE, Choices(store=SAMPLE_STORE, sources=[str(SAMPLES)], options=SAMPLE_OPTIONS).conf("ingest_videos"))


def make_report() -> "FastAPI":
    """Make the application of the reports of a store: `/retake/report/?page=s3://…/report.html`. The button *Report* leads there."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.report import make_app

    return make_app(*stores(), get_user, login_address)


def make_trigger() -> "FastAPI":
    """Make the form of a DAG filled in from an address: `/retake/trigger/?dag=retrain&conf={…}`. Reports link to it."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.trigger_form import make_app

    return make_app(get_user, login_address)


class HomePage(AirflowPlugin):
    """The page, first in the navigation by the name of its plugin, and the applications of all pages."""

    name = "retake_home"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        label_page.MOUNTED,
        mounted("/retake/trigger", "Retake: trigger", make_trigger),
        mounted("/retake/report", "Retake: report", make_report),
        mounted("/retake", "Retake", make),
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
