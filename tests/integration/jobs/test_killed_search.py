"""A search under Airflow's scheduler that is killed twice ends with the table of an undisturbed one, and starts retrain once."""

import csv
import io
import json
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass

import psutil
import pytest

from tasks.local import processes, supervise
from tasks.local.airflow_api import RunRef
from tasks.local.home import REPOSITORY
from tasks.local.run import SAMPLE_STORE
from tasks.results.evaluation import CompareResult, DecideResult
from tasks.results.search import SearchReportResult
from tasks.store.searches import SearchPlan
from tests.integration.jobs.whole_job import Kitchen

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(2400)]

FORM = {"store": SAMPLE_STORE, "crops": 1, "feature_variants": 1, "num_trials": 8, "rounds": 2, "model_name": "retake-searched"}
RUN_SECONDS, STEP_SECONDS = 900, 300


@dataclass(frozen=True)
class Searched:
    """A search that has ended: its report and its table."""

    report: SearchReportResult
    table: list[dict[str, str]]


def searched(kitchen: Kitchen, report: object) -> Searched:
    """Read the table of a report."""
    result = SearchReportResult.model_validate(report)
    return Searched(result, list(csv.DictReader(io.StringIO(kitchen.store.read_bytes(result.table_uri).decode()))))


@pytest.fixture(scope="module")
def calm(kitchen, sample_run) -> Searched:
    """Search at the shell."""
    command = [sys.executable, "-m", "tasks", "search", *(f"--{name.replace('_', '-')}={value}" for name, value in FORM.items())]
    done = subprocess.run(command, cwd=REPOSITORY, env=kitchen.environment, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stderr
    return searched(kitchen, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def run(kitchen, calm) -> RunRef:
    """Search under Airflow, without a score or feature of the other search, and kill a worker, then Airflow."""
    kitchen.remove(f"{SAMPLE_STORE}/runs/", "/validation/")
    shutil.rmtree(kitchen.home.root / "cache" / "features")
    with kitchen.airflow() as api:
        run = api.trigger("search", FORM | {"then_retrain": True})
    kitchen.wait_for_step("search", "plan", "success", STEP_SECONDS)
    place = SearchPlan(str(kitchen.latest_result("search", "plan")["search_uri"]))
    first, second = place.round(1), place.round(2)
    kitchen.wait_for(lambda: any("/trial-" in uri for uri in trained(kitchen, first.folder_uri)), STEP_SECONDS, poll_seconds=0.02)
    kill_worker(kitchen, "train_trials")
    assert not any(uri.endswith("/result.json") for uri in trained(kitchen, first.folder_uri))
    kitchen.wait_for(lambda: kitchen.store.exists(second.suggest.uri), STEP_SECONDS, poll_seconds=0.02)
    kill(processes.members(kitchen.home, "airflow"))
    assert not kitchen.store.exists(second.gather.uri)
    supervise.up(kitchen.home, lambda _: None)
    kitchen.wait_for_success("search", RUN_SECONDS)
    return run


@pytest.fixture(scope="module")
def killed(kitchen, run) -> Searched:
    return searched(kitchen, kitchen.latest_result("search", "report"))


def trained(kitchen: Kitchen, folder_uri: str) -> list[str]:
    """List what the trainings of a round have left."""
    return [found.uri for found in kitchen.store.list(f"{folder_uri}trials/")]


def kill_worker(kitchen: Kitchen, step: str) -> None:
    """Kill the process of Airflow's executor that runs a step, and all processes below it."""
    (running,) = (one for one in processes.members(kitchen.home, "airflow") if one.cmdline()[:1] == ["/bin/sh"] and step in one.cmdline())
    worker = next(one for one in reversed(running.parents()) if "LocalExecutor" in " ".join(one.cmdline()))
    kill({worker, *worker.children(recursive=True)})


def kill(family: set[psutil.Process]) -> None:
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert not psutil.wait_procs(family, timeout=20)[1]


def without_times(table: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in table]


def test_a_search_that_is_killed_twice_ends_with_the_same_table(calm, killed):
    assert [row["round"] for row in sorted(calm.table, key=lambda row: int(row["trial"]))] == ["1"] * 4 + ["2"] * 4
    assert {row["was_found"] for row in (*calm.table, *killed.table)} == {"False"}
    assert without_times(killed.table) == without_times(calm.table)
    assert killed.report.winner == calm.report.winner


def test_retrain_starts_once(kitchen, run, killed):
    assert kitchen.states(run)["retrain"] == "success"
    started = [run["dag_run_id"] for run in kitchen.runs("retrain") if run["dag_run_id"].startswith("search__")]
    assert started == [killed.report.retrain_run_id]


def test_the_winner_goes_through_report_gate_and_registry(kitchen, killed):
    kitchen.wait_for_success("retrain", RUN_SECONDS)
    retrained = kitchen.runs("retrain")[0]
    assert (retrained["dag_run_id"], retrained["conf"]) == (killed.report.retrain_run_id, killed.report.retrain)
    states = kitchen.states(RunRef(dag_id="retrain", run_id=retrained["dag_run_id"]))
    assert {states[f"publish.{step}"] for step in ("compare", "report", "register", "decide")} == {"success"}
    compared = CompareResult.model_validate(kitchen.latest_result("retrain", "compare"))
    decided = DecideResult.model_validate(kitchen.latest_result("retrain", "decide"))
    assert (decided.model_name, decided.version) == ("retake-searched", 1)
    assert ("champion" in decided.aliases) == decided.promoted == compared.passed


def test_a_cleared_task_starts_no_second_run(kitchen, run, killed):
    with kitchen.airflow() as api:
        num_before = len(kitchen.runs("retrain"))
        api._call("POST", "/dags/search/clearTaskInstances", json=cleared(run, "retrain"))
        kitchen.wait_for_success("search", RUN_SECONDS)
    assert kitchen.states(run)["retrain"] == "skipped"
    assert len(kitchen.runs("retrain")) == num_before


def cleared(run: RunRef, task_id: str) -> dict[str, object]:
    """Ask Airflow to clear a task that has succeeded."""
    return {"dry_run": False, "dag_run_id": run.run_id, "task_ids": [task_id], "only_failed": False}
