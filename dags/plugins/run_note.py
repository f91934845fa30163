"""Note on a run its report, its set-aside files, and the asset events it did not take.

Airflow shows the note in its grid and in the list of runs.

A task cannot note anything on its own run without the credential of a person. The scheduler, which ends the run, can.
"""

import sys
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

REPORT = "_link_ReportLink"
"""Key of the XCom in which Airflow keeps the address of the button *Report*."""

MAX_NOTE_CHARACTERS = 1000
"""As many as the column of Airflow's database holds."""


@hookimpl
def on_dag_run_success(dag_run: "DagRun") -> None:
    """Note on an ended run its report, which files were set aside, and which events passed over.

    A person's note stays.
    """
    # Every process of Airflow loads plugins, and only one of the scheduler needs these.
    from sqlalchemy.orm import object_session

    from dags._assets import PASSED_OVER
    from dags._ended import SUMMARIES, returned
    from tasks.wording import count, markdown_text

    task_id, session = SUMMARIES.get(dag_run.dag_id), object_session(dag_run)
    if session is None or (dag_run.dag_run_note and dag_run.dag_run_note.user_id):
        return

    passed_over, report = (next(returned(dag_run, session, key), None) for key in (PASSED_OVER, REPORT))
    result = next(returned(dag_run, session, "return_value", task_id), None) if task_id else None
    lines = [f"[Report]({report})"] if report else []
    if passed_over:
        lines.append(markdown_text(passed_over)[: MAX_NOTE_CHARACTERS - sum(len(line) + 1 for line in lines)])
    if result and result["num_set_aside"]:
        bad = [f"- {markdown_text(file['name'])}: {markdown_text(file['reason'])}" for file in result["first_set_aside"]]
        for line in (f"{count(result['num_set_aside'], 'file')} set aside; the log of `{task_id}` names each.", *bad):
            if len("\n".join([*lines, line])) > MAX_NOTE_CHARACTERS:
                break
            lines.append(line)
    if lines:
        dag_run.note = "\n".join(lines)
    elif task_id:
        dag_run.dag_run_note = None


on_dag_run_failed = on_dag_run_success


class RunNote(AirflowPlugin):
    """The listener of this file."""

    name = "retake_run_note"
    listeners = [sys.modules[__name__]]  # noqa: RUF012 - as Airflow declares it
