"""Put the pages *Retake* and *Label* into Airflow's navigation, and mount all of Retake's pages.

They are behind Airflow's own login. Every component of Airflow loads plugins, and only the API server needs the applications: each is made
by its first request, with the stores that the DAGs use.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, MutableMapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.responses import PlainTextResponse

    from tasks.pages.home.app import Samples
    from tasks.pages.label.page_data import PageData
    from tasks.store.objects import Store

log = logging.getLogger(__name__)
REPOSITORY = Path(__file__).parents[2]
LABELS_BY = "build_dataset"
"""The DAG that takes up labels; who may trigger it may label."""

_making = threading.Lock()


def mounted(prefix: str, name: str, make: "Callable[[], FastAPI]") -> dict[str, Any]:
    """Describe to Airflow an application that its first request makes, in a thread."""
    made = cache(make)

    def made_once() -> "FastAPI | PlainTextResponse":
        from starlette.responses import PlainTextResponse

        from tasks.errors import BadConfiguration

        with _making:
            try:
                return made()
            except BadConfiguration as error:
                log.warning("%s: %s", name, error)
                return PlainTextResponse(str(error), 503)

    async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
        app = made() if made.cache_info().currsize else await asyncio.to_thread(made_once)
        await app(scope, receive, send)

    return {"app": application, "url_prefix": prefix, "name": name}


def _view(name: str, page: str) -> dict[str, Any]:
    """Describe to Airflow the place of a page in its navigation."""
    icon = f"retake/{page}/static/icon"
    return {"name": name, "destination": "nav", "nav_top_level": True, "icon": f"{icon}.svg", "icon_dark_mode": f"{icon}_dark.svg"}


def _stores() -> "tuple[Store, list[str]]":
    """Return a client for the pages, and their stores, that of the DAGs first."""
    from tasks.settings import LabellingSettings, RunnerSettings, StoreSettings, load
    from tasks.store.objects import Store

    # A store that hangs must not occupy the threads of Airflow's API server.
    store = Store.from_settings(load(StoreSettings), read_seconds=10, num_retries=1)
    return store, list(dict.fromkeys((load(RunnerSettings).store_uri, *load(LabellingSettings).stores)))


@cache
def _page_data() -> "dict[str, PageData]":
    """Make the data of each store's page *Label*, whose log *Retake* reads, too."""
    from tasks.data.clips.gather_labels import labelled_in_child
    from tasks.pages.label.page_data import PageData

    store, uris = _stores()
    return {uri: PageData(store, uri, label=labelled_in_child) for uri in uris}


def _login_address(address: str) -> str:
    """Give the address where a stranger logs in and comes back to `address`."""
    from airflow.sdk import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/api/v2/auth/login?{urlencode({'next': address})}"


def make_label() -> "FastAPI":
    """Make the application of the page *Label*."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends

    from tasks.pages.label.app import Person, make_app
    from tasks.settings import LabellingSettings, load

    def person(user: Annotated[BaseUser, Depends(get_user)]) -> Person:
        may_write = get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=LABELS_BY), user=user
        )
        return Person(user.get_name(), may_write)

    return make_app(list(_page_data().values()), person, load(LabellingSettings).second_share)


def make_home() -> "FastAPI":
    """Make the application of the page *Retake*."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.home.app import make_app

    docs, data = REPOSITORY / "docs", _page_data()
    return make_app(
        *_stores(),
        lambda uri, look: data[uri].read(look),
        get_user,
        _login_address,
        docs if docs.is_dir() else None,
        _samples(),
    )


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

    from tasks.pages.web import stored_pages

    return stored_pages(*_stores(), get_user, _login_address)


def make_trigger() -> "FastAPI":
    """Make the form that reports fill in by an address: `/retake/trigger/?dag=retrain&conf={…}`."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.trigger_form import make_app

    return make_app(get_user, _login_address)


class HomePage(AirflowPlugin):
    """The page *Retake*, and the applications of all pages.

    The name of its plugin puts it before *Label* in the navigation. Airflow mounts applications in the order in which it happens to load plugins,
    and `/retake` holds the addresses of the others: so one plugin mounts them all, `/retake` last.
    """

    name = "retake_home"
    fastapi_apps = [  # noqa: RUF012 - as Airflow declares it
        mounted("/retake/label", "Retake: label", make_label),
        mounted("/retake/trigger", "Retake: trigger", make_trigger),
        mounted("/retake/report", "Retake: report", make_report),
        mounted("/retake", "Retake", make_home),
    ]
    external_views = [_view("Retake", "home") | {"href": "retake/", "url_route": "retake"}]  # noqa: RUF012 - as Airflow declares it


def import_ahead(app: Any) -> Any:  # noqa: ANN401 - any ASGI application
    """Import the modules of *Label* in the background when the API server starts."""
    threading.Thread(target=import_module, args=("tasks.pages.label.app",), daemon=True, name="labelling-imports").start()
    return app


class LabelPage(AirflowPlugin):
    """The place of the page *Label*."""

    name = "retake_label"
    fastapi_root_middlewares = [{"middleware": import_ahead, "name": "Retake: import the labelling page"}]  # noqa: RUF012 - as Airflow declares it
    external_views = [_view("Label", "label") | {"href": "retake/label/", "url_route": "label"}]  # noqa: RUF012 - as Airflow declares it
