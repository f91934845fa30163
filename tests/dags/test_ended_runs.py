"""The note that an ended run gets in Airflow's own tables, and which runs are handed over to the command `notify`, which nothing waits for."""

import json
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from uuid import UUID

import pytest
from airflow.models import import_all_models
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.tasklog import LogTemplate
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from dags import _notify_command, ingest_videos, predict_videos, retrain
from dags._form import PASSED_OVER
from dags._step import ReportLink
from dags.plugins.ended_runs import MAX_NOTE_CHARACTERS, SUMMARIES, on_dag_run_failed, on_dag_run_success
from tests.dags.conftest import comes_true

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SECRET = "hunter22"  # noqa: S105
BAD = [{"name": "<b>.mp4", "reason": "no [video](http://a.b)"}, {"name": "c.mp4", "reason": "no video" * MAX_NOTE_CHARACTERS}]


@pytest.fixture
def session():
    import_all_models()  # the foreign keys of a task lead to several
    engine = create_engine("sqlite://", poolclass=StaticPool)
    models = (LogTemplate, DagRun, DagRunNote, XComModel, TaskInstance, HITLDetail)
    DagRun.metadata.create_all(engine, [model.__table__ for model in models])
    with Session(engine) as session:
        yield session


def ended(session, dag_id, state, run_type="scheduled", hours=0, xcoms=(), **known):
    when = NOW + timedelta(hours=hours)
    run = DagRun(dag_id=dag_id, run_id=f"{run_type}{hours}", run_type=run_type, state=state, logical_date=when, **known)
    session.add(run)
    session.flush()
    for task_id, key, value in xcoms:
        xcom = {"dag_run_id": run.id, "dag_id": dag_id, "run_id": run.run_id, "task_id": task_id, "key": key, "map_index": -1}
        session.execute(insert(XComModel).values(xcom | {"value": json.dumps(value)}))
    return run


@pytest.fixture
def noted(session):
    """End a run in which a task has this result, and return its note."""
    numbers = count()

    def end(dag_id, task_id, result, key="return_value", **note):
        run = ended(session, dag_id, "success", hours=next(numbers), xcoms=[(task_id, key, result)])
        if note:
            run.note = note
        on_dag_run_success(run, "success")
        session.commit()
        return run.note

    return end


@pytest.mark.parametrize("dag", [ingest_videos.dag, predict_videos.dag])
def test_a_run_names_files_that_were_set_aside_as_far_as_the_column_holds(dag, noted):
    note = noted(dag.dag_id, dag.get_task(SUMMARIES[dag.dag_id]).task_id, {"num_set_aside": 2, "first_set_aside": BAD})
    head, *lines = note.splitlines()
    assert head.startswith("2 files set aside")
    (line,) = lines
    assert line.startswith(r"- &lt;b&gt;.mp4: no \[video\](")


def test_a_run_without_such_files_has_no_note_and_that_of_a_person_stays(noted):
    none, some = ({"num_set_aside": number, "first_set_aside": BAD[:number]} for number in (0, 1))
    assert noted("ingest_videos", "summarise", none, content="1 file set aside") is None
    assert noted("ingest_videos", "ingest", some) is None
    assert noted("ingest_videos", "summarise", some, content="mine", user_id="me") == "mine"
    assert noted("retrain", "summarise", some) is None


@pytest.mark.parametrize(("url", "note"), [("http://mlflow/#/a/report.html", "[Report](http://mlflow/#/a/report.html)"), ("", None)])
def test_a_run_leads_to_its_report_and_names_the_events_that_it_did_not_take(noted, url, note):
    passed_over = "it takes s3://retake with {}, so trigger it by hand for s3://retake with {}"
    assert "so trigger it by hand for" in noted("retrain", "prepare.weights", passed_over, key=PASSED_OVER)
    assert noted("retrain", "publish.decide", url, key=ReportLink().xcom_key) == note


def test_a_run_that_a_person_ended_notes_no_failure(session):
    run = ended(session, "retrain", "failed")
    add_task(session, run, 1, "failed", "prepare.weights")
    on_dag_run_failed(run, "DAG Run's state was manually set to `failed`")
    session.commit()
    assert run.note is None


def test_a_failed_run_notes_the_reason_until_it_succeeds(session):
    reason = "preset: no recipe is called <lihgt>; did you mean light?" + "!" * MAX_NOTE_CHARACTERS
    xcoms = [
        ("prepare.weights", "failure", {"step": "weights", "map_index": -1, "reason": reason}),
        ("prepare.weights", PASSED_OVER, "it takes a"),
    ]
    run = ended(session, "retrain", "failed", xcoms=xcoms)
    add_task(session, run, 1, "failed", "prepare.weights")
    on_dag_run_failed(run, "task_failure")
    session.commit()
    assert run.note.startswith("`prepare.weights` failed: preset: no recipe is called &lt;lihgt&gt;; did you mean light?")
    assert len(run.note) == MAX_NOTE_CHARACTERS
    run.state = "success"
    on_dag_run_success(run, "success")
    session.commit()
    assert run.note == "it takes a"


