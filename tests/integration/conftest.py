"""Real servers: a store and MLflow for single steps, and whole homes for whole jobs."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.local import supervise
from tasks.local.home import Credentials, Home
from tasks.local.samples import make_samples
from tasks.local.servers import store_settings
from tasks.storage import Store
from tasks.video.ffmpeg import find_ffmpeg
from tests.integration.whole_job import OWN_OPTIONS, Kitchen
from tests.integration.workshop import Workshop

WORKSHOP_PORT_OFFSET = 1000
KITCHEN_PORT_OFFSET = 1100
CHAIN_STORE = "s3://retake-steps"


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Iterator[Workshop]:
    home = Home(tmp_path_factory.mktemp("integration") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_PORT_OFFSET", str(WORKSHOP_PORT_OFFSET))
        try:
            servers = {server.name: server for server in supervise.up(home, lambda _: None, ("store", "mlflow"))}
            ports = {name: server.ports for name, server in servers.items()}
            credentials = Credentials.load(home)
            settings = store_settings(credentials, ports)
            environment = {
                **os.environ,
                "RETAKE_STORE_ENDPOINT": settings.endpoint,
                "RETAKE_STORE_ACCESS_KEY": credentials.store_access_key,
                "RETAKE_STORE_SECRET_KEY": credentials.store_secret_key,
                "RETAKE_MLFLOW_URI": servers["mlflow"].address,
                "MLFLOW_TRACKING_URI": servers["mlflow"].address,
                "RETAKE_CACHE_DIR": str(home.root / "cache"),
                "RETAKE_CODE_VERSION": "test",
            }
            yield Workshop(Store.from_settings(settings), environment)
        finally:
            supervise.down(home, lambda _: None)


@pytest.fixture(scope="session")
def chain(workshop, tmp_path_factory) -> dict[str, Any]:
    """Three films through every step, and what the steps gave that people look at."""
    folder = tmp_path_factory.mktemp("films") / "films"
    make_samples(folder, seed=0, num_videos=3, video_seconds=16, ffmpeg=find_ffmpeg(None))
    summary = workshop.ingest(CHAIN_STORE, folder)
    workshop.build(CHAIN_STORE)
    planned = workshop.plan(CHAIN_STORE)
    assert planned.returncode == 0, planned.stderr
    plan = json.loads(planned.stdout.splitlines()[-1])
    run = plan["run_uri"]
    flags = {"store": CHAIN_STORE, "plan": f"{CHAIN_STORE}/plans/test/"}
    trained = workshop.run("train", **flags, out=f"{run}train/")
    for evaluation in plan["evaluations"]:
        workshop.run("evaluate", **flags, **evaluation)
    compared = workshop.run("compare", **flags, out=f"{run}compare/")
    registered = workshop.run("register", **flags, out=f"{run}register/")
    return {"folder": folder, "summary": summary, "plan": plan, "train": trained, "compare": compared, "register": registered}


@pytest.fixture(scope="session")
def kitchen(tmp_path_factory) -> Iterator[Kitchen]:
    """A home in which whole jobs are done."""
    home = Home(tmp_path_factory.mktemp("kitchen") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_PORT_OFFSET", str(KITCHEN_PORT_OFFSET))
        try:
            yield Kitchen(home)
        finally:
            supervise.down(home, lambda _: None)


@pytest.fixture(scope="session")
def sample_run(kitchen) -> str:
    """What `make run` prints, but that it scores the centre crop alone."""
    return kitchen.make_run("crops=1")


@pytest.fixture(scope="session")
def own_run(kitchen, sample_run, shared) -> str:
    """What `make run VIDEOS=kitchen` prints in the same home."""
    return kitchen.make_run(*OWN_OPTIONS, videos=shared / "videos" / "kitchen")
