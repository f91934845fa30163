"""Put the page *Label* into Airflow's navigation, behind Airflow's own login.

It reads and labels the clips of the store that the DAGs use. Labelling needs the right to trigger `build_dataset`.
"""

import asyncio
import threading
from collections.abc import MutableMapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI

DAG_ID = "build_dataset"
ICON = "retake/label/static/icon.svg"
_making = threading.Lock()


@cache
def _application() -> "FastAPI":
    """Make the application at its first request: every component of Airflow loads plugins, and only the API server needs this one."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends

    from tasks.data.clips.labelled import labelled_in_child
    from tasks.pages.label.app import Person, make_app
    from tasks.pages.label.page_data import PageData
    from tasks.settings import LabellingSettings, RunnerSettings, StoreSettings, load
    from tasks.store.objects import Store

    def person(user: Annotated[BaseUser, Depends(get_user)]) -> Person:
        may_write = get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG_ID), user=user
        )
        return Person(user.get_name(), may_write)

    # A store that hangs must not occupy the threads of Airflow's API server.
    settings, store = load(LabellingSettings), Store.from_settings(load(StoreSettings), read_seconds=10, num_retries=1)
    uris = dict.fromkeys((load(RunnerSettings).store_uri, *settings.stores))
    return make_app([PageData(store, uri, label=labelled_in_child) for uri in uris], person, settings.second_share)


def _made() -> "FastAPI":
    """Make the application once, also where two requests come at once."""
    with _making:
        return _application()


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
    """Hand a request to the application; while the first one makes it, the server answers others."""
    app = _application() if _application.cache_info().currsize else await asyncio.to_thread(_made)
    await app(scope, receive, send)


def import_ahead(app: Any) -> Any:  # noqa: ANN401 - any ASGI application
    """Import the page's modules when a process of the API server starts, in the background; change nothing in its application."""
    threading.Thread(target=import_module, args=("tasks.pages.label.app",), daemon=True, name="labelling-imports").start()
    return app


MOUNTED = {"app": application, "url_prefix": "/retake/label", "name": "Retake: label"}
"""What `home_page` mounts."""


class LabelPage(AirflowPlugin):
    """The page, and its place in the navigation.

    A browser that opens Airflow asks for the icon, and the page begins to read the clips before anybody opens it.
    """

    name = "retake_label"
    fastapi_root_middlewares = [{"middleware": import_ahead, "name": "Retake: import the labelling page"}]  # noqa: RUF012 - as Airflow declares it
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {
            "name": "Label",
            "href": "retake/label/",
            "destination": "nav",
            "url_route": "label",
            "nav_top_level": True,
            "icon": ICON,
            "icon_dark_mode": ICON.replace(".svg", "_dark.svg"),
        }
    ]
