"""A stack of its own in containers, from a clone of this checkout, as `make up` gives it to a person."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import docker
import httpx

from tasks.local.airflow_api import AirflowApi
from tasks.local.home_folder import REPOSITORY
from tasks.settings import StoreSettings
from tasks.store.objects import Store

PROJECT = "retake-test"
PORTS = {"RETAKE_AIRFLOW_PORT": 28080, "RETAKE_MLFLOW_PORT": 25000, "RETAKE_STORE_PORT": 29000, "RETAKE_REDIS_PORT": 26379}
UP_SECONDS = 1200
STACK_SECONDS = 1500
"""Time limit of a test: the first one waits until the stack is built and up."""


@dataclass(frozen=True)
class Stack:
    """The stack, and the ways into its services."""

    folder: Path
    airflow_url: ClassVar[str] = f"http://localhost:{PORTS['RETAKE_AIRFLOW_PORT']}"
    mlflow_url: ClassVar[str] = f"http://localhost:{PORTS['RETAKE_MLFLOW_PORT']}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that keep this stack apart from a person's on the same machine."""
        ports = {name: str(port) for name, port in PORTS.items()}
        return {**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, "RETAKE_IMAGE_TAG": "test", **ports}

    def run(self, *command: str, given: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in its folder, whatever its end."""
        return subprocess.run(
            command, cwd=self.folder, env={**self.environment, **variables}, input=given, capture_output=True, text=True, timeout=UP_SECONDS
        )

    def make(self, target: str, **variables: str) -> tuple[int, str]:
        """Run `make TARGET` as a person types it; return exit code and output."""
        done = self.run("make", target, **variables)
        return done.returncode, done.stdout + done.stderr

    def compose(self, *arguments: str, given: str | None = None, **variables: str) -> str:
        """Run `docker compose …`, which must end well; return its output."""
        done = self.run("docker", "compose", *arguments, given=given, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def variables(self) -> dict[str, str]:
        lines = (self.folder / ".env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))

    @cached_property
    def engine(self) -> docker.DockerClient:
        return docker.from_env()

    @property
    def containers(self) -> dict[str, docker.models.containers.Container]:
        """Its containers by service, those that have ended among them."""
        containers = self.engine.containers.list(all=True, filters={"label": f"com.docker.compose.project={PROJECT}"})
        return {container.labels["com.docker.compose.service"]: container for container in containers}

    def mlflow(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """Return an answer of MLflow's REST API to an administrator, which must be a success."""
        auth = ("admin", self.variables["RETAKE_MLFLOW_PASSWORD"])
        reply = httpx.request(method, f"{self.mlflow_url}/api/2.0/mlflow/{path}", auth=auth, **request).raise_for_status()
        answer: dict[str, Any] = reply.json()
        return answer

    def airflow(self, password: str | None = None) -> AirflowApi:
        return AirflowApi(self.airflow_url, password or self.variables["RETAKE_AIRFLOW_PASSWORD"])

    def store(self, user: str = "STEPS", secret_key: str | None = None) -> Store:
        access, secret = (self.variables[f"RETAKE_STORE_{user}_{kind}_KEY"] for kind in ("ACCESS", "SECRET"))
        settings = {"endpoint": f"localhost:{PORTS['RETAKE_STORE_PORT']}", "access_key": access, "secret_key": secret_key or secret}
        return Store.from_settings(StoreSettings.model_validate(settings))

    def run_in(self, service: str, script: str, given: object) -> Any:
        """Run a Python script in a service's container with `given` on stdin; return the JSON that it prints."""
        return json.loads(self.compose("exec", "--no-TTY", service, "python", "-c", script, given=json.dumps(given)))


@contextmanager
def own_stack(folder: Path) -> Iterator[Stack]:
    """A stack in `folder`, not yet up; afterwards nothing of it is left."""
    _clone(folder)
    stack = Stack(folder)
    _remove(stack)
    try:
        yield stack
    finally:
        _remove(stack)


def _remove(stack: Stack) -> None:
    ended, said = stack.make("down") if (stack.folder / ".env").exists() else (0, "")
    engine = stack.engine
    labelled: Mapping[str, str] = {"label": f"com.docker.compose.project={PROJECT}"}
    for container in engine.containers.list(all=True, filters=labelled):
        container.remove(force=True, v=True)
    for network in engine.networks.list(filters=labelled):
        network.remove()
    # By name: a volume that a container brought into being has no label of the project.
    for volume in engine.volumes.list(filters={"name": f"{PROJECT}_"}):
        volume.remove()
    assert ended == 0, said


def _clone(folder: Path) -> None:
    """Clone the checkout, with the files that are not committed yet."""
    _git(["clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(folder)])
    for name in _git(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]).split("\0"):
        source, target = REPOSITORY / name, folder / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    for name in _git(["ls-files", "--deleted", "-z"]).split("\0"):
        if name:
            (folder / name).unlink(missing_ok=True)


def _git(arguments: Sequence[str]) -> str:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
