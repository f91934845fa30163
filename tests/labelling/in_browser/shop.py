"""Serve the labelling page to a browser, beside the parts of Airflow that it talks to."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import uvicorn
from fastapi import Body, Cookie, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from playwright.sync_api import Page, expect

from tasks.labelling.app import make_app
from tasks.labelling.desk import Desk
from tasks.options import SegmentOptions
from tasks.store.objects import Store
from tests.labelling.page import MAY_LOOK, person

OPTIONS = SegmentOptions(clip_seconds=1, min_clip_seconds=1, short_side=128, crf=30)
READY = "#stage[aria-busy=false]"
START_SECONDS = 20


def around(page: FastAPI) -> FastAPI:
    """Mount the page where Airflow does, beside the part of Airflow's API that starts a DAG."""
    app, runs = FastAPI(), dict[str, int]()

    @app.post("/api/v2/dags/build_dataset/dagRuns")
    def start(asked: Annotated[dict[str, object], Body()], who: Annotated[str | None, Cookie()] = None) -> dict[str, object]:
        if who in (None, MAY_LOOK) or asked["logical_date"] is not None:
            raise HTTPException(403, "Forbidden")
        runs["manual__1+00:00"] = 0
        return {"dag_run_id": "manual__1+00:00", "state": "queued"}

    @app.get("/api/v2/dags/build_dataset/dagRuns")
    def latest() -> dict[str, object]:
        return {"dag_runs": []}

    @app.get("/api/v2/dags/build_dataset/details")
    def form() -> dict[str, object]:
        return {"params": {"store": {"value": "s3://retake"}, "val_share": {}, "cut": {}, "clip_seconds": {}, "then": {}}}

    @app.get("/api/v2/dags/build_dataset/dagRuns/{run}")
    def state(run: str) -> dict[str, object]:
        runs[run] += 1
        return {"dag_run_id": run, "state": "success" if runs[run] > 1 else "running"}

    @app.get("/api/v2/dags/build_dataset/dagRuns/{run}/taskInstances")
    def tasks(run: str) -> dict[str, object]:
        return {"task_instances": [{"task_id": "split", "map_index": -1, "state": "success" if runs[run] > 1 else "running"}]}

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


def server_of(store: Store, store_uri: str, second_share: float, port: int = 0) -> uvicorn.Server:
    app = around(make_app([Desk(store, store_uri)], person, second_share))
    return uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))


def address_of(server: uvicorn.Server) -> str:
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/retake/label/"


@contextmanager
def served(store: Store, store_uri: str, second_share: float = 0.1, port: int = 0) -> Iterator[str]:
    """Serve the page of a store, and yield its address."""
    server = server_of(store, store_uri, second_share, port)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    try:
        while not server.started:
            assert thread.is_alive() and time.monotonic() < deadline
            thread.join(0.01)
        yield address_of(server)
    finally:
        server.should_exit = True
        thread.join()
