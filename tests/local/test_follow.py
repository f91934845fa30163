"""The chain against a scripted Airflow: what is asked, what is shown, how it ends."""

import io
import json
from datetime import UTC, datetime

import httpx
import pytest
from rich.console import Console

from tasks.errors import BadConfiguration, Unavailable
from tasks.local import follow
from tasks.local.airflow_api import AirflowApi
from tasks.local.choices import CHAIN, Choices
from tasks.local.follow import LiveScreen, PlainScreen, Row, clock, folded, screen_for


def row(state, seconds=None, label="", step="train", index=-1):
    return Row("retrain", step, index, label, state, seconds)


def test_plain_lines_tell_each_change_once_and_mapped_steps_apart():
    stream = io.StringIO()
    screen = screen_for(stream)
    assert isinstance(screen, PlainScreen)
    screen.show([row("waiting")], "")
    screen.show([row("running", 0.1)], "epoch 1/8")
    screen.show([row("running", 1.1)], "epoch 1/8")
    screen.show([row("success", 2.04)], "")
    screen.show([row("running", 0, "fine-tuned", index=0), row("success", 3, "baseline", index=1)], "")
    of_one = ["retrain  train: running", "    epoch 1/8", "retrain  train: success (2.0 s)"]
    lines = [line.split("  ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines == [*of_one, "retrain  train [fine-tuned]: running", "retrain  train [baseline]: success (3.0 s)"]


def test_a_terminal_shows_the_steps_as_they_stand():
    stream = io.StringIO()
    screen = LiveScreen(Console(file=stream, force_terminal=True, width=100))
    screen.show([row("running", 1.5)], "epoch [1/8]")
    screen.say("a line [that] stays")
    screen.close()
    screen.close()
    for text in ("train", "running", "1.5", "epoch [1/8]", "a line [that] stays"):
        assert text in stream.getvalue()


def test_nothing_that_people_named_reaches_the_terminal_as_a_command():
    stream = io.StringIO()
    plain = PlainScreen(stream)
    plain.say("a\x1b[2Jb:\nc\x9b")
    plain.show([row("running", 0, "d\x1be", index=0)], "f\x1bg")
    assert [line for line in stream.getvalue().splitlines() if not line.isprintable()] == []
    assert "a\N{REPLACEMENT CHARACTER}[2Jb:\nc" in stream.getvalue()
    drawn = io.StringIO()
    live = LiveScreen(Console(file=drawn, force_terminal=True, width=100))
    live.say("a\x1b[2Jb")
    live.show([row("running", 0, "d\x1b]0;e", index=0)], "f\x1b]0;g")
    live.close()
    assert all(text not in drawn.getvalue() for text in ("\x1b[2J", "\x1b]0;"))


def test_an_address_is_not_broken_at_the_width_of_the_terminal():
    drawn = io.StringIO()
    address = f"http://127.0.0.1:8080/dags/retrain/runs/{'x' * 60}"
    LiveScreen(Console(file=drawn, force_terminal=True, width=40)).say(f"report {address}")
    assert address in drawn.getvalue()


def test_many_mapped_steps_are_one_row_that_counts_and_few_are_shown_one_by_one():
    few = [row("success", 2.0, str(n)) for n in range(6)]
    assert folded(few) == few
    done, label = [row("success", 2.0, str(n), "segment") for n in range(10)], row("waiting", step="label")
    segments = Row("retrain", "segment", -1, "11 times", "running (10 success, 1 running)", 21.0)
    assert folded([*done, row("running", 1.0, "10", "segment"), label]) == [segments, label]


def test_the_clock_counts_minutes_and_seconds():
    assert [clock(5.9), clock(65), clock(3600)] == ["0:05", "1:05", "60:00"]


CHOICES = Choices(store="s3://retake", sources=["/videos"], options={"epochs": 2})
NOW = datetime(2026, 1, 1, tzinfo=UTC).isoformat()


def task(task_id, state, **changes):
    times = {"start_date": NOW, "end_date": NOW} if state else {"start_date": None, "end_date": None}
    base = {"task_id": task_id, "state": state, "map_index": -1, "rendered_map_index": None, "try_number": 1}
    return {**base, **times, **changes}


class FakeAirflow:
    """Runs end at the second look at them. `silent` DAGs update no asset; `failing` ones fail with the given log."""

    def __init__(self):
        self.silent, self.failing, self.skipped, self.at_work = set(), {}, {}, None
        self.triggered, self.looks, self.unpaused = [], {}, set()
        self.logins = self.outage = self.event_looks = self.num_queued_looks = 0
        self.import_errors = []
        self.token = "first"  # noqa: S105 - of nothing

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/auth/token":
            self.logins += 1
            return httpx.Response(201, json={"access_token": self.token})
        if request.headers["Authorization"] != f"Bearer {self.token}":
            return httpx.Response(401)
        if self.outage:
            self.outage -= 1
            raise httpx.ConnectError("refused")
        parts = path.removeprefix("/api/v2/").split("/")
        match request.method, parts:
            case "GET", ["dags"]:
                return self.reply(dags=[] if self.import_errors else [{"dag_id": dag_id} for dag_id in CHAIN])
            case "GET", ["importErrors"]:
                return self.reply(import_errors=self.import_errors)
            case "PATCH", ["dags", dag_id]:
                self.unpaused.add(dag_id)
                return self.reply()
            case "POST", ["dags", dag_id, "dagRuns"]:
                self.triggered.append((dag_id, json.loads(request.content)["conf"]))
                return self.reply(dag_run_id=f"manual {dag_id}")
            case "GET", ["dags", dag_id, "dagRuns", run_id]:
                self.looks[run_id] = self.looks.get(run_id, 0) + 1
                ended = "failed" if dag_id in self.failing else "success"
                return self.reply(state="running" if self.looks[run_id] < 2 else ended)
            case "GET", ["dags", dag_id, "dagRuns", run_id, "taskInstances"]:
                if self.looks[run_id] < 2:
                    return self.reply(task_instances=[task("a.work", "running"), task("after", None)], total_entries=2)
                ended = "failed" if dag_id in self.failing else "success"
                skipped = [task(self.skipped[dag_id], "skipped")] if dag_id in self.skipped else []
                return self.reply(task_instances=[task("a.work", ended), *skipped], total_entries=1 + len(skipped))
            case "GET", ["dags", dag_id, "dagRuns", _, "taskInstances", _, "logs", _]:
                events = self.failing.get(dag_id, ["round 1"])
                heading = ["::group::Log message source details", "/a/file", "::endgroup::"]
                return self.reply(content=[{"event": text} for text in [*heading, *events]])
            case "GET", ["assets", "events"]:
                dag_id, run_id = request.url.params["source_dag_id"], request.url.params["source_run_id"]
                successors = dict(zip(CHAIN, [*list(CHAIN)[1:], None], strict=True))
                created = [{"dag_id": successors[dag_id], "run_id": f"after {run_id}"}]
                if created[0]["dag_id"] == "retrain" and self.is_busy:
                    created = []
                events = [] if dag_id in self.silent else [{"created_dagruns": created}]
                if request.url.params["limit"] == "0":
                    return self.reply(asset_events=[], total_entries=len(events))
                self.event_looks += 1
                return httpx.Response(500) if self.event_looks <= self.num_queued_looks else self.reply(asset_events=events)
            case "GET", ["dags", dag_id, "dagRuns"]:
                at_work = {"dag_id": dag_id, "dag_run_id": self.at_work, "state": "running", "run_after": NOW, "start_date": None}
                return self.reply(dag_runs=[at_work] if dag_id == "retrain" and self.is_busy else [])
        raise AssertionError(f"unexpected {request.method} {path}")

    @property
    def is_busy(self):
        return self.at_work and self.looks.get(self.at_work, 0) < 2

    def reply(self, **content):
        return httpx.Response(200, json=content)


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def airflow(monkeypatch):
    monkeypatch.setattr(follow, "time", Clock())
    return FakeAirflow()


@pytest.fixture
def api(airflow):
    with AirflowApi("http://airflow", "secret", transport=httpx.MockTransport(airflow)) as client:
        yield client


@pytest.fixture
def output():
    return io.StringIO()


def run(api, output):
    return follow.follow_chain(api, CHOICES, PlainScreen(output))


def test_the_chain_is_followed_through_its_assets(api, airflow, output):
    followed = run(api, output)
    assert [run.ref.run_id for run in followed] == [f"{after}manual ingest_videos" for after in ("", "after ", "after after ")]
    assert airflow.triggered == [("ingest_videos", {"store": "s3://retake", "sources": ["/videos"], "then": {"epochs": 2}})]
    for text in ("ingest_videos  work: running", "round 1", "retrain  work: success"):
        assert text in output.getvalue()
    assert "Log message source details" not in output.getvalue()


def test_a_successor_that_is_queued_is_waited_for_and_one_that_never_comes_is_named(api, airflow, output, monkeypatch):
    airflow.num_queued_looks = 300
    assert len(run(api, output)) == len(CHAIN)
    monkeypatch.setattr(AirflowApi, "runs_caused_by", lambda *_: [])
    with pytest.raises(Unavailable, match="has not started build_dataset"):
        run(api, output)


@pytest.mark.parametrize("silent", [set(), {"build_dataset"}])
def test_a_run_that_is_at_work_already_ends_first(api, airflow, output, silent):
    airflow.silent = silent
    airflow.at_work = "earlier retrain"
    followed = run(api, output)
    assert "retrain is busy with an earlier run, earlier retrain" in output.getvalue()
    assert followed[-1].ref.run_id in ("manual retrain", "after after manual ingest_videos")


def test_what_had_nothing_new_does_not_end_the_chain(api, airflow, output):
    airflow.silent = {"ingest_videos", "build_dataset"}
    assert [run.ref.dag_id for run in run(api, output)] == list(CHAIN)
    assert [dag_id for dag_id, _ in airflow.triggered] == list(CHAIN)
    assert airflow.triggered[-1] == ("retrain", {"store": "s3://retake", "epochs": 2})


def test_without_labels_the_chain_ends_before_a_training(api, airflow, output):
    airflow.skipped = {"build_dataset": "split"}
    assert [run.ref.dag_id for run in run(api, output)] == ["ingest_videos", "build_dataset"]


@pytest.mark.parametrize(
    ("log", "code", "message"),
    [
        (["BadLabels: labels.csv, line 3: no such verb", "Task failed with exception"], 65, "labels.csv, line 3"),
        (["Unavailable: MLflow does not answer"], 75, "MLflow does not answer"),
        (['{"time": "2026-01-01", "level": "ERROR", "message": "Unavailable: MLflow does not answer"}'], 75, "Unavailable: MLflow"),
        (["Traceback", "KeyError: 'x'"], 1, "KeyError"),
    ],
)
def test_a_failed_step_ends_the_chain_with_its_error_and_its_exit_code(api, airflow, output, log, code, message):
    airflow.failing = {"build_dataset": log}
    with pytest.raises(follow.StepFailed, match=f"(?s)build_dataset, step work: .*{message}.*http://airflow/dags/build_dataset") as failure:
        run(api, output)
    assert failure.value.code == code


def test_an_expired_token_is_renewed(api, airflow, output):
    api.dag_ids()
    airflow.token = "second"  # noqa: S105 - of nothing
    run(api, output)
    assert airflow.logins == 2


def test_a_busy_airflow_is_asked_again_and_one_that_is_gone_is_named(api, airflow, output):
    api.dag_ids()
    ref = api.trigger("retrain", {})
    airflow.outage = 3
    assert follow.follow_run(api, ref, PlainScreen(output), []).ref == ref
    airflow.outage = 1
    with pytest.raises(Unavailable, match="http://airflow does not answer"):
        api.dag_ids()


def test_every_dag_of_the_chain_is_let_run_and_a_file_that_cannot_be_read_is_named(api, airflow):
    follow.wait_for_dags(api)
    assert airflow.unpaused == set(CHAIN)
    airflow.import_errors = [{"filename": "retrain.py", "stack_trace": "Traceback\nImportError: no torch"}]
    with pytest.raises(BadConfiguration, match=r"retrain\.py: ImportError: no torch"):
        follow.wait_for_dags(api)
