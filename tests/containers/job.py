"""Runs the three DAGs on the stack, and waits for their results."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.errors import Unavailable
from tasks.local.airflow_api import AirflowApi, RunRef, Task
from tasks.local.choices import Choices
from tests.containers.stack import Stack
from tests.films.samples import make_samples

T = TypeVar("T")
STORE = "s3://retake"
QUICK: dict[str, object] = {
    "preset": "none",
    "backbone": "tf_efficientnet_lite0",
    "weights": "imagenet",
    "trainable": "heads",
    "num_segments": 2,
    "epochs": 3,
    "learning_rate": 0.005,
    "batch_size": 4,
    "frame_step": 5,
    "crops": 1,
    "bootstrap_resamples": 100,
    "model_name": "kitchen",
    "min_gate_clips": 1,
    "min_gate_sources": 1,
    "learning_curve": False,
    "num_seeds": 1,
}
"""The smallest job in which every step has something to do."""
LONG: dict[str, object] = {"seed": 1, "trainable": "all"}
"""Epochs that last long enough to be killed in."""

RUN_SECONDS = 900
POLL_SECONDS = 0.5


def small_samples(folder: Path) -> None:
    """Six films of two actions each."""
    make_samples(folder, seed=0, num_videos=6, video_seconds=16, ffmpeg=find_ffmpeg(None), audio=False)
    folder.chmod(0o755)


def wait_for(ask: Callable[[], T | None], event: str, seconds: float = 120) -> T:
    """Return the answer of `ask`, once it is neither None nor False nor empty."""
    deadline = time.monotonic() + seconds
    while True:
        if answer := ask():
            return answer
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {event}"
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Job:
    """Acts as a person who starts runs in Airflow, and looks up their results."""

    stack: Stack

    def start_ingest(self, source: str, **options: object) -> RunRef:
        with self.stack.airflow() as api:
            api.unpause("ingest_videos")
            return api.trigger("ingest_videos", Choices(store=STORE, sources=[source], options={**QUICK, **options}).conf("ingest_videos"))

    def follow(self, run: RunRef) -> None:
        """Wait for the end of an ingest, and of the runs that it causes."""
        with self.stack.airflow() as api:
            for dag_id in ("build_dataset", "retrain"):
                self.ends(api, run)
                run = self._caused(api, run, dag_id)
            self.ends(api, run)
        self.stop_the_clock()

    def name_champion(self) -> None:
        """Give the latest version the alias by hand: so few clips let no gate promote it."""
        decided = self.result(self.latest("retrain"), "decide")
        alias = {"name": decided["model_name"], "alias": "champion", "version": str(decided["version"])}
        self.stack.mlflow("POST", "registered-models/alias", json=alias)

    def stop_the_clock(self) -> None:
        """Pause the hourly ingest, which would train with the defaults while a test waits for its own run."""
        with self.stack.airflow() as api:
            api._call("PATCH", "/dags/ingest_videos", json={"is_paused": True})

    def start_retrain(self, **options: object) -> RunRef:
        """Start `retrain` on the dataset that is there, under a name that has no champion, which would be scored again."""
        chosen = {**QUICK, "model_name": "unrivalled", "promotion": "never", **options}
        with self.stack.airflow() as api:
            return api.trigger("retrain", Choices(store=STORE, sources=[], options=chosen).conf("retrain"))

    def ends(self, api: AirflowApi, run: RunRef) -> None:
        """Wait for the end of a run, which must be a good one."""
        state = wait_for(lambda: (s := self._state(api, run)) in ("success", "failed") and s, f"the end of {run.dag_id}", RUN_SECONDS)
        assert state == "success", self.story(api, run)

    def story(self, api: AirflowApi, run: RunRef) -> str:
        """Every task of a run with the end of its log."""
        lines = []
        for task in api.tasks(run):
            lines.append(f"{task.task_id} [{task.map_index}] {task.state}, try {task.try_number}")
            if task.state not in ("success", None):
                lines += [f"    {line}" for line in api.log_lines(run, task)[-15:]]
        return "\n".join(lines)

    def wait_for_step(self, run: RunRef, step: str, line: str) -> str:
        """Wait until the container of a step runs and has written `line`. Its name."""

        def written() -> str | None:
            return next((str(c.name) for c in self._step_containers(run, step) if line in c.logs().decode()), None)

        return wait_for(written, f"{line!r} in the log of {step}", 300)

    def result(self, run: RunRef, step: str) -> dict[str, Any]:
        with self.stack.airflow() as api:
            result = api.result(run, self._task(api, run, step))
        assert result is not None
        return result

    def instances(self, run: RunRef) -> list[dict[str, Any]]:
        """Airflow's task instances, with all that it knows of them."""
        with self.stack.airflow() as api:
            listed: list[dict[str, Any]] = api._get(f"/dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}/taskInstances")[
                "task_instances"
            ]
        return listed

    def latest(self, dag_id: str) -> RunRef:
        """The latest run of a DAG that ended well."""
        with self.stack.airflow() as api:
            runs = api._get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", state="success", limit=1)["dag_runs"]
        return RunRef(dag_id=dag_id, run_id=runs[0]["dag_run_id"])

    def run_objects(self, run: RunRef) -> list[str]:
        """The names of all objects that a retraining left, below its own folder."""
        root = f"{self.result(run, 'plan')['run_uri']}"
        return [listed.uri.removeprefix(root) for listed in self.stack.store().list(root)]

    def _step_containers(self, run: RunRef, step: str) -> list[Any]:
        filters = {"label": f"retake.run={run.run_id}"}
        containers = self.stack.engine.containers.list(all=True, filters=filters, ignore_removed=True)
        return [container for container in containers if container.labels["retake.task"].rsplit(".", 1)[-1] == step]

    def _task(self, api: AirflowApi, run: RunRef, step: str) -> Task:
        return next(task for task in api.tasks(run) if task.step == step)

    def _caused(self, api: AirflowApi, run: RunRef, dag_id: str) -> RunRef:
        def caused() -> RunRef | None:
            return next((caused for caused in api.runs_caused_by(run) or [] if caused.dag_id == dag_id), None)

        return wait_for(caused, f"{dag_id} after {run.dag_id}")

    def _state(self, api: AirflowApi, run: RunRef) -> str | None:
        """Return a run's state; None while the api-server does not answer, as when a test has stopped a service that it needs."""
        try:
            return api.run_state(run)
        except Unavailable:
            return None


