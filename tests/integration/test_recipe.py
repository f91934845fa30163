"""One training by a rich recipe through the real steps: killed and tried again, it is as one that was never stopped."""

import csv
import io
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from math import cos, pi
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.local.home import REPOSITORY
from tasks.results.training import PlanResult
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import Workshop

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 120
NUM_EPOCHS = 4
RECIPE = {
    "trainable": "last-stage",
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "layer_decay": 0.5,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "epochs": NUM_EPOCHS,
    "label_smoothing": 0.1,
    "sampler": "balanced",
    "crop": "multi-scale",
    "color_jitter": 0.2,
    "mixup": 0.2,
    "ema_decay": 0.9,
    "accumulate_batches": 2,
    "clip_norm": 5,
}
RATES = [0.0005 * share for share in (0.01, *((1 + cos(pi * epoch / 3)) / 2 for epoch in range(3)))]


@dataclass(frozen=True)
class Trained:
    result: dict[str, Any]
    said: str
    where: str


def train(workshop: Workshop, store: str, name: str, *, kill: bool) -> Trained:
    """Train under a run key of its own, killed after the first epoch or not."""
    done = workshop.plan(store, name, force_token=name, model_name="recipes", **RECIPE)
    assert done.returncode == 0, done.stderr
    plan = PlanResult.model_validate_json(done.stdout.splitlines()[-1])
    flags = {"store": store, "plan": f"{plan.decision_uri}plan/"}
    if kill:
        command = workshop.command("train", **flags)
        with subprocess.Popen(command, cwd=REPOSITORY, env=workshop.environment, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not workshop.store.exists(f"{plan.run_uri}train/last.ckpt"):
                assert process.poll() is None
                assert time.monotonic() < deadline
            os.kill(process.pid, signal.SIGKILL)
        assert not workshop.store.exists(f"{plan.run_uri}train/result.json")
    again = workshop.attempt("train", **flags)
    assert again.returncode == 0, again.stderr
    assert ("going on from there" in again.stderr) == kill
    return Trained(json.loads(again.stdout.splitlines()[-1]), again.stderr, f"{plan.run_uri}train/")


def test_a_rich_recipe_goes_through_the_steps_and_over_a_kill(workshop, chain):
    whole, resumed = (train(workshop, STORE, name, kill=kill) for name, kill in (("rich", False), ("rich-killed", True)))
    assert resumed.result["checkpoint_sha256"] == whole.result["checkpoint_sha256"]
    assert resumed.result["epochs"] == whole.result["epochs"]
    assert [epoch["learning_rate"] for epoch in whole.result["epochs"]] == pytest.approx(RATES)
    said = [line.split("learning rate ")[1].split(";")[0] for line in whole.said.splitlines() if line.startswith("epoch ")]
    assert [float(rate) for rate in said] == pytest.approx(RATES, rel=0.05)
    client = MlflowClient(workshop.environment["RETAKE_MLFLOW_URI"])
    for trained in (whole, resumed):
        history = client.get_metric_history(trained.result["mlflow_run_id"], "learning_rate")
        assert [(found.step, found.value) for found in history] == list(enumerate(pytest.approx(rate) for rate in RATES))
    table = list(csv.DictReader(io.StringIO(workshop.store.read_bytes(f"{whole.where}epochs.csv").decode())))
    assert [float(row["learning_rate"]) for row in table] == pytest.approx(RATES)


def test_a_recipe_that_contradicts_itself_is_refused_in_one_line_before_any_work(workshop):
    flags = {"store": STORE, "out": f"{STORE}/pretrained/choices/refused/", "mixup": 0.2, "batch_size": 1}
    done = workshop.attempt("weights", **flags)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert "mixup mixes the clips of a batch and batch_size is 1; raise batch_size" in line
