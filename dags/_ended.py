"""Read the results of an ended run from Airflow's tables, as only its scheduler may."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

SUMMARIES = {"ingest_videos": "summarise", "predict_videos": "report"}
"""The task of each DAG whose result lists the files that were set aside."""


def returned(dag_run: "DagRun", session: "Session", key: str, task_id: str | None = None) -> Iterator[Any]:
    """Yield the XComs of a run that are not empty."""
    # Every process of Airflow loads plugins, and only one of the scheduler needs this.
    from airflow.models.xcom import XComModel

    listed = XComModel.get_many(run_id=dag_run.run_id, key=key, task_ids=task_id, dag_ids=dag_run.dag_id)
    return filter(None, map(XComModel.deserialize_value, session.scalars(listed)))
