"""The three DAGs by `dag.test()` with every step real: what they leave, what a second run changes, and what a kill does."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus

from tasks.errors import Unavailable
from tasks.local.home import REPOSITORY
from tasks.results.evaluation import CompareResult, RegisterResult
from tasks.results.training import PlanResult
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 120
GATED_MODEL = "gated"
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
    reasons = {bad["name"]: bad["reason"] for bad in summary["first_set_aside"]}
    assert reasons["zero_byte.mp4"] == "the file is empty"
    assert "no video stream" in reasons["audio_only.m4a"]
    assert "moov" in reasons["truncated_no_moov.mp4"]
    assert not any(reason.startswith("source") for reason in reasons.values())
    assert summary["num_clips"] > 0


def planned(workshop, name):
    """The plan of a training of three epochs that has a run key of its own."""
    done = workshop.plan(STORE, name, force_token=name, epochs=3, trainable="heads", model_name=GATED_MODEL)
    assert done.returncode == 0, done.stderr
    return PlanResult.model_validate_json(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def undisturbed(workshop, chain):
    plan = planned(workshop, "undisturbed")
    return plan, workshop.run("train", store=STORE, plan=f"{plan.run_uri}plan/", out=f"{plan.run_uri}train/")


@pytest.fixture(scope="module")
def killed(workshop, chain):
    """The same training, killed after its first epoch and tried again."""
    plan = planned(workshop, "killed")
    flags = {"store": STORE, "plan": f"{plan.run_uri}plan/", "out": f"{plan.run_uri}train/"}
    with subprocess.Popen(workshop.command("train", **flags), cwd=REPOSITORY, env=workshop.environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not workshop.store.exists(f"{flags['out']}last.ckpt"):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
        os.kill(process.pid, signal.SIGKILL)
    assert not workshop.store.exists(f"{flags['out']}result.json")
    again = workshop.attempt("train", **flags)
    assert "going on from there" in again.stderr
    return plan, json.loads(again.stdout.splitlines()[-1])


def test_a_training_that_is_killed_goes_on_as_if_nothing_had_happened(workshop, undisturbed, killed):
    (_, whole), (_, resumed) = undisturbed, killed
    assert resumed["checkpoint_sha256"] == whole["checkpoint_sha256"]
    assert resumed["epochs"] == whole["epochs"]
    histories = []
    for run_id in (whole["mlflow_run_id"], resumed["mlflow_run_id"]):
        script = [sys.executable, "-c", EPOCHS_OF_A_RUN, run_id]
        histories.append(json.loads(subprocess.check_output(script, env=workshop.environment, text=True, timeout=60)))
    assert histories[0] == histories[1]
    assert [step for step, _ in histories[1]["val_loss"]] == [0, 1, 2]


def test_two_processes_train_as_one_does_and_the_first_alone_has_a_result(workshop, chain, undisturbed):
    options = TRAINING | {"epochs": 3, "trainable": "heads", "force_token": "together"}
    plan = workshop.run("plan", store=STORE, weights_result=chain.weights, out=f"{STORE}/plans/together/", **options)
    together = replace(workshop, environment=workshop.environment | {"RETAKE_DEVICES": "2"})
    done = together.attempt("train", store=STORE, plan=f"{plan['run_uri']}plan/", out=f"{plan['run_uri']}train/")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result["hardware"]["num_processes"] == 2
    assert [epoch["epoch"] for epoch in result["epochs"]] == [0, 1, 2]
    for name in ("train_loss", "val_loss"):
        assert [epoch[name] for epoch in result["epochs"]] == pytest.approx([epoch[name] for epoch in undisturbed[1]["epochs"]], rel=1e-4)
    assert done.stderr.count("epoch 3/3") == 1


def test_a_champion_is_beaten_on_the_same_clips_or_stays(workshop, attempt, undisturbed, killed, monkeypatch):
    def follow(plan, *steps):
        flags = {"store": STORE, "plan": f"{plan.run_uri}plan/"}
        for evaluation in plan.evaluations if "evaluate" in steps else ():
            assert attempt("evaluate", **flags, **evaluation.model_dump())[0] == 0
        for step in steps:
            if step != "evaluate":
                assert attempt(step, **flags, out=f"{plan.run_uri}{step}/")[0] == 0

    def result(plan, step, model):
        return workshop.store.read(f"{plan.run_uri}{step}/result.json", model)

    first, second = killed[0], undisturbed[0]
    assert first.champion is None
    follow(second, "evaluate", "compare")
    assert result(second, "compare", CompareResult).promote

    follow(first, "evaluate", "compare", "register")
    assert set(result(first, "register", RegisterResult).aliases) == {"challenger", "champion"}

    second = planned(workshop, "undisturbed")
    assert second.champion.version == 1
    follow(second, "evaluate", "compare")
    compared = result(second, "compare", CompareResult)
    assert (compared.opponent, compared.champion_version, compared.promote) == ("champion", 1, False)

    def cut_off(*args, **kwargs):
        raise Unavailable("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", cut_off)
        code, _ = attempt("register", store=STORE, plan=f"{second.run_uri}plan/", out=f"{second.run_uri}register/")
    assert code == 75
    follow(second, "register")
    registered = result(second, "register", RegisterResult)
    assert (registered.version, registered.aliases) == (2, ("challenger",))
    experiment_id = registered.mlflow_run_url.split("/experiments/")[1].split("/")[0]
    models = MlflowClient().search_logged_models([experiment_id], f"source_run_id = '{registered.mlflow_run_id}'")
    assert [model.status for model in models] == [LoggedModelStatus.READY]
