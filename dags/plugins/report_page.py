"""Serve the reports of a store behind Airflow's login: `/retake/report/?page=s3://…/report.html`. The button *Report* leads there."""

from collections.abc import MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

from dags.plugins.trigger_form import login_address

if TYPE_CHECKING:
    from fastapi import FastAPI


@cache
def _application() -> "FastAPI":
    """Make the application at its first request, as that of the labelling page."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.report import make_app
    from tasks.settings import LabellingSettings, RunnerSettings, StoreSettings, load
    from tasks.store.objects import Store

    store = Store.from_settings(load(StoreSettings), read_seconds=10, num_retries=1)
    uris = list(dict.fromkeys((load(RunnerSettings).store_uri, *load(LabellingSettings).stores)))
    return make_app(store, uris, get_user, login_address)


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
    """Hand a request to the application."""
    await _application()(scope, receive, send)


MOUNTED = {"app": application, "url_prefix": "/retake/report", "name": "Retake: report"}
"""What `home_page` mounts; the page has no place in the navigation."""
