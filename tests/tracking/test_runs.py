"""How runs end in MLflow, on a server in memory."""

import signal
import subprocess
from types import SimpleNamespace

import pytest
import requests
from mlflow.exceptions import RestException

from tasks import __main__ as command
from tasks.errors import BadConfiguration, BadInput, Terminated, Unavailable
from tasks.settings import MlflowSettings, load
from tasks.tracking import Tracker, collect_garbage, end_all, end_left_behind, end_trainings
from tasks.tracking.runs import AIRFLOW_RUN_TAG, answering
from tests.pipeline.mlflow_in_memory import mlflow

__all__ = ["mlflow"]

AIRFLOW = "http://airflow:8080"
OWN = f"{AIRFLOW}/dags/compare_networks/runs/2"


@pytest.fixture
def tracker(mlflow):
    return Tracker(load(MlflowSettings))


def fail(error):
    raise error


@pytest.mark.parametrize(
    ("end", "status"),
    [
        (lambda: fail(BadInput("no clips")), "FAILED"),
        (lambda: fail(Terminated("SIGTERM")), "KILLED"),
        (lambda: fail(KeyboardInterrupt()), "KILLED"),
        (lambda: signal.raise_signal(signal.SIGTERM), "KILLED"),
    ],
)
def test_a_step_that_ends_early_says_how_and_a_retry_goes_on_in_the_same_run(tracker, mlflow, end, status):
    run_id = tracker.ensure_run("retake", "key", {})
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)]
    with pytest.raises((BadInput, Terminated, KeyboardInterrupt, SystemExit)), command._ending_at_sigterm(), tracker.running(run_id):
        end()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGCHLD)] == before
    assert mlflow.get_run(run_id).info.status == status
    assert tracker.ensure_run("retake", "key", {}) == run_id
    with tracker.running(run_id):
        assert mlflow.get_run(run_id).info.status == "RUNNING"


@pytest.mark.parametrize(
    ("end", "ended"),
    [
        (lambda tracker, trained: end_left_behind(tracker), {"earlier": "KILLED"}),
        (lambda tracker, trained: end_trainings(tracker, {trained}), {"trained": "FINISHED", "own": "FAILED"}),
        (lambda tracker, trained: end_all(tracker, AIRFLOW), dict.fromkeys(("earlier", "retrain", "trained", "own"), "KILLED")),
    ],
)
def test_runs_of_a_process_that_was_killed_are_ended_by_who_next_knows_that_nobody_writes_to_them(tracker, mlflow, monkeypatch, end, ended):
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", OWN)
    by = {
        "earlier": OWN.replace("/2", "/1"),
        "retrain": f"{AIRFLOW}/dags/retrain/runs/1",
        "elsewhere": OWN.replace("8080", "8081").replace("/2", "/1"),
        "by hand": "started by hand",
        "trained": OWN,
        "own": OWN,
    }
    ids = {name: tracker.ensure_run("retake", name, {AIRFLOW_RUN_TAG: run}) for name, run in by.items()}
    end(tracker, ids["trained"])
    assert {name: mlflow.get_run(run_id).info.status for name, run_id in ids.items()} == dict.fromkeys(by, "RUNNING") | ended


def test_an_experiment_that_another_step_makes_first_is_taken_and_a_deleted_one_named_with_the_remedy(tracker, mlflow, monkeypatch):
    create = mlflow.create_experiment

    def create_second(name):
        create(name)
        raise RestException({"error_code": "RESOURCE_ALREADY_EXISTS"})

    monkeypatch.setattr(mlflow, "create_experiment", create_second)
    assert mlflow.get_run(tracker.ensure_run("retake", "key", {})).info.experiment_id == mlflow.experiments["retake"]
    monkeypatch.setattr(mlflow, "get_experiment_by_name", lambda name: SimpleNamespace(experiment_id="7", lifecycle_stage="deleted"))
    with pytest.raises(BadConfiguration, match="experiment retake was deleted; restore it: mlflow experiments restore --experiment-id 7"):
        tracker.ensure_run("retake", "key", {})


def test_an_error_without_a_message_is_named():
    with pytest.raises(Unavailable, match="does not answer: ConnectionError; check RETAKE_MLFLOW_URI"), answering():
        raise requests.ConnectionError


def test_the_password_of_the_database_is_in_no_command_line_and_no_message(mlflow, monkeypatch):
    asked, raised = {}, "Traceback\nsqlalchemy.exc.ArgumentError: postgresql://mlflow:hidden@host/mlflow\n"

    def run(command, env, **_):
        asked.update(command=command, env=env)
        return SimpleNamespace(returncode=1, stderr=f"{raised}(Background on this error at: https://sqlalche.me/e/20/e3q8)\n")

    monkeypatch.setenv("RETAKE_MLFLOW_DATABASE", "postgresql://mlflow:hidden@host/mlflow")
    monkeypatch.setattr(subprocess, "run", run)
    settings = load(MlflowSettings)
    with pytest.raises(Unavailable) as failed:
        collect_garbage(settings, days=90)
    assert "hidden" not in f"{asked['command']} {failed.value} {settings}"
    assert "mlflow gc failed (sqlalchemy.exc.ArgumentError);" in str(failed.value)
    assert asked["env"]["MLFLOW_GC_BACKEND_STORE_URI"] == "postgresql://mlflow:hidden@host/mlflow"
