"""A search under Airflow on a real store and MLflow."""

from dataclasses import replace

import pytest
from mlflow import MlflowClient

from tasks.settings import MlflowSettings
from tasks.store.run_layout import SearchPlan
from tasks.tracking import ChildRun, Tracker
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

CONF = {
    "store": STORE,
    **TRAINING,
    "trainable": "heads",
    "feature_variants": 1,
    "preset": "none",
    "search": ["dropout", "backbone"],
    "ranges": ["dropout=0, 0.5", "backbone=tf_efficientnet_lite0, no_such_network"],
    "num_trials": 4,
    "folds": 0,
    "rounds": 2,
}


def children_of(workshop, run_id):
    client = MlflowClient(workshop.environment["RETAKE_MLFLOW_URI"])
    return client.search_runs([client.get_run(run_id).info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")


@pytest.fixture(scope="module")
def states(workshop, chain):
    return workshop.dag_test({"search": CONF})["search"]


@pytest.fixture(scope="module")
def place(workshop, states):
    (report,) = [stored.uri for stored in workshop.store.list(f"{STORE}/searches/") if stored.uri.endswith("/report/result.json")]
    return SearchPlan(report.removesuffix("report/result.json"))


@pytest.fixture(scope="module")
def numbers(workshop, place):
    return workshop.store.read(place.report.numbers)


def test_rounds_that_nobody_asked_for_are_skipped_and_a_failed_trial_fails_nothing(states, numbers):
    assert states["run"] == "success"
    assert all(states[f"round_{number}.gather[-1]"] == "success" for number in (1, 2))
    assert all(states[f"round_{number}.{task}[-1]"] == "skipped" for number in range(3, 9) for task in ("suggest", "gather"))
    assert [states[f"{task}[-1]"] for task in ("plan", "repeat_winner", "report", "retrain")] == ["success"] * 3 + ["skipped"]
    assert [(trial.number, trial.round) for trial in numbers.trials] == [(0, 1), (1, 1), (2, 2), (3, 2)]
    is_failed = [bool(trial.failure) for trial in numbers.trials]
    assert is_failed == [trial.values["backbone"] == "no_such_network" for trial in numbers.trials]
    assert sorted(is_failed) == [False, False, True, True]
    assert [trial.failure for trial in numbers.bias.seeds] == [None] * 3


def test_trials_are_child_runs_with_their_options_and_scores(workshop, place, numbers):
    runs = children_of(workshop, workshop.store.read(place.report).mlflow_run_url.rpartition("/")[2])
    children = {run.info.run_name: run for run in runs}
    assert set(children) == {f"trial {trial.number}" for trial in numbers.trials}
    for trial in numbers.trials:
        run = children[f"trial {trial.number}"]
        assert run.info.status == ("FAILED" if trial.failure else "FINISHED")
        assert run.data.params == {name: str(value) for name, value in trial.values.items()}
        assert trial.failure or run.data.metrics["val_action_top1"] == trial.scores["action"].top1


def test_a_child_run_loses_its_failure_once_it_is_trained_and_gives_way_to_another_trial(workshop):
    tracker = Tracker(MlflowSettings(uri=workshop.environment["RETAKE_MLFLOW_URI"]))
    parent = tracker.ensure_run("children", "parent", {})
    failed = ChildRun(params={"dropout": 0.1}, metrics={}, tags={"retake.round": "1", "retake.failure": "killed"}, failed=True)
    trained = replace(failed, metrics={"val_loss": 1.0}, tags={"retake.round": "1"}, failed=False)
    shown = []
    for child in (failed, trained, replace(trained, params={"dropout": 0.2})):
        tracker.log_children(parent, {"trial 0": child})
        runs = children_of(workshop, parent)
        shown.append([(run.info.status, run.data.params["dropout"], run.data.tags.get("retake.failure")) for run in runs])
    assert shown == [[("FAILED", "0.1", "killed")], [("FINISHED", "0.1", None)], [("FINISHED", "0.2", None)]]
