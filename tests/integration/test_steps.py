"""The three DAGs by `dag.test()` with every step real: what they leave, what a second run changes, and what a kill does."""

import csv
import io
import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import cos, pi
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import RestException

from tasks.local.container_stack import upload
from tasks.local.follow import PlainScreen
from tasks.local.home_folder import REPOSITORY
from tasks.settings import MlflowSettings
from tasks.store.records.decisions import CompareResult, DecideResult, RegisterResult, ReportResult
from tasks.store.records.metrics import Metrics
from tasks.store.records.training import Epoch, PlanResult
from tasks.store.stored import Folder
from tasks.tracking import Tracker, collect_garbage
from tasks.tracking.runs import EPOCHS_AT_ONCE
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PATIENCE_SECONDS = 120
NUM_EPOCHS = 4
HEADS = {"trainable": "heads", "learning_rate": 0.005}
RECIPE = {
    "trainable": "last-stage",
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "epochs": NUM_EPOCHS,
    "label_smoothing": 0.1,
    "crop": "multi-scale",
    "accumulate_batches": 2,
}
RATES = [0.0005 * share for share in (0.01, *((1 + cos(pi * epoch / 3)) / 2 for epoch in range(3)))]


@pytest.fixture
def mlflow(workshop, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", workshop.environment["MLFLOW_TRACKING_URI"])
    return MlflowClient(workshop.environment["MLFLOW_TRACKING_URI"])


@pytest.mark.parametrize(
    ("dag_id", "num_tasks"), [("ingest_videos", 1 + 2 + 1), ("build_dataset", 3), ("retrain", 7 + 1 + 1 + 5 + 1 + 2), ("learning_curve", 3)]
)
def test_every_task_of_a_dag_succeeds(chain, dag_id, num_tasks):
    states = chain.states[dag_id]
    unneeded = {"prepare.use_auto[-1]", "prepare.flows[-1]", "prepare.flow[-1]", "prepare.sound[-1]", "publish.approve[-1]"}
    unneeded |= {"export[-1]", "report_with_package[-1]"}
    unneeded |= {"learning_curve[-1]"} if dag_id == "retrain" else {"rescore[-1]"}
    assert {task: state for task, state in states.items() if state != "success"} == {task: "skipped" for task in states if task in unneeded}
    assert len(states) == 1 + num_tasks


def test_the_network_is_registered_and_decided_on_as_the_comparison_says(workshop, chain):
    compared, decided = (
        workshop.store.read(f"{chain.decision}{step}/result.json", model)
        for step, model in (("compare", CompareResult), ("decide", DecideResult))
    )
    assert "challenger" in decided.aliases
    assert ("champion" in decided.aliases) == decided.promoted == (compared.passed or compared.provisional)
    assert decided.reason == compared.reason


def test_the_report_its_numbers_and_the_card_are_in_mlflow_too(workshop, chain, mlflow):
    reported = workshop.store.read(f"{chain.decision}report/result.json", ReportResult)
    metrics = workshop.store.read(reported.metrics_uri, Metrics)
    run_id = workshop.store.read(f"{chain.run}register/result.json", RegisterResult).mlflow_run_id
    logged = {artifact.path for artifact in mlflow.list_artifacts(run_id)}
    assert {"report.html", "metrics.json", "README.md", "comparison.txt"} <= logged
    page = workshop.store.read_bytes(reported.report_uri).decode()
    assert metrics.provenance.run_key in page
    assert {result.engine.name for result in metrics.results} == {"pytorch"}
    assert sum(split.num_clips for split in metrics.splits) == 6
    assert metrics.learning_curve, "the page was written anew"


def test_a_second_run_leaves_the_store_as_it_is_and_trains_nothing(chain):
    assert chain.listing_again == chain.listing
    assert {states["run"] for states in chain.states_again.values()} == {"success"}
    skipped = ("prepare.plan", "train", "evaluate", "publish.compare", "publish.report", "publish.register", "publish.decide")
    assert {chain.states_again["retrain"][f"{task}[-1]"] for task in skipped} == {"skipped"}


def test_keys_that_the_store_refuses_are_named(attempt):
    code, line = attempt("label", {"RETAKE_STORE_SECRET_KEY": "wrong"}, store="s3://retake-nowhere")
    assert (code, "check RETAKE_STORE_ACCESS_KEY and RETAKE_STORE_SECRET_KEY" in line) == (78, True), line


def planned(workshop, name):
    """The plan of a training by a rich recipe that has a run key of its own."""
    done = workshop.plan(STORE, name, force_token=name, **RECIPE)
    assert done.returncode == 0, done.stderr
    return PlanResult.model_validate_json(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def undisturbed(workshop, chain):
    plan = planned(workshop, "undisturbed")
    done = workshop.attempt("train", store=STORE, plan=f"{plan.decision_uri}plan/")
    assert done.returncode == 0, done.stderr
    rates = [float(line.split("learning rate ")[1].split(";")[0]) for line in done.stderr.splitlines() if line.startswith("epoch ")]
    assert rates == pytest.approx(RATES, rel=0.05)
    return plan, json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def killed(workshop, chain):
    """The same training, killed after its first epoch and tried again."""
    plan = planned(workshop, "killed")
    flags = {"store": STORE, "plan": f"{plan.decision_uri}plan/"}
    with subprocess.Popen(workshop.command("train", **flags), cwd=REPOSITORY, env=workshop.environment, stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not workshop.store.exists(f"{plan.run_uri}train/last.ckpt"):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
        os.kill(process.pid, signal.SIGKILL)
    assert not workshop.store.exists(f"{plan.run_uri}train/result.json")
    again = workshop.attempt("train", **flags)
    assert "going on from there" in again.stderr
    return plan, json.loads(again.stdout.splitlines()[-1])


def test_a_training_that_is_killed_goes_on_as_if_nothing_had_happened(workshop, undisturbed, killed, mlflow):
    (plan, whole), (_, resumed) = undisturbed, killed
    assert resumed["checkpoint_sha256"] == whole["checkpoint_sha256"]
    assert resumed["epochs"] == whole["epochs"]
    histories = []
    for run_id in (whole["mlflow_run_id"], resumed["mlflow_run_id"]):
        names = sorted(name for name in mlflow.get_run(run_id).data.metrics if not name.startswith("system"))
        histories.append({name: [(metric.step, metric.value) for metric in mlflow.get_metric_history(run_id, name)] for name in names})
    assert histories[0] == histories[1]
    assert histories[1]["learning_rate"] == list(enumerate(pytest.approx(rate) for rate in RATES))
    assert [step for step, _ in histories[1]["val_loss"]] == list(range(NUM_EPOCHS))
    table = csv.DictReader(io.StringIO(workshop.store.read_bytes(f"{plan.run_uri}train/epochs.csv").decode()))
    assert [float(row["learning_rate"]) for row in table] == pytest.approx(RATES)


def test_a_history_of_many_epochs_is_logged_in_calls_that_mlflow_takes(workshop, mlflow):
    tracker = Tracker(MlflowSettings(uri=workshop.environment["RETAKE_MLFLOW_URI"]))
    run_id = tracker.ensure_run("many epochs", "0123", {})
    names = [name for name in Epoch.model_fields if name != "epoch"]
    epochs = [Epoch(epoch=number, **dict.fromkeys(names, number / 10)) for number in range(2 * EPOCHS_AT_ONCE + 1)]
    tracker.log_epochs(run_id, epochs[:EPOCHS_AT_ONCE])
    tracker.log_epochs(run_id, epochs)
    for name in names:
        assert sorted(metric.step for metric in mlflow.get_metric_history(run_id, name)) == list(range(len(epochs)))


def test_a_film_that_is_uploaded_in_parts_is_uploaded_once(workshop, tmp_path):
    (tmp_path / "long.mp4").write_bytes(b"film" * (3 << 20))
    workshop.store.ensure_bucket("s3://uploads")
    results = [upload(workshop.store, tmp_path, Folder("s3://uploads/inbox/"), PlainScreen(io.StringIO())) for _ in range(2)]
    assert results == [(1, 1), (0, 1)]


def test_a_real_server_deletes_and_mlflow_forgets_what_people_deleted(workshop, mlflow):
    store, tomorrow = workshop.store, datetime.now(UTC) + timedelta(days=1)
    store.ensure_bucket("s3://clean-up")
    store._server("s3://clean-up").client._create_multipart_upload("clean-up", "s/a b\N{EURO SIGN}.mp4", {})
    store._server("s3://clean-up").client._create_multipart_upload("clean-up", "other.mp4", {})
    for dry_run in (True, False):
        assert store.abort_uploads("s3://clean-up/s/", tomorrow, dry_run=dry_run) == ("s3://clean-up/s/a b\N{EURO SIGN}.mp4",)
    assert store.abort_uploads("s3://clean-up/", tomorrow, dry_run=True) == ("s3://clean-up/other.mp4",)
    store.write_bytes("s3://clean-up/s/a b\N{EURO SIGN}.json", b"{}")
    store.delete(["s3://clean-up/s/a b\N{EURO SIGN}.json", "s3://clean-up/none"])
    assert list(store.list("s3://clean-up/")) == []
    settings = MlflowSettings(
        uri=workshop.environment["RETAKE_MLFLOW_URI"],
        database=f"sqlite:///{Path(workshop.environment['AIRFLOW_HOME']).parent / 'mlflow' / 'mlflow.db'}",
    )
    run_ids = [Tracker(settings).ensure_run("clean-up", key, {}) for key in ("gone", "kept")]
    mlflow.delete_run(run_ids[0])
    collect_garbage(settings, days=0)
    with pytest.raises(RestException, match="not found"):
        mlflow.get_run(run_ids[0])
    assert mlflow.get_run(run_ids[1]).info.lifecycle_stage == "active"


def test_two_processes_train_together_and_the_first_alone_has_a_result(workshop, chain):
    options = TRAINING | HEADS | {"epochs": 2, "force_token": "together"}
    plan = workshop.run("plan", store=STORE, weights_result=chain.weights, **options)
    together = replace(workshop, environment=workshop.environment | {"RETAKE_DEVICES": "2"})
    done = together.attempt("train", store=STORE, plan=f"{plan['decision_uri']}plan/")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result["hardware"]["num_processes"] == 2
    assert [epoch["epoch"] for epoch in result["epochs"]] == [0, 1]
    assert done.stderr.count("epoch 2/2") == 1
