"""The commands of `python -m tasks.local`, without servers, and how they reach the stack in containers."""

import errno
import io
import os
import re
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import httpx
import pytest

from tasks.data.clips.label_inputs import append_to_log
from tasks.errors import BadConfiguration, Unavailable
from tasks.local import __main__ as commands
from tasks.local import run as run_module
from tasks.local import supervise
from tasks.local.airflow_api import AirflowApi, RunRef
from tasks.local.container_stack import StackSettings, upload
from tasks.local.follow import PlainScreen
from tasks.local.home_folder import Credentials, add_person
from tasks.local.supervise import State
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult
from tasks.store.records.decisions import ChampionMove, DecideResult, DecisionRecord
from tasks.store.records.status import LabelsStatus
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Decision
from tasks.store.stored import Folder, check_key
from tests.data.labels.test_statements import CLIPS, Writer
from tests.pipeline.shelf import Shelf
from tests.records import some

ALL = "airflow mlflow store"
FULL = OSError(errno.ENOSPC, "No space left on device", "/home/passwords.json")


def states(*, running: str, healthy: str) -> list[State]:
    servers = [SimpleNamespace(name=name, title=name, address=f"http://{name}") for name in ALL.split()]
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
        (ALL, ALL, 0, "MLflow   http://mlflow/#/experiments?workflowType=machine_learning  no password"),
        (
            ALL,
            "mlflow store",
            1,
            "airflow: running, but unhealthy at http://airflow; see {home}/logs/airflow.log, then `make stop` and `make start`",
        ),
        ("store", "store", 1, "airflow: not running; `make start` starts it"),
    ],
)
def test_status_is_an_error_only_where_a_part_of_the_servers_runs(servers, home, monkeypatch, capsys, running, healthy, code, message):
    servers(running=running, healthy=healthy)
    monkeypatch.setattr(commands, "state_of", lambda *_: ())
    monkeypatch.setattr(commands, "open_store", lambda *_: None)
    assert commands.main(["status"]) == code
    out = capsys.readouterr().out
    assert message.format(home=home.root) in out
    assert Credentials.load(home).airflow_password not in out


def test_status_before_the_first_start_is_no_error(home, capsys):
    assert commands.main(["status"]) == 0
    assert "no server runs" in capsys.readouterr().out


def test_status_says_where_the_loop_is(servers, home, monkeypatch, capsys):
    servers(running=ALL, healthy=ALL)
    begun = (datetime.now(UTC) - timedelta(hours=2)).isoformat()
    runs = [
        {"dag_id": "retrain", "dag_run_id": "1", "state": "running", "start_date": begun, "run_after": begun},
        {"dag_id": "predict_videos", "dag_run_id": "2", "state": "queued", "start_date": None, "run_after": begun},
    ]
    times = dict.fromkeys(("start_date", "end_date", "rendered_map_index"))
    tasks = [
        {"task_id": "train", "state": "running", "map_index": -1, "try_number": 1, "pool": "gpu", **times},
        *({"task_id": "predict", "state": "scheduled", "map_index": index, "try_number": 0, "pool": "gpu", **times} for index in (0, 1)),
    ]
    answers = {"dags/~/dagRuns": {"dag_runs": runs}, "taskInstances": {"task_instances": tasks, "total_entries": 3}}
    monkeypatch.setattr(
        AirflowApi, "_call", lambda _, method, path, **rest: httpx.Response(200, json=next(v for k, v in answers.items() if k in path))
    )
    store = Shelf()
    dataset = some(DatasetResult, digest="d1", num_clips={"train": 180, "val": 40})
    store.write(Layout("s3://retake").latest_dataset, dataset)
    for number in (1, 2):
        decision = some(DecisionRecord, model_name="retake-tsn", champion_after=number + 1, provisional=True)
        store.write(Layout("s3://retake").champion_move("retake-tsn", number), ChampionMove(number=number, decision=decision, key="k"))
    plan = some(PlanResult, model_name="retake-tsn", decision_uri="s3://retake/runs/r/decisions/d")
    store.write(Layout("s3://retake").latest_plan, plan)
    store.write(Decision(plan.decision_uri).decide, some(DecideResult, model_name="retake-tsn", version=4))
    labels = some(LabelsStatus, num_clips=1, num_labelled=0, num_statements=0, by_origin=())
    store.write(Layout("s3://retake").status.labels, labels)
    page = Writer()
    page.clip(CLIPS[0], "put", "meat")
    append_to_log(store, "s3://retake", page.entries[0].statement, 0)
    monkeypatch.setattr(commands, "open_store", lambda *_: store)
    add_person(home, "anna", "labeller")
    assert commands.main(["status"]) == 0
    assert capsys.readouterr().out.splitlines()[-7:] == [
        "retrain: running for 2 h 00 min: train, predict waits until another step leaves its slot (pool gpu)",
        "predict_videos: queued for 2 h 00 min: train, predict waits until another step leaves its slot (pool gpu)",
        "s3://retake: 0 of 1 clip is labelled; there is no dataset yet.",
        's3://retake: next: Build a dataset: 1 new label on the page Label. `eval "$(.venv/bin/python -m tasks.local env)"; .venv/bin/python -m tasks status --store=s3://retake` says more',
        "s3://retake: 220 clips in the latest dataset, d1 (train 180, val 40)",
        "s3://retake: champion of retake-tsn is version 3, provisional; the latest is version 4",
        "users: admin, anna (labeller)",
    ]


