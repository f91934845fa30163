"""Run `make run` in its own home, and read the state that it leaves."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tasks.local import supervise
from tasks.local.airflow_api import AirflowApi, RunRef
from tasks.local.home_folder import REPOSITORY, Credentials, Home
from tasks.local.servers import step_environment, store_settings
from tasks.store.objects import Store

RUN_SECONDS = 900
POLL_SECONDS = 0.5
SAMPLE_CHANGES = ("crops=1", "feature_variants=1", "learning_curve=false")
"""Make the run on the samples shorter."""
OWN_OPTIONS = (
    *("backbone=tf_efficientnet_lite0", "weights=imagenet", "trainable=heads", "epochs=1", "learning_rate=0.005"),
    *("frame_step=15", "feature_variants=1", "crops=1", "learning_curve=false", "num_seeds=1"),
)
WAITS = re.compile(r"approve waits for your answer: (\S+)")


@dataclass(frozen=True)
class MadeRun:
    """A `make run` that has ended: what it printed, and Airflow's run of its training."""

    output: str
    retrain: RunRef


@dataclass(frozen=True)
class Kitchen:
    """A home and its servers, after a run has started them."""

    home: Home

    def make_run(self, *settings: str, videos: Path | None = None, answer: Callable[[str], None] | None = None) -> MadeRun:
        """Run the chain, which must succeed. `answer` gets the address where it waits for a person."""
        folder = ["--videos", str(videos)] if videos else []
        pairs = [argument for setting in settings for argument in ("--set", setting)]
        command = [sys.executable, "-m", "tasks.local", "run", *folder, *pairs]
        # Coverage would double Airflow's time, and other tests cover the steps.
        untraced = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
        environment = {**untraced, "RETAKE_HOME": str(self.home.root)}
        printed = self.home.root / "printed.txt"
        with (
            printed.open("w") as output,
            subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT) as making,
        ):
            try:
                if answer:
                    self.wait_for(lambda: bool(WAITS.search(printed.read_text())) or making.poll() is not None, RUN_SECONDS)
                    for address in WAITS.findall(printed.read_text()):
                        answer(address)
                making.wait(RUN_SECONDS)
            finally:
                making.kill()
        assert making.returncode == 0, printed.read_text()
        return MadeRun(printed.read_text(), self.latest("retrain"))

    @property
    def addresses(self) -> dict[str, str]:
        return {state.server.name: state.server.address for state in supervise.running(self.home)}

    @property
    def ports(self) -> dict[str, dict[str, int]]:
        return {state.server.name: state.server.ports for state in supervise.running(self.home)}

    @property
    def environment(self) -> dict[str, str]:
        """Make the environment of commands at the shell."""
        steps = step_environment(self.home, Credentials.load(self.home), self.ports)
        return {**os.environ, **steps, "MLFLOW_TRACKING_URI": self.addresses["mlflow"]}

    @property
    def airflow_password(self) -> str:
        return Credentials.load(self.home).airflow_password

    def airflow(self) -> AirflowApi:
        return AirflowApi(self.addresses["airflow"], self.airflow_password)

    def runs(self, dag_id: str) -> list[dict[str, str]]:
        """List Airflow's runs of a DAG, latest first."""
        with self.airflow() as api:
            return api._get(f"/dags/{dag_id}/dagRuns", order_by="-run_after")["dag_runs"]

    def latest(self, dag_id: str) -> RunRef:
        return RunRef(dag_id=dag_id, run_id=self.runs(dag_id)[0]["dag_run_id"])

    def wait_for(self, condition: Callable[[], bool], seconds: float = 300, poll_seconds: float = POLL_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(poll_seconds)

    def wait_for_success(self, run: RunRef, seconds: float = RUN_SECONDS) -> None:
        def has_succeeded() -> bool:
            state = api.run_state(run)
            assert state != "failed", [f"{task.task_id} {task.state}" for task in api.tasks(run)]
            return state == "success"

        with self.airflow() as api:
            self.wait_for(has_succeeded, seconds)

    def states(self, run: RunRef) -> dict[str, str]:
        """Map each task of a run that is not mapped to its state."""
        with self.airflow() as api:
            return {task.task_id: str(task.state) for task in api.tasks(run) if task.map_index == -1}

    def result(self, run: RunRef, step: str) -> dict[str, object]:
        """Return the result of a step of a run."""
        with self.airflow() as api:
            return api.result(run, next(task for task in api.tasks(run) if task.step == step))

    @property
    def store(self) -> Store:
        return Store.from_settings(store_settings(Credentials.load(self.home), self.ports))

    def listing(self, store_uri: str) -> list[tuple[str, str]]:
        """List address and hash of every object."""
        return [(stored.uri, stored.etag) for stored in self.store.list(store_uri)]
