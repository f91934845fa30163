"""Add the tasks that make what networks need besides frames: optical flow and sound."""

from datetime import timedelta

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from dags._form import Form
from dags._tasks import mapped_step_task, step_task
from tasks.pipeline.retrain import contract as retrain


def flow_tasks(form: Form, *, trigger_rule: str = "all_success", **networks: str) -> tuple[BaseOperator, MappedOperator]:
    """Make `flows`, which lists clips without flow, and `flow`, mapped over batches of them.

    Both are skipped if no flow is missing.

    Args:
        form: the DAG's options.
        trigger_rule: Airflow's, for `flows`.
        networks: arguments of `flows` that name the networks.
    """
    flows = step_task(
        retrain.FLOWS,
        form,
        returns="batches",
        execution_timeout=timedelta(minutes=30),
        trigger_rule=trigger_rule,
        **networks,
    )
    flow = mapped_step_task(
        retrain.FLOW,
        form,
        over=flows.output,
        batch="{{ task.mapped.uri }}",
        map_index_template="{{ task.mapped.name }}",
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=12),
    )
    return flows, flow


def sound_task(form: Form, *, trigger_rule: str = "all_success", **networks: str) -> BaseOperator:
    """Make `sound`, which describes the sound of clips; skipped if no network hears.

    Unlike optical flow, which takes minutes for a clip, sound takes seconds: one task does it.
    """
    return step_task(retrain.SOUND, form, execution_timeout=timedelta(hours=12), trigger_rule=trigger_rule, **networks)
