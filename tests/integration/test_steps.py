"""The whole chain of steps on small sample videos: what it leaves, what a second run changes, and what a kill does."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tasks.local.home import REPOSITORY
from tests.integration.conftest import CHAIN_STORE as STORE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 120
EPOCHS_OF_A_RUN = """
import json, mlflow, sys
client = mlflow.MlflowClient()
metrics = sorted({m for m in client.get_run(sys.argv[1]).data.metrics if not m.startswith("system")})
print(json.dumps({m: [(h.step, h.value) for h in client.get_metric_history(sys.argv[1], m)] for m in metrics}))
"""


def listing(workshop):
    return [(found.uri, found.etag) for found in workshop.store.list(STORE)]


def test_the_chain_registers_a_challenger(chain):
    assert chain["summary"]["num_clips"] == 6
    assert "challenger" in chain["register"]["aliases"]
    assert ("champion" in chain["register"]["aliases"]) == chain["compare"]["promote"]


def test_a_second_run_leaves_the_store_as_it_is(workshop, chain):
    before = listing(workshop)
    workshop.ingest(STORE, chain["folder"])
    workshop.build(STORE)
    assert workshop.plan(STORE).returncode == 99
    assert listing(workshop) == before


def test_odd_files_cost_themselves(workshop, shared):
    summary = workshop.ingest("s3://retake-odd", shared / "videos" / "odd")
    reasons = {bad["name"]: bad["reason"] for bad in summary["set_aside"]}
    assert reasons["zero_byte.mp4"] == "the file is empty"
    assert "no video stream" in reasons["audio_only.m4a"]
    assert "moov" in reasons["truncated_no_moov.mp4"]
    assert not any(reason.startswith("source") for reason in reasons.values())
    assert summary["num_clips"] > 0


@pytest.fixture(scope="module")
def long_training(workshop, chain):
    """Plans a training of three epochs with a run key of its own; its plan."""

    def make(name):
        planned = workshop.plan(STORE, name, force_token=name, epochs=3, trainable="heads")
        assert planned.returncode == 0, planned.stderr
        return json.loads(planned.stdout.splitlines()[-1])

    return make


def test_a_training_that_is_killed_goes_on_as_if_nothing_had_happened(workshop, long_training):
    plan = long_training("undisturbed")
    undisturbed = workshop.run("train", store=STORE, plan=f"{STORE}/plans/undisturbed/", out=f"{plan['run_uri']}train/")

    plan = long_training("killed")
    flags = {"store": STORE, "plan": f"{STORE}/plans/killed/", "out": f"{plan['run_uri']}train/"}
    with subprocess.Popen(workshop.command("train", **flags), cwd=REPOSITORY, env=workshop.environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not workshop.store.exists(f"{flags['out']}last.ckpt"):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
        os.kill(process.pid, signal.SIGKILL)
    assert not workshop.store.exists(f"{flags['out']}result.json")
    again = workshop.attempt("train", **flags)
    assert "going on from there" in again.stderr
    resumed = json.loads(again.stdout.splitlines()[-1])

    assert resumed["checkpoint_sha256"] == undisturbed["checkpoint_sha256"]
    assert resumed["epochs"] == undisturbed["epochs"]
    histories = []
    for run_id in (undisturbed["mlflow_run_id"], resumed["mlflow_run_id"]):
        script = [sys.executable, "-c", EPOCHS_OF_A_RUN, run_id]
        histories.append(json.loads(subprocess.check_output(script, env=workshop.environment, text=True, timeout=60)))
    assert histories[0] == histories[1]
    assert [step for step, _ in histories[1]["val_loss"]] == [0, 1, 2]
