"""The three DAGs by `dag.test()` with every step real: what they leave, what a second run changes, and what a kill does."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from mlflow import MlflowClient
from mlflow.entities import LoggedModelStatus

from tasks.errors import Unavailable
from tasks.local.home import REPOSITORY
from tasks.model.checkpoints import load, save
from tasks.results.dataset import Manifest
from tasks.results.evaluation import CompareResult, DecideResult, EvaluateResult, RegisterResult, ReportResult
from tasks.results.learning_curve import LearningCurveResult
from tasks.results.metrics import Metrics
from tasks.results.training import PlanResult, TrainResult
from tasks.steps._checkpoints import file_sha256
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import EASY_GATE, TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

ARTIFACTS_OF_A_RUN = """
import json, mlflow, sys
print(json.dumps([found.path for found in mlflow.MlflowClient().list_artifacts(sys.argv[1])]))
"""
PATIENCE_SECONDS = 120
GATED_MODEL = "gated"
NUM_EPOCHS = 20
"""So many that a training on kept features does not end before it is killed."""

HEADS = {"trainable": "heads", "epochs": NUM_EPOCHS, "learning_rate": 0.005}
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
    [("ingest_videos", 1 + 2 + 1), ("build_dataset", 3), ("retrain", 5 + 1 + 2 + 1 + 1 + 5)],
)
def test_every_task_of_a_dag_succeeds(chain, dag_id, num_tasks):
    states = chain.states[dag_id]
    unneeded = {"prepare.flows[-1]", "prepare.flow[-1]", "prepare.sound[-1]", "publish.approve[-1]"}
    assert {task: state for task, state in states.items() if state != "success"} == {task: "skipped" for task in states if task in unneeded}
    assert len(states) == 1 + num_tasks


def test_the_network_is_registered_and_decided_on_as_the_comparison_says(workshop, chain):
    compared, decided = (
        workshop.store.read(f"{chain.decision}{step}/result.json", model)
        for step, model in (("compare", CompareResult), ("decide", DecideResult))
    )
    assert "challenger" in decided.aliases
    assert ("champion" in decided.aliases) == decided.promoted == compared.passed
    assert decided.reason == compared.reason


def test_the_report_its_numbers_and_the_card_are_in_mlflow_too(workshop, chain):
    reported = workshop.store.read(f"{chain.decision}report/result.json", ReportResult)
    metrics = workshop.store.read(reported.metrics_uri, Metrics)
    run_id = workshop.store.read(f"{chain.run}register/result.json", RegisterResult).mlflow_run_id
    script = [sys.executable, "-c", ARTIFACTS_OF_A_RUN, run_id]
    found = json.loads(subprocess.check_output(script, env=workshop.environment, text=True, timeout=60))
    assert {"report.html", "metrics.json", "README.md", "comparison.md"} <= set(found)
    page = workshop.store.read_bytes(reported.report_uri).decode()
    assert metrics.provenance.run_key in page
    assert {result.engine.name for result in metrics.results} == {"pytorch"}
    assert sum(split.num_clips for split in metrics.splits) == 6


def test_the_learning_curve_of_a_network_trained_as_a_whole_is_that_of_heads_and_is_in_the_report(workshop, chain):
    found = workshop.store.read(f"{chain.decision}learning_curve/result.json", LearningCurveResult)
    assert (found.recipe, found.num_clips, found.num_val_sources) == ("light", 4, 1)
    assert [point.num_clips for point in found.curves[-1].points] == [1, 2, 4]
    assert "one source video" in found.curves[-1].unknown
    reported = workshop.store.read(f"{chain.decision}report/result.json", ReportResult)
    assert workshop.store.read(reported.metrics_uri, Metrics).learning_curve == found
    assert "heads alone were trained by the recipe of preset light" in workshop.store.read_bytes(reported.report_uri).decode()


def test_a_second_run_leaves_the_store_as_it_is_and_trains_nothing(workshop, chain):
    # Other tests predict videos in this store, which the next labels name as clips without one.
    workshop.dag_test({dag_id: chain.confs[dag_id] for dag_id in ("ingest_videos", "build_dataset")})
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
    """The plan of a training that has a run key of its own."""
    done = workshop.plan(STORE, name, force_token=name, model_name=GATED_MODEL, **HEADS, **EASY_GATE)
    assert done.returncode == 0, done.stderr
    assert "detected four times out of five" in done.stderr
    return PlanResult.model_validate_json(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def undisturbed(workshop, chain):
    plan = planned(workshop, "undisturbed")
    return plan, workshop.run("train", store=STORE, plan=f"{plan.decision_uri}plan/")


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


def test_a_training_that_is_killed_goes_on_as_if_nothing_had_happened(workshop, undisturbed, killed):
    (_, whole), (_, resumed) = undisturbed, killed
    assert resumed["checkpoint_sha256"] == whole["checkpoint_sha256"]
    assert resumed["epochs"] == whole["epochs"]
    histories = []
    for run_id in (whole["mlflow_run_id"], resumed["mlflow_run_id"]):
        script = [sys.executable, "-c", EPOCHS_OF_A_RUN, run_id]
        histories.append(json.loads(subprocess.check_output(script, env=workshop.environment, text=True, timeout=60)))
    assert histories[0] == histories[1]
    assert [step for step, _ in histories[1]["val_loss"]] == list(range(NUM_EPOCHS))


def test_the_learning_curve_of_heads_is_by_their_own_recipe_and_on_their_features(workshop, undisturbed):
    plan, _ = undisturbed
    done = workshop.attempt("learning_curve", store=STORE, plan=f"{plan.decision_uri}plan/")
    assert done.returncode == 0, done.stderr
    found = LearningCurveResult.model_validate_json(done.stdout.splitlines()[-1])
    assert (found.recipe, found.num_epochs, found.num_draws, len(found.curves)) == ("own", NUM_EPOCHS, 5, 3)
    assert "training 15 of 15: 4 clips of 2 source videos" in done.stderr
    off = workshop.attempt("learning_curve", store=STORE, plan=f"{plan.decision_uri}plan/", learning_curve=False)
    assert (off.returncode, "switched off" in off.stderr) == (99, True)


def test_two_processes_train_as_one_does_and_the_first_alone_has_a_result(workshop, chain, undisturbed):
    options = TRAINING | HEADS | {"force_token": "together"}
    plan = workshop.run("plan", store=STORE, weights_result=chain.weights, **options)
    together = replace(workshop, environment=workshop.environment | {"RETAKE_DEVICES": "2"})
    done = together.attempt("train", store=STORE, plan=f"{plan['decision_uri']}plan/")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result["hardware"]["num_processes"] == 2
    assert [epoch["epoch"] for epoch in result["epochs"]] == list(range(NUM_EPOCHS))
    for name in ("train_loss", "val_loss"):
        assert [epoch[name] for epoch in result["epochs"]] == pytest.approx([epoch[name] for epoch in undisturbed[1]["epochs"]], rel=1e-3)
    assert done.stderr.count(f"epoch {NUM_EPOCHS}/{NUM_EPOCHS}") == 1


def test_a_champion_stays_where_a_network_that_does_as_well_comes_after_it(workshop, attempt, undisturbed, killed, monkeypatch):
    def address(plan, step):
        return f"{plan.run_uri if step == 'register' else plan.decision_uri}{step}/"

    def follow(plan, *steps):
        flags = {"store": STORE, "plan": f"{plan.decision_uri}plan/"}
        for network in plan.networks if "evaluate" in steps else ():
            assert attempt("evaluate", **flags, model=network.model)[0] == 0
        for step in steps:
            if step != "evaluate":
                assert attempt(step, **flags)[0] == 0

    def result(plan, step, model):
        return workshop.store.read(f"{address(plan, step)}result.json", model)

    first, second = killed[0], undisturbed[0]
    assert first.champion is None
    follow(first, "evaluate", "compare", "report", "register", "decide")
    decided = result(first, "decide", DecideResult)
    assert (decided.promoted, decided.version, decided.champion) == (False, 1, None), "two clips of one film show nothing"
    MlflowClient().set_registered_model_alias(GATED_MODEL, "champion", "1")

    second = planned(workshop, "undisturbed")
    assert second.champion.version == 1
    follow(second, "evaluate", "compare", "report")
    compared = result(second, "compare", CompareResult)
    assert (compared.opponent, compared.champion_version, compared.passed) == ("champion", 1, False)
    assert "a tie keeps the champion" in next(rule.detail for rule in compared.rules if rule.rule == "gain")

    def cut_off(*args, **kwargs):
        raise Unavailable("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", cut_off)
        code, _ = attempt("register", store=STORE, plan=f"{second.decision_uri}plan/")
    assert code == 75
    follow(second, "register", "decide")
    registered, decided = result(second, "register", RegisterResult), result(second, "decide", DecideResult)
    assert (registered.version, decided.aliases, decided.champion) == (2, ("challenger",), 1)
    experiment_id = registered.mlflow_run_url.split("/experiments/")[1].split("/")[0]
    models = MlflowClient().search_logged_models([experiment_id], f"source_run_id = '{registered.mlflow_run_id}'")
    assert [model.status for model in models] == [LoggedModelStatus.READY]


@pytest.fixture
def fragile(workshop, chain, tmp_path) -> PlanResult:
    """A plan with so many clips that OpenVINO scores them, and a training that ended with a network that OpenVINO cannot score."""
    manifest = workshop.store.read(f"{workshop.store.read(f'{chain.plan}result.json', PlanResult).dataset_uri}manifest.json", Manifest)
    twice = (*manifest.clips, *(clip.model_copy(update={"uid": f"{clip.uid}-again"}) for clip in manifest.clips))
    dataset = f"{STORE}/datasets/twice/"
    workshop.store.write(f"{dataset}manifest.json", manifest.model_copy(update={"clips": twice}))
    options = TRAINING | EASY_GATE | {"engine": "auto", "model_name": "fragile"}
    plan = PlanResult.model_validate(workshop.run("plan", store=STORE, weights_result=chain.weights, dataset=dataset, **options))
    trained = workshop.store.read(f"{chain.run}train/result.json", TrainResult)
    path, uri = tmp_path / "best.pt", f"{plan.run_uri}train/best.pt"
    workshop.store.read_file(trained.checkpoint_uri, path)
    saved = load(path)
    with torch.no_grad():
        # Common to all classes, and so large that the rounding errors of a feature outweigh what tells classes apart.
        saved.network.head.fc_verb.weight.add_(1e4)
    save(path, saved.network, saved.classes)
    workshop.store.write_file(uri, path)
    update = {"checkpoint_uri": uri, "checkpoint_sha256": file_sha256(path)}
    workshop.store.write(f"{plan.run_uri}train/result.json", trained.model_copy(update=update))
    return plan


def test_a_network_that_falls_back_is_compared_with_one_that_was_scored_alike(workshop, fragile):
    flags = {"store": STORE, "plan": f"{fragile.decision_uri}plan/"}
    results = {}
    for network in fragile.networks:
        workshop.run("evaluate", **flags, model=network.model)
        results[network.model] = workshop.store.read(f"{fragile.evaluations[0].out}result.json", EvaluateResult)
    assert [result.engine.name for result in results.values()] == ["openvino", "pytorch"], "the baseline, before and after"
    compared = workshop.run("compare", **flags)
    assert next(rule for rule in compared["rules"] if rule["rule"] == "engine") == {
        "rule": "engine",
        "title": "Same engine and crops",
        "passed": True,
        "detail": "both scored by pytorch float32, 1 crop",
    }
