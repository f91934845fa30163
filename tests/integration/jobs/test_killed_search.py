"""A search under Airflow's scheduler that is killed twice ends with the table of an undisturbed one, and starts retrain once."""

import csv
import io
import json
import shutil
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tasks.local import processes, supervise
from tasks.local.airflow_api import RunRef
from tasks.local.home_folder import REPOSITORY
from tasks.local.run import SAMPLE_STORE
from tasks.store.records.decisions import CompareResult, DecideResult
from tasks.store.records.search import SearchReportResult
from tasks.store.run_layout import SearchPlan
from tests.integration.jobs.whole_job import Kitchen

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(2400)]

FORM = {"store": SAMPLE_STORE, "crops": 1, "feature_variants": 1, "num_trials": 8, "rounds": 2, "folds": 0, "model_name": "retake-searched"}
RUN_SECONDS, STEP_SECONDS = 900, 300


def searched(kitchen, report):
    """Read the report of a search, and its table without times."""
    result = SearchReportResult.model_validate(report)
    rows = csv.DictReader(io.StringIO(kitchen.store.read_bytes(result.table_uri).decode()))
    return result, [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows]


@pytest.fixture(scope="module")
def calm(kitchen, sample_run):
    """Search at the shell."""
    command = [sys.executable, "-m", "tasks", "search", *(f"--{name.replace('_', '-')}={value}" for name, value in FORM.items())]
    done = subprocess.run(command, cwd=REPOSITORY, env=kitchen.environment, capture_output=True, text=True, timeout=RUN_SECONDS)
    assert done.returncode == 0, done.stderr
    return searched(kitchen, json.loads(done.stdout.splitlines()[-1]))


@pytest.fixture(scope="module")
def run(kitchen, calm) -> RunRef:
    """Search under Airflow, without a score or feature of the other search, and kill a worker, then Airflow."""
    store = kitchen.store
    store.delete([stored.uri for stored in store.list(f"{SAMPLE_STORE}/runs/") if "/validation/" in stored.uri])
    shutil.rmtree(kitchen.home.root / "cache" / "features")
    with kitchen.airflow() as api:
        run = api.trigger("search", FORM | {"then_retrain": True})
    kitchen.wait_for(lambda: kitchen.states(run).get("plan") == "success", STEP_SECONDS)
    place = SearchPlan(str(kitchen.result(run, "plan")["search_uri"]))
    first, second = place.round(1), place.round(2)
    kitchen.wait_for(
        lambda: any("/trial-" in uri for uri, _ in kitchen.listing(f"{first.folder_uri}trials/")), STEP_SECONDS, poll_seconds=0.02
    )
    kill_worker(kitchen, "train_trials")
    assert not any(uri.endswith("/result.json") for uri, _ in kitchen.listing(f"{first.folder_uri}trials/"))
    kitchen.wait_for(lambda: kitchen.store.exists(second.suggest.uri), STEP_SECONDS, poll_seconds=0.02)
    kill(processes.members(kitchen.home, "airflow"))
    assert not kitchen.store.exists(second.gather.uri)
    supervise.up(kitchen.home, lambda _: None)
    kitchen.wait_for_success(run, RUN_SECONDS)
    return run


@pytest.fixture(scope="module")
def killed(kitchen, run):
    return searched(kitchen, kitchen.result(run, "report"))


def kill_worker(kitchen: Kitchen, step: str) -> None:
    """Kill the process of Airflow's executor that runs a step, and all processes below it."""
    members = processes.members(kitchen.home, "airflow")
    (running,) = (process for process in members if process.cmdline()[:1] == ["/bin/sh"] and step in process.cmdline())
    worker = next(process for process in reversed(running.parents()) if "LocalExecutor" in " ".join(process.cmdline()))
    kill({worker, *worker.children(recursive=True)})


def kill(family: set[psutil.Process]) -> None:
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert not psutil.wait_procs(family, timeout=20)[1]


def test_a_search_that_is_killed_twice_ends_with_the_same_table(calm, killed):
    (calm_report, table), (report, killed_table) = calm, killed
    assert [row["round"] for row in sorted(table, key=lambda row: int(row["trial"]))] == ["1"] * 4 + ["2"] * 4
    assert {row["was_found"] for row in (*table, *killed_table)} == {"False"}
    assert killed_table == table
    assert report.winner == calm_report.winner


def test_retrain_starts_once(kitchen, run, killed):
    assert kitchen.states(run)["retrain"] == "success"
    started = [run["dag_run_id"] for run in kitchen.runs("retrain") if run["dag_run_id"].startswith("search__")]
    assert started == [killed[0].retrain_run_id]


def test_the_winner_goes_through_report_gate_and_registry(kitchen, killed):
    retrained = RunRef(dag_id="retrain", run_id=killed[0].retrain_run_id)
    kitchen.wait_for_success(retrained, RUN_SECONDS)
    assert [run["conf"] for run in kitchen.runs("retrain") if run["dag_run_id"] == retrained.run_id] == [killed[0].retrain]
    states = kitchen.states(retrained)
    assert {states[f"publish.{step}"] for step in ("compare", "report", "register", "decide")} == {"success"}
    compared = CompareResult.model_validate(kitchen.result(retrained, "compare"))
    decided = DecideResult.model_validate(kitchen.result(retrained, "decide"))
    assert (decided.model_name, decided.version) == ("retake-searched", 1)
    assert ("champion" in decided.aliases) == decided.promoted == (compared.passed or compared.provisional)
