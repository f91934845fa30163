"""Tell people of ended runs, from the scheduler, which knows of them first. The command `notify` decides whether there is anything to tell."""

import sys
from datetime import UTC
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

    from tasks.store.records.notices import EndedRun, Waiting


@hookimpl
def on_dag_run_success(dag_run: "DagRun", msg: str) -> None:
    """Hand over a run whose result, or whose end, may be news; one that a person ended is none."""
    from sqlalchemy.orm import object_session

    from dags._ended import SUMMARIES
    from dags._notify import is_wanted, notify_later

    session = object_session(dag_run)
    task_id = (SUMMARIES | {"retrain": "publish.decide"}).get(dag_run.dag_id)
    if "manually" not in msg and session and is_wanted() and (task_id or dag_run.state == "failed"):
        notify_later(_ended(dag_run, session, task_id))


on_dag_run_failed = on_dag_run_success


def _ended(dag_run: "DagRun", session: "Session", task_id: str | None) -> "EndedRun":
    from airflow.models.dagrun import DagRun

    from dags._ended import returned
    from dags._environment import run_url
    from tasks.settings import RunnerSettings, load
    from tasks.store.records.notices import EndedRun

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
        result=next(returned(dag_run, session, "return_value", task_id), None) if task_id else None,
        waiting=_waiting(session) if is_scheduled else (),
    )


def _reason(dag_run: "DagRun", session: "Session") -> str:
    """Say why the task failed that failed first; empty if none did."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    from dags._ended import returned
    from dags._step import FAILURE

    of_run = (TaskInstance.dag_id == dag_run.dag_id, TaskInstance.run_id == dag_run.run_id, TaskInstance.state == "failed")
    task_id = session.scalar(select(TaskInstance.task_id).where(*of_run).order_by(TaskInstance.end_date).limit(1))
    if task_id is None:
        return ""
    failure = next(returned(dag_run, session, FAILURE, task_id), None)
    return f"{task_id}: {failure['reason'] if failure else 'its log says why'}"


def _waiting(session: "Session") -> "tuple[Waiting, ...]":
    """List the questions without an answer, of all DAGs."""
    from airflow.models.hitl import HITLDetail
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    from dags._environment import run_url
    from tasks.store.records.notices import Waiting

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


class Notify(AirflowPlugin):
    """The listener of this file."""

    name = "retake_notify"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - as Airflow declares it
