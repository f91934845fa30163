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

REPOSITORY = Path(__file__).resolve().parents[2]
PORT_OFFSET = 1000
STEP_SECONDS = 240


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
