"""Let later tasks wait for the end of a task without which they can go on."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import BaseOperator


def ended(task: BaseOperator, task_id: str) -> BaseOperator:
    """Add a task that succeeds as soon as `task` has succeeded, failed or been skipped.

    A trigger rule holds for all tasks before a task alike, so this one stands between. It runs nothing.
    """
    end = EmptyOperator(task_id=task_id, trigger_rule="all_done")
    task >> end
    return end
