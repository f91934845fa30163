"""An Airflow home of its own, and steps played by small scripts under the real runner."""

import json
import os
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tasks.local import processes, supervise
from tasks.local.home_folder import Credentials, Home
from tasks.local.servers import store_settings
from tasks.store.objects import Store
from tests.pipeline.shelf import Shelf
from tests.ports import port_offset

PORT_OFFSET = port_offset(1300)

# Airflow reads these when it is first imported, which is before any fixture runs.
_home = tempfile.TemporaryDirectory(prefix="retake-airflow-")
os.environ.setdefault("AIRFLOW_HOME", _home.name)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__API__BASE_URL"] = "http://airflow.test:8080/"


def pytest_unconfigure():
    _home.cleanup()


class Log:
    """Keeps what an operator logs, and does something `when` a line comes."""

    def __init__(self):
        self.lines = []
        self.when = {}

    def info(self, template, *values):
        self.lines.append(template % values)
        self.when.get(self.lines[-1], lambda: None)()

    warning = info


def defaults(form):
    """The values of a form before anybody changes it."""
    return {name: param.value for name, param in form.params().items()}


def in_run(form, instance, **params):
    """The context of a task, whose instance this is, in a run with these values in its form."""
    return {"ti": instance, "params": defaults(form) | params, "triggering_asset_events": {}, "run_id": "r"}


def comes_true(condition, within_seconds=60):
    """Wait until `condition` holds; False if it does not in time."""
    deadline = time.monotonic() + within_seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        threading.Event().wait(0.02)
    return False


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def all_end(pids):
    return comes_true(lambda: not any(map(is_running, pids)))


def tell_where(monkeypatch, endpoint, access_key="a", secret_key="s"):  # noqa: S107
    """Say in the environment where the store is."""
    for name, value in {"ENDPOINT": endpoint, "ACCESS_KEY": access_key, "SECRET_KEY": secret_key}.items():
        monkeypatch.setenv(f"RETAKE_STORE_{name}", value)


@pytest.fixture
def shelf(monkeypatch):
    """A store in memory that runners take for the real one."""
    shelf = Shelf()
    tell_where(monkeypatch, "store:1")
    monkeypatch.setattr("tasks.store.objects.Store.from_settings", lambda settings: shelf)
    return shelf


@pytest.fixture(scope="session")
def settings(tmp_path_factory):
    """The settings of a real store, which containers write to."""
    home = Home(tmp_path_factory.mktemp("home") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_PORT_OFFSET", str(PORT_OFFSET))
        (server,) = supervise.up(home, lambda _: None, ("store",))
        yield store_settings(Credentials.load(home), {"store": server.ports})
        processes.stop(home, "store", signal.SIGKILL, 10)  # nothing in it is needed, and a graceful stop may take 10 s


@pytest.fixture(scope="session")
def client():
    """A client of the Docker Engine, which has the image of the tests."""
    from tests.dags import engine

    client = engine.connect()
    engine.build(client)
    yield client
    client.images.remove(engine.IMAGE)
    client.close()


@pytest.fixture
def bench(client, settings, monkeypatch):
    """An engine and a store, and a run of the test's own."""
    from tests.dags import engine

    store = Store.from_settings(settings)
    store.ensure_bucket("s3://retake")
    tell_where(monkeypatch, settings.endpoint, settings.access_key.get_secret_value(), settings.secret_key.get_secret_value())
    bench = engine.Bench(client, store, uuid.uuid4().hex)
    runner = {
        "RETAKE_DOCKER_HOST": "unix:///var/run/docker.sock",
        "RETAKE_DOCKER_WORKER_IMAGE": engine.IMAGE,
        "RETAKE_DOCKER_TRAINER_IMAGE": engine.IMAGE,
        "RETAKE_DOCKER_NETWORK": "bridge",
        "RETAKE_DOCKER_CACHE_VOLUME": f"retake-test-{bench.run_id}",
        "RETAKE_DOCKER_VIDEOS_VOLUME": f"retake-test-{bench.run_id}",
    }
    for name, value in runner.items():
        monkeypatch.setenv(name, value)
    bench.store.write_bytes(f"s3://retake/{bench.run_id}/result.json", json.dumps(engine.RESULT).encode())
    yield bench
    for container in bench.containers:
        container.remove(force=True, v=True)
    for volume in bench.client.volumes.list(filters={"name": f"retake-test-{bench.run_id}"}):
        volume.remove()


@pytest.fixture
def execute(bench, context):
    """Runs a step that does what it is told, in Python."""
    from tests.dags import engine

    def run(play, **arguments):
        return bench.operator(play, **arguments).execute(context(engine.PARAMS, run_id=bench.run_id))

    return run


@pytest.fixture
def log(monkeypatch):
    log = Log()
    monkeypatch.setattr("dags._step.StepOperator.log", log)
    return log


@pytest.fixture
def context():
    """Makes the part of a task's context that the DAGs use; `results` are those of earlier tasks by their ids."""

    def make(params, *events, run_id="manual__2026-11-25T10:00:00+00:00", results=None):
        start = datetime(2026, 11, 25, tzinfo=UTC)
        happened = [SimpleNamespace(extra=extra, timestamp=start + timedelta(minutes=n)) for n, extra in enumerate(events)]
        pushed = {}

        def push(key, value):
            pushed[key] = value

        def pull(task_ids, **_):
            return (results or {}).get(task_ids)

        return {
            "params": params,
            "run_id": run_id,
            "triggering_asset_events": {"asset": happened} if events else {},
            "outlet_events": defaultdict(SimpleNamespace),
            "dag_run": SimpleNamespace(dag_id="some_dag", run_id=run_id),
            "ti": SimpleNamespace(xcom_push=push, xcom_pull=pull, pushed=pushed, map_index=-1, try_number=1),
        }

    return make


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Makes steps run a Python script, which sees the step's arguments as sys.argv[3:]."""

    def use(body):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\nimport json, os, signal, subprocess, sys\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("RETAKE_PYTHON", str(script))
        return Path(script)

    return use
