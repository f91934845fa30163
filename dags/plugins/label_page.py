"""Put the page *Label* into Airflow's navigation, behind Airflow's own login.

It reads and labels the clips of the store that the DAGs use. Labelling needs the right to trigger `build_dataset`.
"""

from collections.abc import MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI

DAG_ID = "build_dataset"


@cache
def _application() -> "FastAPI":
    """Make the application at its first request: every component of Airflow loads plugins, and only the API server needs this one."""
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import Depends

    from tasks.labelling.app import Person, make_app
    from tasks.labelling.desk import Desk
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
    return make_app([Desk(store, uri) for uri in uris], person, settings.second_share)


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
    """Hand a request to the application."""
    await _application()(scope, receive, send)


class LabelPage(AirflowPlugin):
    """The page, and its place in the navigation."""

    name = "retake_label"
    fastapi_apps = [{"app": application, "url_prefix": "/retake/label", "name": "Retake: label"}]  # noqa: RUF012 - as Airflow declares it
    external_views = [  # noqa: RUF012 - as Airflow declares it
        {"name": "Label", "href": "retake/label/", "destination": "nav", "url_route": "label", "nav_top_level": True}
    ]