def at_work(monkeypatch, *runs: RunRef) -> None:
    monkeypatch.setattr(AirflowApi, "active_runs", lambda _: list(runs))


def test_stop_names_the_runs_that_it_interrupts(servers, monkeypatch, capsys):
    servers(running="airflow", healthy="airflow")
    at_work(monkeypatch, RunRef(dag_id="retrain", run_id="manual__1"))
    assert commands.main(["stop"]) == 0
    assert "interrupting retrain, run manual__1" in capsys.readouterr().out


@pytest.mark.parametrize("error", [BadConfiguration("refuses the password"), Unavailable("does not answer"), FULL])
def test_stop_stops_also_where_airflow_answers_no_question(servers, monkeypatch, capsys, error):
    servers(running="airflow", healthy="airflow")
    monkeypatch.setattr(AirflowApi, "active_runs", Mock(side_effect=error))
    assert commands.main(["stop"]) == 0
    assert "MLflow" in capsys.readouterr().out


def test_stop_stops_also_where_credentials_are_damaged(home, capsys):
    home.credentials_file.write_text("{")
    assert commands.main(["stop"]) == 0
    assert "MLflow" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("running", "runs", "message", "restarts"),
    [
        ("airflow", [], "Airflow restarts to learn of it", 1),
        ("airflow", [RunRef(dag_id="retrain", run_id="1")], "wait until retrain has ended", 0),
        ("", [], "at the next `make start`", 0),
    ],
)
def test_airflow_learns_of_people_at_once_unless_that_interrupts_a_run(servers, monkeypatch, capsys, running, runs, message, restarts):
    servers(running=running, healthy=running)
    at_work(monkeypatch, *runs)
    up = Mock()
    monkeypatch.setattr(supervise, "up", up)
    assert commands.main(["people", "add", "anna"]) == 0
    assert message in capsys.readouterr().out
    assert up.call_count == restarts


def test_cancel_ends_each_run_once_and_those_that_follow_it_and_then_what_is_left_in_mlflow(servers, monkeypatch, capsys):
    servers(running="airflow mlflow", healthy="airflow mlflow")
    first, second = RunRef(dag_id="ingest_videos", run_id="1"), RunRef(dag_id="build_dataset", run_id="2")
    looks = iter([[first], [first], [second]])
    ended = []
    monkeypatch.setattr(AirflowApi, "active_runs", lambda _: next(looks, []))
    monkeypatch.setattr(AirflowApi, "end", lambda _, run: ended.append(run))
    slept = list[float]()
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: sum(slept), sleep=slept.append))
    monkeypatch.setattr(commands, "end_tracked", lambda mlflow, airflow: ended.append((mlflow, airflow)))
    assert commands.main(["cancel"]) == 0
    assert ended == [first, second, ("http://mlflow", "http://airflow")]
    assert "ended build_dataset, run 2" in capsys.readouterr().out


