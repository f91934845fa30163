"""Write a note on an ended run, and tell people of it.

The note has the run's report, the reason of its failure, its set-aside files, and the asset events that it did not take. Airflow shows it in
its grid and in the list of runs. A task cannot note anything on its own run without the credential of a person; the scheduler, which ends the
run, can, and it knows first that a run ended. The command `notify` decides whether there is anything to tell.

Every process of Airflow loads plugins, and only one of the scheduler needs the modules that functions import here.
"""

import sys
from collections.abc import Iterator
from datetime import UTC
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from tasks.store.records.status import EndedRun, Waiting

SUMMARIES = {"ingest_videos": "summarise", "predict_videos": "report"}
"""The task of each DAG whose result lists the files that were set aside."""

REPORT = "_link_ReportLink"
"""Key of the XCom in which Airflow keeps the address of the button *Report*."""

MAX_NOTE_CHARACTERS = 1000
"""As many as the column of Airflow's database holds."""


@hookimpl
def on_dag_run_success(dag_run: "DagRun", msg: str) -> None:
    """Write a run's note, and hand over its news unless a person ended it."""
    from sqlalchemy.orm import object_session

    from dags._notify_command import is_wanted, notify_later

    session = object_session(dag_run)
    if session is None:
        return
    task_id = (SUMMARIES | {"retrain": "publish.decide"}).get(dag_run.dag_id)
    if "manually" not in msg and is_wanted() and (task_id or dag_run.state == "failed"):
        notify_later(_ended(dag_run, session, task_id))
    _note(dag_run, session, is_by_person="manually" in msg)


on_dag_run_failed = on_dag_run_success


def _returned(dag_run: "DagRun", session: "Session", key: str, task_id: str | None = None) -> Iterator[Any]:
    """Yield the non-empty XComs of a run, from tables that only the scheduler may read."""
    from airflow.models.xcom import XComModel

    listed = XComModel.get_many(run_id=dag_run.run_id, key=key, task_ids=task_id, dag_ids=dag_run.dag_id)
    return filter(None, map(XComModel.deserialize_value, session.scalars(listed)))


def _note(dag_run: "DagRun", session: "Session", *, is_by_person: bool) -> None:
    """Note a run's report, failure, set-aside files and passed-over events; a person's note stays.

    A run that a person ended did not fail by its task.
    """
    from dags._form import PASSED_OVER
    from tasks.wording import count, markdown_text

    if dag_run.dag_run_note and dag_run.dag_run_note.user_id:
        return
    task_id = SUMMARIES.get(dag_run.dag_id)
    passed_over, report = (next(_returned(dag_run, session, key), None) for key in (PASSED_OVER, REPORT))
    result = next(_returned(dag_run, session, "return_value", task_id), None) if task_id else None
    lines = [f"[Report]({report})"] if report else []
    failed, _, reason = _reason(dag_run, session).partition(": ") if dag_run.state == "failed" and not is_by_person else ("", "", "")
    failure = f"`{failed}` failed: {markdown_text(reason)}" if failed else ""
    for words in filter(None, (failure, markdown_text(passed_over or ""))):
        if (room := MAX_NOTE_CHARACTERS - sum(len(line) + 1 for line in lines)) > 0:
            lines.append(words[:room])
    if result and result["num_set_aside"]:
        bad = [f"- {markdown_text(file['name'])}: {markdown_text(file['reason'])}" for file in result["first_set_aside"]]
        for line in (f"{count(result['num_set_aside'], 'file')} set aside; the log of `{task_id}` names each.", *bad):
            if len("\n".join([*lines, line])) > MAX_NOTE_CHARACTERS:
                break
            lines.append(line)
    if lines:
        dag_run.note = "\n".join(lines)
    else:
        dag_run.dag_run_note = None


def _ended(dag_run: "DagRun", session: "Session", task_id: str | None) -> "EndedRun":
    from airflow.models.dagrun import DagRun

    from dags._environment import run_url
    from tasks.settings import RunnerSettings, load
    from tasks.store.records.status import EndedRun

    is_scheduled = dag_run.run_type == "scheduled"
    before = DagRun.get_previous_scheduled_dagrun(dag_run.id, session=session) if is_scheduled else None
    return EndedRun(
        dag_id=dag_run.dag_id,
        run_url=run_url(dag_run.dag_id, dag_run.run_id),
        store=((dag_run.conf or {}).get("store") or load(RunnerSettings).store_uri).rstrip("/"),
        is_failed=dag_run.state == "failed",
        is_scheduled=is_scheduled,
        failed_before=before is not None and before.state == "failed",
        reason=_reason(dag_run, session),
        result=next(_returned(dag_run, session, "return_value", task_id), None) if task_id else None,
        waiting=_waiting(session) if is_scheduled else (),
    )


def _reason(dag_run: "DagRun", session: "Session") -> str:
    """Say why the task failed that failed first; empty if none did."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    from dags._step import FAILURE

    of_run = (TaskInstance.dag_id == dag_run.dag_id, TaskInstance.run_id == dag_run.run_id, TaskInstance.state == "failed")
    task_id = session.scalar(select(TaskInstance.task_id).where(*of_run).order_by(TaskInstance.end_date).limit(1))
    if task_id is None:
        return ""
    failure = next(_returned(dag_run, session, FAILURE, task_id), None)
    return f"{task_id}: {failure['reason'] if failure else 'its log says why'}"


def _waiting(session: "Session") -> "tuple[Waiting, ...]":
    """List the questions without an answer, of all DAGs."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    from dags._environment import run_url
    from tasks.store.records.status import Waiting

    asked = select(
        HITLDetail.subject, HITLDetail.created_at, HITLDetail.assignees,
        TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id, TaskInstance.map_index,
    ).join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)  # fmt: skip
    return tuple(
        Waiting(
            subject=subject,
            url=f"{run_url(dag_id, run_id)}/tasks/{quote(task_id)}/required_actions?map_index={map_index}",
            since=since.astimezone(UTC).isoformat(timespec="seconds"),
            is_assigned=bool(assignees),
        )
        for subject, since, assignees, dag_id, run_id, task_id, map_index in session.execute(
            asked.where(HITLDetail.responded_at.is_(None), TaskInstance.state == "awaiting_input")
        )
    )


class EndedRuns(AirflowPlugin):
    """The listener of this file."""

    name = "retake_ended_runs"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - as Airflow declares it