@contextmanager
def recorded(step: str) -> Iterator[list[tuple[str, str]]]:
    """Record the events of a step's containers: once the block has ended, their names, and create, start, die or destroy, in order.

    It listens all the time, for the engine remembers the last 256 events alone, and each health check is three.
    """
    events: list[tuple[str, str]] = []
    command = ["docker", "events", "--filter=type=container", "--filter=label=retake.task", "--format=json"]
    with tempfile.TemporaryFile("w+") as heard:
        listening = subprocess.Popen(command, stdout=heard)
        try:
            yield events
        finally:
            listening.terminate()
            listening.wait()
        heard.seek(0)
        for event in map(json.loads, heard):
            attributes = event["Actor"]["Attributes"]
            if attributes["retake.task"].rsplit(".", 1)[-1] == step:
                events.append((attributes["name"], event["Action"]))


@dataclass(frozen=True)
class Disturbed:
    """A run in whose training the store and the scheduler were killed in turn, and the events of its containers."""

    run: RunRef
    trained: dict[str, Any]
    """The container in which the scheduler's death found the training, as the engine described it afterwards."""
    trainings: list[tuple[str, str]]
    undisturbed: RunRef


def disturb(job: Job) -> Disturbed:
    """Kill the store before the first epoch and the scheduler after it; wait for the run's good end."""
    stack, undisturbed, run = job.stack, job.latest("retrain"), job.start_retrain(**LONG)
    with recorded("train") as trainings, stack.airflow() as api:
        gone = {"name": job.wait_for_step(run, "train", "frames cached")}
        stack.containers["minio"].kill("SIGKILL")
        wait_for(lambda: not stack.engine.containers.list(all=True, filters=gone, ignore_removed=True), "the end of the training")
        stack.containers["minio"].start()
        name = job.wait_for_step(run, "train", "epoch 1/")
        scheduler = stack.containers["airflow-scheduler"]
        scheduler.kill("SIGKILL")
        trained = stack.engine.api.inspect_container(name)
        assert trained["State"]["Running"]
        scheduler.start()
        job.ends(api, run)
    return Disturbed(run, trained, trainings, undisturbed)
