"""Run steps on a real store and MLflow as a runner does: `python -m tasks STEP` in a subprocess."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.keys import recipe_of
from tasks.local.home_folder import REPOSITORY
from tasks.options import SegmentOptions, TrainOptions
from tasks.store.objects import Store

STEP_SECONDS = 240
DAG_TEST_SECONDS = 400
RECIPE = recipe_of(SegmentOptions())
TRAINING = {
    "backbone": "tf_efficientnet_lite0",
    "num_segments": 2,
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 0.0005,
    "frame_step": 30,
    "crops": 1,
    "engine": "pytorch",
}


@dataclass(frozen=True)
class Workshop:
    """Servers, and methods to run steps on them."""

    store: Store
    environment: dict[str, str]
    airflow_python: Path

    def command(self, step: str, *values: str, **flags: Any) -> list[str]:
        """Build the command of a step: None is left out, booleans become `--…` or `--no-…`, lists one flag per item."""
        spelled = {name.replace("_", "-"): value for name, value in flags.items() if value is not None}
        each = [(name, item) for name, value in spelled.items() for item in (value if isinstance(value, list) else [value])]
        argv = [f"--{'' if value else 'no-'}{name}" if isinstance(value, bool) else f"--{name}={value}" for name, value in each]
        return [sys.executable, "-m", "tasks", step, *values, *argv]

    def attempt(self, step: str, *values: str, **flags: Any) -> subprocess.CompletedProcess[str]:
        """Run a step in a warm process; it may fail."""
        command = [self.environment["RETAKE_PYTHON"], *self.command(step, *values, **flags)[1:]]
        return subprocess.run(command, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=STEP_SECONDS)

    def run(self, step: str, *values: str, **flags: Any) -> dict[str, Any]:
        """Run a step that must succeed, and return its result."""
        done = self.attempt(step, *values, **flags)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1])

    def dag_test(self, confs: dict[str, dict[str, Any]]) -> dict[str, dict[str, str]]:
        """Run DAGs in sequence in a warm process; return the states of run and tasks."""
        script = [str(self.airflow_python), "-m", "tests.integration.run_dags", json.dumps(confs)]
        done = subprocess.run(script, cwd=REPOSITORY, env=self.environment, capture_output=True, text=True, timeout=DAG_TEST_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        states: dict[str, dict[str, str]] = json.loads(done.stdout.splitlines()[-1])
        return states

    def ingest(self, store: str, sources: Path | str) -> dict[str, Any]:
        """Ingest and cut the videos of `sources`; return the summary."""
        done = self.run("ingest", store=store, sources=sources, out=f"{store}/ingests/test/")
        for batch in done["batches"]:
            self.run("segment", store=store, batch=batch["uri"])
        return self.run("summarise", store=store, ingest=f"{store}/ingests/test/")

    def plan(self, store: str, name: str = "test", force_token: str | None = None, **changes: Any) -> subprocess.CompletedProcess[str]:
        """Fetch the weights under `pretrained/choices/<name>/`, and try to plan a training."""
        options = TRAINING | changes
        weights = f"{store}/pretrained/choices/{name}/"
        self.run("weights", store=store, out=weights, **{key: value for key, value in options.items() if key in TrainOptions.model_fields})
        return self.attempt("plan", store=store, weights_result=weights, force_token=force_token, **options)
