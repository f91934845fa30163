"""A task cleans Airflow's own database."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from airflow.cli.cli_parser import get_parser
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from dags import clean_up
from tests.dags.conftest import in_run


@pytest.fixture
def task(monkeypatch, tmp_path):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "airflow-db-not-allowed:///")
    return clean_up.dag.get_task("airflow_database")


@pytest.fixture
def tool(monkeypatch):
    """Airflow's own tool: its calls, and how the next one ends."""
    ends = {"returncode": 0, "calls": []}

    def run(command, env, **_):
        ends["calls"].append((command, env))
        return subprocess.CompletedProcess(command, ends["returncode"], stdout="deleted")

    monkeypatch.setattr("dags._databases.subprocess.run", run)
    return ends


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_database_in_airflows_home_is_cleaned_by_airflows_tool(task, tool, tmp_path, dry_run):
    (tmp_path / "airflow.db").touch()
    task.execute(in_run(clean_up.FORM, None, dry_run=dry_run, keep_days=30))
    ((command, environment),) = tool["calls"]
    parsed = get_parser().parse_args(command[3:])
    assert (command[1:3], parsed.subcommand, parsed.dry_run, parsed.yes) == (["-m", "airflow"], "clean", dry_run, True)
    assert timedelta(days=30) < datetime.now(UTC) - parsed.clean_before_timestamp < timedelta(days=31)
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] == f"sqlite:///{tmp_path}/airflow.db"


def test_a_database_on_a_server_is_left_to_its_operator(task, tool):
    with pytest.raises(AirflowSkipException, match=r"docs/upkeep\.md"):
        task.execute(in_run(clean_up.FORM, None))
    assert tool["calls"] == []


def test_a_tool_that_fails_is_told_with_its_exit_code(task, tool, tmp_path):
    (tmp_path / "airflow.db").touch()
    tool["returncode"] = 3
    with pytest.raises(AirflowException, match="exit code 3"):
        task.execute(in_run(clean_up.FORM, None))


@pytest.mark.parametrize(("said", "dry_run"), [(None, True), ("delete", False)])
def test_a_scheduled_run_deletes_only_where_a_variable_says_so(monkeypatch, said, dry_run):
    if said:
        monkeypatch.setenv("RETAKE_CLEAN_UP", said)
    assert clean_up.FORM.models()[1]().dry_run is dry_run
