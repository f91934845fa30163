"""Which note an ended run gets, in Airflow's own tables."""

import json

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.models.tasklog import LogTemplate
from airflow.models.xcom import XComModel
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from dags import ingest_videos, predict_videos
from dags._assets import PASSED_OVER
from dags._ended import SUMMARIES
from dags._step import ReportLink
from dags.plugins.run_note import MAX_NOTE_CHARACTERS, on_dag_run_success

BAD = [{"name": "<b>.mp4", "reason": "no [video](http://a.b)"}, {"name": "c.mp4", "reason": "no video" * MAX_NOTE_CHARACTERS}]


@pytest.fixture
def ended():
    """End a run in which a task has this result, and return its note."""

    def end(dag_id, task_id, result, key="return_value", **note):
        engine = create_engine("sqlite://", poolclass=StaticPool)
        DagRun.metadata.create_all(engine, [model.__table__ for model in (LogTemplate, DagRun, DagRunNote, XComModel)])
        with Session(engine) as session:
            run = DagRun(dag_id=dag_id, run_id="run", run_type="manual")
            if note:
                run.note = note
            session.add(run)
            session.flush()
            xcom = {"dag_run_id": run.id, "dag_id": dag_id, "run_id": run.run_id, "task_id": task_id, "key": key}
            session.execute(insert(XComModel).values(xcom | {"map_index": -1, "value": json.dumps(result)}))
            on_dag_run_success(run)
            session.commit()
            return run.note

    return end


@pytest.mark.parametrize("dag", [ingest_videos.dag, predict_videos.dag])
def test_a_run_names_files_that_were_set_aside_as_far_as_the_column_holds(dag, ended):
    note = ended(dag.dag_id, dag.get_task(SUMMARIES[dag.dag_id]).task_id, {"num_set_aside": 2, "first_set_aside": BAD})
    head, *lines = note.splitlines()
    assert head.startswith("2 files set aside")
    (line,) = lines
    assert line.startswith(r"- &lt;b&gt;.mp4: no \[video\](")


def test_a_run_without_such_files_has_no_note_and_that_of_a_person_stays(ended):
    none, some = ({"num_set_aside": number, "first_set_aside": BAD[:number]} for number in (0, 1))
    assert ended("ingest_videos", "summarise", none, content="1 file set aside") is None
    assert ended("ingest_videos", "ingest", some) is None
    assert ended("ingest_videos", "summarise", some, content="mine", user_id="me") == "mine"
    assert ended("retrain", "summarise", some) is None


@pytest.mark.parametrize(("url", "note"), [("http://mlflow/#/a/report.html", "[Report](http://mlflow/#/a/report.html)"), ("", None)])
def test_a_run_leads_to_its_report_and_names_the_events_that_it_did_not_take(ended, url, note):
    passed_over = "it takes s3://retake with {}, so trigger it by hand for s3://retake with {}"
    assert "so trigger it by hand for" in ended("retrain", "prepare.weights", passed_over, key=PASSED_OVER)
    assert ended("retrain", "publish.decide", url, key=ReportLink().xcom_key) == note
