"""The commands of `python -m tasks.local`, without servers."""

from types import SimpleNamespace

import pytest

from tasks.local import __main__ as commands
from tasks.local import stack, supervise
from tasks.local.airflow_api import AirflowApi, RunRef
from tasks.local.home import Credentials
from tasks.local.supervise import State


def states(*, running: str, healthy: str) -> list[State]:
    names = ("airflow", "mlflow", "store")
    servers = [SimpleNamespace(name=name, title=name, address=f"http://{name}") for name in names]
    return [State(server, server.name in running, server.name in healthy) for server in servers]


@pytest.fixture
def servers(home, monkeypatch):
    """Chooses the servers that run and are healthy."""
    Credentials.load_or_create(home)
    return lambda **which: monkeypatch.setattr(supervise, "running", lambda _: states(**which))


@pytest.mark.parametrize(
    ("running", "healthy", "code", "message"),
    [
        ("", "", 0, "`make start` starts them"),
        ("airflow mlflow store", "airflow mlflow store", 0, "user "),
        ("airflow mlflow store", "mlflow store", 1, "airflow: running, but unhealthy at http://airflow"),
        ("store", "store", 1, "airflow: not running"),
    ],
)
def test_status_is_an_error_only_where_a_part_of_the_servers_runs(servers, capsys, running, healthy, code, message):
    servers(running=running, healthy=healthy)
    assert commands.main(["status"]) == code
    assert message in capsys.readouterr().out


def test_status_before_the_first_start_is_no_error(home, capsys):
    assert commands.main(["status"]) == 0
    assert "no server runs" in capsys.readouterr().out


def test_stop_names_the_runs_that_it_interrupts(servers, monkeypatch, capsys):
    servers(running="airflow", healthy="airflow")
    monkeypatch.setattr(AirflowApi, "active_runs", lambda _: [RunRef(dag_id="retrain", run_id="manual__1")])
    assert commands.main(["stop"]) == 0
    assert "interrupting retrain, run manual__1" in capsys.readouterr().out


def test_a_home_that_cannot_be_written_is_named(monkeypatch, capsys):
    monkeypatch.setenv("RETAKE_HOME", "/proc/x")
    assert commands.main(["start"])
    assert "/proc/x cannot be written" in capsys.readouterr().err


def test_cancel_without_airflow_says_that_no_run_is_at_work(servers, monkeypatch, capsys):
    monkeypatch.setattr(stack, "find", lambda: None)
    servers(running="", healthy="")
    assert commands.main(["cancel"])
    assert "no Airflow answers" in capsys.readouterr().err
