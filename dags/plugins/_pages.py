"""Mount the pages that Airflow serves: an application is made by its first request, with the stores that the DAGs use.

Every component of Airflow loads plugins, and only the API server needs the applications.
"""

import asyncio
import threading
from collections.abc import Callable, MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tasks.store.objects import Store

_making = threading.Lock()


def mounted(prefix: str, name: str, make: "Callable[[], FastAPI]") -> dict[str, Any]:
    """Describe to Airflow an application that its first request makes, in a thread: meanwhile the server answers others."""
    made = cache(make)

    def made_once() -> "FastAPI":
        with _making:
            return made()

    async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI defines them
        app = made() if made.cache_info().currsize else await asyncio.to_thread(made_once)
        await app(scope, receive, send)

    return {"app": application, "url_prefix": prefix, "name": name}


def stores() -> "tuple[Store, list[str]]":
    """Return a client for the pages, and the stores that they offer, that of the DAGs first."""
    from tasks.settings import LabellingSettings, RunnerSettings, StoreSettings, load
    from tasks.store.objects import Store

    # A store that hangs must not occupy the threads of Airflow's API server.
    store = Store.from_settings(load(StoreSettings), read_seconds=10, num_retries=1)
    return store, list(dict.fromkeys((load(RunnerSettings).store_uri, *load(LabellingSettings).stores)))


def login_address(address: str) -> str:
    """Give the address where a stranger logs in and comes back to an address."""
    from airflow.sdk import conf

    base = conf.get("api", "base_url", fallback="").rstrip("/")
    return f"{base}/api/v2/auth/login?{urlencode({'next': address})}"
