"""The real store and MLflow, and steps as a runner starts them: `python -m tasks STEP` in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.local import supervise
from tasks.local.home import Credentials, Home
from tasks.local.servers import store_settings
from tasks.storage import Store
from tests.integration.whole_job import Kitchen

REPOSITORY = Path(__file__).resolve().parents[2]
PORT_OFFSET = 1000
KITCHEN_PORT_OFFSET = 1100
STEP_SECONDS = 240
OWN_OPTIONS = (
    "backbone=tf_efficientnet_lite0",
    "weights=imagenet",
    "trainable=heads",
    "epochs=2",
    "learning_rate=0.005",
    "frame_step=5",
    "crops=1",
)


@dataclass(frozen=True)
class Workshop:
    """Servers, and a way to run steps against them."""

    store: Store
    environment: dict[str, str]

    def attempt(self, step: str, **flags: Any) -> subprocess.CompletedProcess[str]:
        """Run a step; a value of None is left out."""
        argv = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items() if value is not None]
        command = [sys.executable, "-m", "tasks", step, *argv]
        return subprocess.run(command, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=STEP_SECONDS)

    def run(self, step: str, **flags: Any) -> dict[str, Any]:
        """Run a step that must succeed and give its result."""
        done = self.attempt(step, **flags)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="session")
def workshop(tmp_path_factory) -> Iterator[Workshop]:
    home = Home(tmp_path_factory.mktemp("integration") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETAKE_PORT_OFFSET", str(PORT_OFFSET))
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
                "RETAKE_CACHE_DIR": str(home.root / "cache"),
                "RETAKE_CODE_VERSION": "test",
            }
            yield Workshop(Store.from_settings(settings), environment)
        finally:
            supervise.down(home, lambda _: None)


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