@pytest.fixture
def handed(monkeypatch):
    handed = []
    monkeypatch.setenv("RETAKE_NOTIFY", "json://127.0.0.1/")
    monkeypatch.setattr(_notify_command, "notify_later", handed.append)
    return handed


@pytest.mark.parametrize(
    ("dag", "task_id"), [(ingest_videos.dag, "summarise"), (predict_videos.dag, "report"), (retrain.dag, "publish.decide")]
)
def test_a_run_is_handed_over_with_the_result_that_people_are_told_of(dag, task_id, session, handed):
    assert dag.get_task(task_id)
    store = {"conf": {"store": "s3://other/"}}
    on_dag_run_success(ended(session, dag.dag_id, "success", xcoms=[(task_id, "return_value", {"num_set_aside": 0})], **store), "success")
    (run,) = handed
    assert (run.result, run.store, run.is_failed, run.is_scheduled) == ({"num_set_aside": 0}, "s3://other", False, True)
    assert run.run_url == f"http://airflow.test:8080/dags/{dag.dag_id}/runs/scheduled0"


def add_task(session, run, number, state, task_id):
    """Add a task of a run that ended at this minute."""
    values = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": task_id, "map_index": number, "state": state}
    values |= {"id": UUID(int=number), "pool": "p", "pool_slots": 1, "span_status": "x", "end_date": NOW + timedelta(minutes=number)}
    session.execute(insert(TaskInstance.__table__).values(values))


def test_a_failed_run_says_why_and_whether_the_scheduled_one_before_failed_too(session, handed):
    reasons = [(name, "failure", {"step": name, "map_index": -1, "reason": f"{name} it"}) for name in ("ask", "train", "report")]
    run = ended(session, "search", "failed", xcoms=reasons)
    for number, (state, task_id) in enumerate([("skipped", "ask"), ("failed", "train"), ("failed", "report")]):
        add_task(session, run, number, state, task_id)
    on_dag_run_failed(run, "task_failure")
    run = ended(session, "search", "failed", hours=1)
    add_task(session, run, 9, "failed", "train")
    on_dag_run_failed(run, "task_failure")
    on_dag_run_failed(ended(session, "search", "failed", "manual", hours=2), "timed_out")
    on_dag_run_success(ended(session, "search", "success", hours=3), "success")
    assert [(run.reason, run.failed_before) for run in handed] == [
        ("train: train it", False),
        ("train: its log says why", True),
        ("", False),
    ]
    assert all(run.is_failed and run.store == "s3://retake" for run in handed)


def test_a_scheduled_run_brings_the_questions_without_an_answer(session, handed):
    asking = ended(session, "retrain", "running", "manual")
    question = {"options": [], "subject": "Promote?", "params": {}, "created_at": NOW, "params_input": {}}
    for number, (state, answered) in enumerate([("awaiting_input", None), ("awaiting_input", NOW), ("success", None)]):
        add_task(session, asking, number, state, "publish.approve")
        own = {"assignees": [{"id": "ada", "name": "ada"}] if number == 0 else [], "responded_at": answered}
        session.execute(insert(HITLDetail).values(ti_id=UUID(int=number), **question | own))
    on_dag_run_success(ended(session, "ingest_videos", "success"), "success")
    (waiting,) = handed[0].waiting
    assert (waiting.subject, waiting.since, waiting.is_assigned) == ("Promote?", NOW.isoformat(), True)
    assert waiting.url.endswith("/runs/manual0/tasks/publish.approve/required_actions?map_index=0")


def test_nothing_is_handed_over_without_an_address_or_where_a_person_ended_the_run(session, handed, monkeypatch):
    on_dag_run_failed(ended(session, "search", "failed"), "Dag Run's state was manually set to `failed`.")
    monkeypatch.delenv("RETAKE_NOTIFY")
    on_dag_run_failed(ended(session, "search", "failed", hours=1), "task_failure")
    assert handed == []


def ending(code, stderr):
    return lambda command, **_: subprocess.CompletedProcess(command, code, "", stderr)


def hanging(command, timeout, **_):
    raise subprocess.TimeoutExpired(command, timeout)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (ending(75, "Unavailable: address 1 (json) took too long\n"), "address 1 (json) took too long"),
        (ending(1, f"ValueError: json://u:{SECRET}@h"), "exit code 1; `python -m tasks notify` sends a test"),
        (hanging, "it took longer than 90 s"),
        (ending(0, "sent"), ""),
    ],
)
def test_a_notice_that_fails_or_hangs_is_only_logged(run, said, monkeypatch, caplog):
    monkeypatch.setattr(subprocess, "run", run)
    _notify_command.notify(f"--notice={SECRET}")
    assert said in caplog.text
    assert bool(said) == bool(caplog.records)
    assert SECRET not in caplog.text


def test_the_scheduler_does_not_wait_for_it(monkeypatch):
    may_end, told = threading.Event(), []
    monkeypatch.setattr(_notify_command, "notify", lambda flag: told.append(flag) if may_end.wait(60) else None)
    _notify_command.notify_later(SimpleNamespace(model_dump_json=lambda: "{}"))
    assert told == []
    may_end.set()
    assert comes_true(lambda: told == ["--ended={}"])
