"""Serve the form of a DAG filled in from an address: `/retake/trigger/?dag=retrain&conf={…}`. Reports link to it."""

from collections.abc import MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from fastapi import FastAPI


@cache
def _application() -> "FastAPI":
    """Make the application at its first request, as that of the labelling page."""
    from airflow.api_fastapi.core_api.security import get_user

    from tasks.pages.trigger_form import make_app

    return make_app(get_user, login_address)


def login_address(address: str) -> str:
    """Give the address where a stranger logs in and comes back to an address."""
    from airflow.sdk import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/api/v2/auth/login?{urlencode({'next': address})}"


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
    """Hand a request to the application."""
    await _application()(scope, receive, send)


MOUNTED = {"app": application, "url_prefix": "/retake/trigger", "name": "Retake: trigger"}
"""What `home_page` mounts; the form has no place in the navigation."""
