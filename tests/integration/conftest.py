"""Start real servers: store and MLflow for single steps, whole homes for whole jobs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.__main__ import main
from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.local import processes, supervise, warm
from tasks.local.hand_over import SOCKET
from tasks.local.home_folder import REPOSITORY, Credentials, Home
from tasks.local.servers import store_settings
from tasks.store.objects import Store
from tasks.store.records.training import PlanResult
from tests.films.samples import make_samples
from tests.integration.workshop import TRAINING, Workshop
from tests.ports import port_offset

WORKSHOP_PORT_OFFSET = port_offset(1000)
WARM_SECONDS = 250
CHAIN_STORE = "s3://retake-steps"
DAG_MODULES = [*(f"dags.{path.stem}" for path in (REPOSITORY / "dags").glob("[a-z]*.py")), "tests.integration.execution_api"]
"""What a command that runs DAGs imports."""


@contextmanager
def own_home(folder: Path, port_offset: int) -> Iterator[Home]:
    """Make a home with its own ports, and stop its servers at the end."""
    home = Home(folder / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_PORT_OFFSET", str(port_offset))
        try:
            yield home
        finally:
            supervise.down(home, lambda _: None)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Iterator[Workshop]:
    with (
        own_home(tmp_path_factory.mktemp("integration"), WORKSHOP_PORT_OFFSET) as home,
        warm_python(home, os.environ, warm.MODULES) as steps,
    ):
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
            "RETAKE_PYTHON": str(steps),
            "AIRFLOW_HOME": str(home.root / "airflow"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        }
        for command in (("db", "migrate"), ("dags", "reserialize")):
            argv = [sys.executable, "-m", "airflow", *command]
            subprocess.run(argv, env=environment, capture_output=True, check=True, timeout=200)
        # Else each `dag.test()` would read all files of DAGs into the database anew.
        environment["AIRFLOW__CORE__DAGS_FOLDER"] = str(tmp_path_factory.mktemp("no DAGs"))
        with warm_python(Home(home.root / "for-dags"), environment, DAG_MODULES) as airflow:
            for started in (home, Home(home.root / "for-dags")):
                wait_until_warm(started)
            yield Workshop(Store.from_settings(settings), environment, airflow)


@contextmanager
def warm_python(home: Home, environment: Mapping[str, str], modules: Sequence[str]) -> Iterator[Path]:
    """Start a warm process that imports `modules`; yield the program that forks from it."""
    program = warm.write_program(home, sys.executable)
    warm.start(home, environment, modules)
    try:
        yield program
    finally:
        warm.stop(home)


def wait_until_warm(home: Home) -> None:
    """Wait until the warm process has imported its modules."""
    deadline = time.monotonic() + WARM_SECONDS
    while not (home.root / "servers" / SOCKET).exists():
        assert time.monotonic() < deadline, processes.tail(processes.log_file(home, warm.NAME))
        time.sleep(0.1)


@pytest.fixture
def attempt(workshop, monkeypatch, caplog) -> Callable[..., tuple[int, str]]:
    """Run steps in this process with other settings; return exit code and last log line."""

    def call(step: str, settings: dict[str, str] | None = None, **flags: Any) -> tuple[int, str]:
        for name, value in {**workshop.environment, **(settings or {})}.items():
            monkeypatch.setenv(name, value)
        caplog.clear()
        code = main(workshop.command(step, **flags)[3:])
        return code, caplog.messages[-1] if caplog.messages else ""

    return call


@dataclass(frozen=True)
class Chain:
    """Three films through the three DAGs, twice: states of tasks, and addresses and hashes of what is in the store."""

    films: Path
    states: dict[str, dict[str, str]]
    states_again: dict[str, dict[str, str]]
    weights: str
    plan: str
    run: str
    decision: str
    listing: dict[str, str]
    listing_again: dict[str, str]


@pytest.fixture(scope="session")
def chain(workshop, tmp_path_factory) -> Chain:
    folder = tmp_path_factory.mktemp("films") / "films"
    make_samples(folder, seed=0, num_videos=3, video_seconds=16, ffmpeg=find_ffmpeg(None))
    confs = {
        "ingest_videos": {"store": CHAIN_STORE, "sources": [str(folder)]},
        "build_dataset": {"store": CHAIN_STORE},
        # `dag.test()` starts no run of another DAG; that of the curve is run below.
        "retrain": {"store": CHAIN_STORE, "preset": "none", **TRAINING, "learning_curve": False},
    }
    states = workshop.dag_test(confs)
    weights, form = (first_result(workshop.store, f"{CHAIN_STORE}/{kind}/") for kind in ("pretrained/choices", "plans"))
    planned = workshop.store.read(f"{form}result.json", PlanResult)
    plan = f"{planned.decision_uri}plan/"
    states |= workshop.dag_test({"learning_curve": {"store": CHAIN_STORE, "plan": plan}})
    # Now, for other tests write to this store too.
    listing = etags(workshop.store, CHAIN_STORE)
    states_again = workshop.dag_test(confs)
    results = (weights, plan, planned.run_uri, planned.decision_uri)
    return Chain(folder, states, states_again, *results, listing, etags(workshop.store, CHAIN_STORE))


def etags(store: Store, folder: str) -> dict[str, str]:
    """Map the address of each object under a folder to the hash of its content."""
    return {stored.uri: stored.etag for stored in store.list(f"{folder}/")}


def first_result(store: Store, folder: str) -> str:
    """Find the folder, directly under `folder`, of the only step that wrote a result there."""
    results = [stored.uri for stored in store.list(folder) if stored.uri.removeprefix(folder).count("/") == 1]
    return next(uri.removesuffix("result.json") for uri in results if uri.endswith("/result.json"))
