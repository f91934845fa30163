"""The three DAGs by `dag.test()` with every step real: what they leave, what a second run changes, and what a kill does."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tasks.local.home import REPOSITORY
from tasks.results.evaluation import CompareResult, RegisterResult
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


@pytest.mark.parametrize(
    ("dag_id", "num_tasks"),
    [("ingest_videos", 1 + 3 + 1), ("build_dataset", 3), ("retrain", 2 + 1 + 4 + 2)],
)
def test_every_task_of_a_dag_succeeds(chain, dag_id, num_tasks):
    assert set(chain.states[dag_id].values()) == {"success"}
    assert len(chain.states[dag_id]) == 1 + num_tasks


def test_the_network_is_registered_as_the_comparison_says(workshop, chain):
    compared = workshop.store.read(f"{chain.run}compare/result.json", CompareResult)
    registered = workshop.store.read(f"{chain.run}register/result.json", RegisterResult)
    assert "challenger" in registered.aliases
    assert ("champion" in registered.aliases) == compared.promote


def test_a_second_run_leaves_the_store_as_it_is_and_trains_nothing(workshop, chain):
    before = listing(workshop)
    states = workshop.dag_test(chain.confs)
    assert listing(workshop) == before
    assert {states[dag_id]["run"] for dag_id in states} == {"success"}
    assert states["retrain"]["prepare.plan[-1]"] == states["retrain"]["train[-1]"] == "skipped"


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