def test_cancel_takes_the_stack_where_no_local_airflow_answers_or_a_person_says_so(servers, monkeypatch, capsys):
    of_stack = SimpleNamespace(airflow=lambda: AirflowApi("http://stack", "password"))
    monkeypatch.setattr(commands, "find_stack", lambda: of_stack)
    at_work(monkeypatch)
    addresses = []
    for running, argument in (("airflow", "auto"), ("airflow", "stack"), ("", "auto")):
        servers(running=running, healthy=running)
        assert commands.main(["cancel", f"--of={argument}"]) == 0
        addresses += re.findall(r"Airflow at (\S+)", capsys.readouterr().out)
    assert addresses == ["http://airflow", "http://stack", "http://stack"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RETAKE_HOME", "/proc/x", "/proc/x cannot be written"),
        ("RETAKE_HOME", "~nobody-of-this-name/x", "~nobody-of-this-name/x: there is no such user"),
        ("RETAKE_PORT_OFFSET", "1O0", "RETAKE_PORT_OFFSET is '1O0'"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(home, monkeypatch, capsys, name, value, message):
    monkeypatch.setenv(name, value)
    assert commands.main(["start"]) == BadConfiguration.exit_code
    assert message in capsys.readouterr().err


def test_a_command_whose_reader_has_enough_ends_without_a_traceback(home, monkeypatch):
    add_person(home, "anna", "viewer")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr("sys.stdout", output)
        assert commands.main(["people", "list"]) == 141


def test_a_full_disk_is_named(home, monkeypatch, capsys):
    monkeypatch.setattr(supervise, "up", Mock(side_effect=FULL))
    assert commands.main(["start"]) == Unavailable.exit_code
    assert capsys.readouterr().err == "/home/passwords.json: the disk is full; make room there, and repeat the command\n"


def test_cancel_without_airflow_says_that_no_run_is_at_work(servers, monkeypatch, capsys):
    monkeypatch.setattr(commands, "find_stack", lambda: None)
    servers(running="", healthy="")
    assert commands.main(["cancel"])
    assert "no Airflow answers" in capsys.readouterr().err


SECRETS = "RETAKE_AIRFLOW_PASSWORD=a\nRETAKE_STORE_STEPS_ACCESS_KEY=b\nRETAKE_STORE_STEPS_SECRET_KEY=c\n"


@pytest.mark.parametrize(
    ("lines", "airflow", "store"),
    [
        ("", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_AIRFLOW_PORT=1\nRETAKE_STORE_PORT=2", "http://127.0.0.1:1", "127.0.0.1:2"),
        ("RETAKE_BIND=10.0.0.5", "http://10.0.0.5:8080", "10.0.0.5:9000"),
        ("RETAKE_BIND=0.0.0.0", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_STORE_ENDPOINT=minio:9000", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_STORE_ENDPOINT=s3.example:443\nRETAKE_STORE_SECURE=true", "http://127.0.0.1:8080", "s3.example:443"),
        ("RETAKE_STORE_ENDPOINT=\nRETAKE_STORE_SECURE=\nRETAKE_BIND=", "http://127.0.0.1:8080", "127.0.0.1:9000"),
    ],
    ids=["as-written", "ports", "another-address", "every-address", "the-own-store-by-name", "another-store", "empty-lines"],
)
def test_the_stack_is_where_its_env_file_says(lines, airflow, store, tmp_path):
    env = tmp_path / ".env"
    env.write_text(SECRETS + lines)
    settings = StackSettings(_env_file=env)
    assert (settings.airflow_address, settings.store_address) == (airflow, store)


class Inbox(Shelf):
    """Refuses the names that every store refuses."""

    def write_file(self, uri, path):
        check_key(uri)
        self.objects[uri] = path.read_bytes()


def test_a_folder_is_put_into_the_inbox_without_what_lies_outside_it_or_no_store_takes(tmp_path):
    folder = tmp_path / "films"
    (folder / "put meat").mkdir(parents=True)
    (tmp_path / "secret.csv").write_text("key")
    (folder / "put meat" / "a.mp4").write_bytes(b"film")
    (folder / "b.csv").symlink_to("put meat/a.mp4")
    (folder / "c.csv").symlink_to(tmp_path / "secret.csv")
    (folder / "d").symlink_to(tmp_path)
    (folder / "e.csv").symlink_to("nowhere")
    os.mkfifo(folder / "f.mp4")
    (folder / "g\x01.mp4").touch()
    (folder / ".hidden").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "a.mp4").touch()
    (folder / os.fsdecode(b"h\xff.mp4")).touch()
    store, output = Inbox(), io.StringIO()
    assert upload(store, folder, Folder("s3://retake/inbox/films/"), PlainScreen(output)) == (3, 3)
    assert store.objects == {
        "s3://retake/inbox/films/b.csv": b"film",
        "s3://retake/inbox/films/h\N{REPLACEMENT CHARACTER}.mp4": b"",
        "s3://retake/inbox/films/put meat/a.mp4": b"film",
    }
    left_out = {line.split("left out: ")[1].split(": ")[0]: line for line in output.getvalue().splitlines() if "left out" in line}
    assert sorted(left_out) == ["c.csv", "d", "e.csv", "f.mp4", "g\N{REPLACEMENT CHARACTER}.mp4"]
    assert "leads out of" in left_out["c.csv"]
    assert "leads out of" in left_out["d"]
    assert "not a regular file" in left_out["f.mp4"]
