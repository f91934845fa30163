"""Run `make run` in its own home, and read the state that it leaves."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.local import supervise
from tasks.local.airflow_api import AirflowApi, RunRef
from tasks.local.home import REPOSITORY, Credentials, Home
from tasks.local.servers import step_environment, store_settings
from tasks.store.objects import Store
from tasks.store.uri import split_uri

RUN_SECONDS = 900
POLL_SECONDS = 0.5
OWN_OPTIONS = (
    "backbone=tf_efficientnet_lite0",
    "weights=imagenet",
    "trainable=heads",
    "epochs=1",
    "learning_rate=0.005",
    "frame_step=5",
    "crops=1",
)


@dataclass(frozen=True)
class Kitchen:
    """A home and its servers, after a run has started them."""

    home: Home

    def make_run(self, *settings: str, videos: Path | None = None) -> str:
        """Run the chain, which must succeed; return its output in plain lines."""
        folder = ["--videos", str(videos)] if videos else []
        pairs = [argument for setting in settings for argument in ("--set", setting)]
        command = [sys.executable, "-m", "tasks.local", "run", *folder, *pairs]
        # Coverage would double Airflow's time, and other tests cover the steps.
        untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        environment = {**untraced, "RETAKE_HOME": str(self.home.root)}
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=RUN_SECONDS
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    @property
    def addresses(self) -> dict[str, str]:
        """Map each server to its address."""
        return {state.server.name: state.server.address for state in supervise.running(self.home)}

    @property
    def environment(self) -> dict[str, str]:
        """Make the environment of commands at the shell."""
        ports = {state.server.name: state.server.ports for state in supervise.running(self.home)}
        steps = step_environment(self.home, Credentials.load(self.home), ports)
        return {**os.environ, **steps, "MLFLOW_TRACKING_URI": self.addresses["mlflow"]}

    @property
    def airflow_password(self) -> str:
        """Return the password of the user admin."""
        return Credentials.load(self.home).airflow_password

    def airflow(self) -> AirflowApi:
        """Make a client of its Airflow."""
        return AirflowApi(self.addresses["airflow"], self.airflow_password)

    def runs(self, dag_id: str) -> list[dict[str, str]]:
        """List Airflow's runs of a DAG, latest first."""
        with self.airflow() as api:
            found: list[dict[str, str]] = api._get(f"/dags/{dag_id}/dagRuns", order_by="-run_after")["dag_runs"]
        return found

    def wait_for_step(self, dag_id: str, step: str, state: str, seconds: float) -> None:
        """Wait until a step of the DAG's latest, unfinished run is in `state`."""
        run = RunRef(dag_id=dag_id, run_id=self.runs(dag_id)[0]["dag_run_id"])
        deadline = time.monotonic() + seconds
        with self.airflow() as api:
            while (found := next(task for task in api.tasks(run) if task.step == step)).state != state:
                assert api.run_state(run) in ("queued", "running"), [f"{task.task_id} {task.state}" for task in api.tasks(run)]
                assert time.monotonic() < deadline, f"{step} is {found.state}"
                time.sleep(POLL_SECONDS)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 60, poll_seconds: float = POLL_SECONDS) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(poll_seconds)

    def wait_for_success(self, dag_id: str, seconds: float) -> None:
        """Wait until the DAG's latest run has succeeded."""
        deadline = time.monotonic() + seconds
        while (state := self.runs(dag_id)[0]["state"]) != "success":
            assert state != "failed"
            assert time.monotonic() < deadline
            time.sleep(POLL_SECONDS)

    def states(self, run: RunRef) -> dict[str, str]:
        """Map each task of a run that is not mapped to its state."""
        with self.airflow() as api:
            return {task.task_id: str(task.state) for task in api.tasks(run) if task.map_index == -1}

    def latest_result(self, dag_id: str, step: str) -> dict[str, object]:
        """Return the result of a step of the DAG's latest run."""
        run = RunRef(dag_id=dag_id, run_id=self.runs(dag_id)[0]["dag_run_id"])
        with self.airflow() as api:
            task = next(task for task in api.tasks(run) if task.step == step)
            found = api.result(run, task)
        assert found is not None
        return found

    @property
    def store(self) -> Store:
        """Open its object store."""
        ports = {state.server.name: state.server.ports for state in supervise.running(self.home)}
        return Store.from_settings(store_settings(Credentials.load(self.home), ports))

    def remove(self, prefix_uri: str, part: str) -> None:
        """Remove the objects under a prefix whose address has this part."""
        for found in list(self.store.list(prefix_uri)):
            if part in found.uri:
                bucket, key = split_uri(found.uri)
                self.store._client.remove_object(bucket_name=bucket, object_name=key)

    def listing(self, store_uri: str) -> list[tuple[str, str]]:
        """List address and hash of every object."""
        return [(found.uri, found.etag) for found in self.store.list(store_uri)]
