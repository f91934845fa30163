"""Serve the labelling page to a browser; `python -m tests.pages.label.in_browser.shop URI` does so in a process of its own."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Page, expect

from tasks.options import SegmentOptions
from tasks.pages.label.app import make_app
from tasks.pages.label.page_data import PageData
from tasks.settings import StoreSettings, load
from tasks.store.objects import Store
from tests.http_servers import running
from tests.pages.label.page import person

OPTIONS = SegmentOptions(clip_seconds=1, min_clip_seconds=1, short_side=128, crf=30)
READY = "#stage[aria-busy=false]"


def around(page: FastAPI) -> FastAPI:
    """Mount the page where Airflow does, and beside it in a frame."""
    app = FastAPI()

    @app.get("/favicon.ico", status_code=204)
    def icon() -> None:
        """Answer a browser that asks by itself."""

    @app.get("/plugin/label")
    def frame() -> HTMLResponse:
        """Show the page in a frame with the rights that Airflow gives it."""
        rights = "allow-scripts allow-same-origin allow-forms allow-downloads"
        return HTMLResponse(f'<iframe src="/retake/label/" sandbox="{rights}" width="1200" height="700"></iframe>')

    app.mount("/retake/label", page)
    return app


def press(page: Page, *keys: str) -> None:
    """Press keys when the picture of the clip is there, as people do."""
    expect(page.locator(READY)).to_be_visible()
    for key in keys:
        page.keyboard.press(key)


def server_of(store: Store, store_uri: str, second_share: float = 0.1) -> uvicorn.Server:
    app = around(make_app([PageData(store, store_uri)], person, second_share))
    return uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", lifespan="off"))


@contextmanager
def served(store: Store, store_uri: str, second_share: float = 0.1) -> Iterator[str]:
    """Serve the page of a store, and yield its address."""
    with running(server_of(store, store_uri, second_share)) as address:
        yield f"{address}/retake/label/"


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        server_of(Store.from_settings(load(StoreSettings)), sys.argv[1], 0).run(sockets=[listening])
