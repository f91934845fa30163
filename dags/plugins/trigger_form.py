"""Serve the form of a DAG filled in from an address: `/retake/trigger/?dag=retrain&conf={…}`. Reports link to it."""

from collections.abc import MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from fastapi import FastAPI


@cache
def _application() -> "FastAPI":
    """Make the application at its first request, as that of the labelling page."""
    from airflow.api_fastapi.core_api.security import get_user
    from airflow.sdk import conf

    from tasks.pages.trigger_form import make_app

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return make_app(get_user, lambda address: f"{base}/api/v2/auth/login?{urlencode({'next': address})}")


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
    """Hand a request to the application."""
    await _application()(scope, receive, send)


class TriggerForm(AirflowPlugin):
    """The form; it has no place in the navigation."""

    name = "retake_trigger"
    fastapi_apps = [{"app": application, "url_prefix": "/retake/trigger", "name": "Retake: trigger"}]  # noqa: RUF012 - as Airflow declares it
