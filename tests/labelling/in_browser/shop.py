"""A store with clips and suggestions, and the labelling page on it for people who are known by a cookie."""

import csv
import hashlib
import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import Body, Cookie, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from playwright.sync_api import Page, expect

from tasks.labelling.app import Person, make_app
from tasks.labelling.desk import Desk
from tasks.local.home import REPOSITORY
from tasks.media.cutting import SHARE_BYTES, cut_video
from tasks.options import SegmentOptions
from tasks.results.prediction import PredictReportResult
from tasks.results.video import ClipsFile, VideoRecord
from tasks.settings import StoreSettings
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.video.memory import Memory, MemoryShares
from tasks.video.probe import probe

OPTIONS = SegmentOptions(clip_seconds=1, min_clip_seconds=1, short_side=128, crf=30)
ACTIONS = (("put", "meat"), ("take", "bag"), ("move", "sauce"), ("put", "potato"))
MAY_LOOK = "vera"
"""The person who may look, but not label."""


def cut(store: Store, store_uri: str, videos: Sequence[tuple[Path, str]]) -> list[ClipsFile]:
    """Put videos into the store under these names, and cut them into clips of a second."""
    shares = MemoryShares(1, 4 * SHARE_BYTES)
    return [cut_video(store, store_uri, _ingested(store, store_uri, path, name), OPTIONS, shares) for path, name in videos]


def _ingested(store: Store, store_uri: str, path: Path, name: str) -> VideoRecord:
    found = probe(path, max_seconds=600, memory=Memory(4 * SHARE_BYTES, is_scarce=False))
    video = hashlib.sha256(path.read_bytes()).hexdigest()
    place = Layout(store_uri).video(video)
    record = VideoRecord(
        video=video, uri=place.source(".mp4"), size_bytes=path.stat().st_size, names=(name,), has_audio=found.has_audio, **asdict(found)
    )
    store.write_file(record.uri, path)
    store.write(place.probe, record)
    return record


def copy(store: Store, from_uri: str, to_uri: str) -> None:
    """Copy the lists of videos and clips of a store to another; the clips stay where they are."""
    for listed in store.list(f"{from_uri}/"):
        if listed.uri.endswith(".json"):
            store.write_bytes(listed.uri.replace(from_uri, to_uri, 1), store.read_bytes(listed.uri))


def cut_longer(store: Store, store_uri: str, of_video: ClipsFile) -> None:
    """List the clips of a video once more, two seconds long; their files stay those of a second."""
    clips = [
        one.model_copy(
            update={
                "uid": f"{one.video[:12]}_{2000 * number:09d}-{2000 * (number + 1):09d}",
                "index": number,
                "start_seconds": 2.0 * number,
                "stop_seconds": 2.0 * (number + 1),
            }
        )
        for number, one in enumerate(of_video.clips[: len(of_video.clips) // 2])
    ]
    options = OPTIONS.model_copy(update={"clip_seconds": 2.0})
    file = of_video.model_copy(update={"recipe": "longer", "options": options, "clips": tuple(clips)})
    store.write(Clips(f"{Layout(store_uri).clips_of(of_video.video)}longer/"), file)


def suggest(store: Store, store_uri: str, cuts: Sequence[ClipsFile], actions: Sequence[tuple[str, str]] = ACTIONS) -> None:
    """Write the tables of a prediction: each clip with two suggestions, the first two clips of each video to be labelled first."""
    table, to_label = io.StringIO(), io.StringIO()
    rows = csv.DictWriter(table, ("uid", "network", "rank", "verb", "verb_probability", "action", "action_probability"))
    listed = csv.DictWriter(to_label, ("uid", "reason"))
    rows.writeheader()
    listed.writeheader()
    for of_video in cuts:
        for number, clip in enumerate(of_video.clips):
            for rank in (1, 2):
                verb, noun = actions[(number // 4 + rank - 1) % len(actions)]
                probability = 0.9 / rank - 0.01 * (number % 10)
                names = {"verb": verb, "verb_probability": probability, "action": f"{verb} {noun}", "action_probability": probability}
                rows.writerow({"uid": clip.uid, "network": "champion", "rank": rank, **names})
            if number < 2:
                listed.writerow({"uid": clip.uid, "reason": "the model is unsure: put meat 38 %, take bag 35 %"})
    report = Layout(store_uri).prediction("test").report
    store.write_bytes(report.table, table.getvalue().encode())
    store.write_bytes(report.to_label, to_label.getvalue().encode())
    store.write(report, _report(sum(len(of_video.clips) for of_video in cuts), len(cuts)))


def _report(num_clips: int, num_videos: int) -> PredictReportResult:
    return PredictReportResult(
        num_videos=num_videos,
        num_clips=num_clips,
        num_set_aside=0,
        first_set_aside=(),
        missing=(),
        action_agreement=None,
        action_agreement_interval=None,
        num_to_label=0,
        page_uri="s3://none",
        table_uri="s3://none",
        to_label_uri="s3://none",
        report_url="",
        mlflow_run_url="",
    )


def person(who: Annotated[str | None, Cookie()] = None) -> Person:
    """Know people by their cookie."""
    if who is None:
        raise HTTPException(401, "not logged in")
    return Person(who, who != MAY_LOOK)


def around(page: FastAPI, store_uri: str) -> FastAPI:
    """Mount the page where Airflow does, beside the part of Airflow's API that starts a DAG."""
    app, runs = FastAPI(), dict[str, int]()

    @app.post("/api/v2/dags/build_dataset/dagRuns")
    def start(asked: Annotated[dict[str, object], Body()], who: Annotated[str | None, Cookie()] = None) -> dict[str, object]:
        if who in (None, MAY_LOOK) or asked != {
            "logical_date": None,
            "conf": {"store": store_uri, **OPTIONS.model_dump(exclude={"cut"})},
        }:
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
    def one(run: str) -> dict[str, object]:
        runs[run] += 1
        return {"dag_run_id": run, "state": "success" if runs[run] > 1 else "running"}

    @app.get("/api/v2/dags/build_dataset/dagRuns/{run}/taskInstances")
    def tasks(run: str) -> dict[str, object]:
        state = "success" if runs[run] > 1 else "running"
        return {
            "task_instances": [
                {"task_id": "label", "map_index": -1, "state": "success"},
                {"task_id": "split", "map_index": -1, "state": state},
            ]
        }

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
    expect(page.locator("#stage[aria-busy=false]")).to_be_visible()
    for key in keys:
        page.keyboard.press(key)


@contextmanager
def served_apart(settings: StoreSettings, store_uri: str, second_share: float = 0.0) -> Iterator[tuple[str, int]]:
    """Serve the page of a store by a process of its own, and yield its address and the process's id."""
    environment = {
        **os.environ,
        "RETAKE_STORE_ENDPOINT": settings.endpoint,
        "RETAKE_STORE_ACCESS_KEY": settings.access_key.get_secret_value(),
        "RETAKE_STORE_SECRET_KEY": settings.secret_key.get_secret_value(),
    }
    command = [sys.executable, "-m", "tests.labelling.in_browser.serve", store_uri, str(second_share)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=REPOSITORY) as process:
        try:
            assert process.stdout
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/retake/label/", process.pid
        finally:
            process.terminate()


@contextmanager
def served(store: Store, store_uri: str, second_share: float = 0.1, port: int = 0) -> Iterator[str]:
    """Serve the page of a store, and yield its address."""
    app = around(make_app([Desk(store, store_uri)], person, second_share), store_uri)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/retake/label/"
    finally:
        server.should_exit = True
        thread.join()
