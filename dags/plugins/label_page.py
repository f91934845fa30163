"""Put the page *Label* into Airflow's navigation, behind Airflow's own login.

It reads and labels the clips of the store that the DAGs use. Labelling needs the right to trigger `build_dataset`.
"""

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

from airflow.plugins_manager import AirflowPlugin

from dags.plugins._pages import mounted, stores

if TYPE_CHECKING:
    from fastapi import FastAPI

DAG_ID = "build_dataset"
ICON = "retake/label/static/icon.svg"


def make() -> "FastAPI":
    """Make the application."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends

    from tasks.data.clips.labelled import labelled_in_child
    from tasks.pages.label.app import Person, make_app
    from tasks.pages.label.page_data import PageData
    from tasks.settings import LabellingSettings, load

    def person(user: Annotated[BaseUser, Depends(get_user)]) -> Person:
        may_write = get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=DAG_ID), user=user
        )
        return Person(user.get_name(), may_write)

    store, uris = stores()
    return make_app([PageData(store, uri, label=labelled_in_child) for uri in uris], person, load(LabellingSettings).second_share)


def import_ahead(app: Any) -> Any:  # noqa: ANN401 - any ASGI application
    """Import the page's modules when a process of the API server starts, in the background; change nothing in its application."""
    threading.Thread(target=import_module, args=("tasks.pages.label.app",), daemon=True, name="labelling-imports").start()
    return app


MOUNTED = mounted("/retake/label", "Retake: label", make)
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
