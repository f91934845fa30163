"""The tasks that compute optical flow before networks look at it."""

from datetime import timedelta

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from dags._params import Form
from dags._runner import StepOperator


def flow_tasks(form: Form, inputs: dict[str, str], out: str, trigger_rule: str = "all_success") -> tuple[BaseOperator, MappedOperator]:
    """`flows`, which lists the clips without flow, and `flow`, mapped over batches of them. Where none is needed both are skipped.

    Args:
        form: the DAG's options.
        inputs: what `flows` is told of the networks.
        out: address that `flows` writes to, with a slash at the end.
        trigger_rule: Airflow's, for `flows`.
    """
    flows = StepOperator(
        task_id="flows",
        step="flows",
        form=form,
        inputs=inputs,
        out=out,
        returns="batches",
        execution_timeout=timedelta(minutes=30),
        trigger_rule=trigger_rule,
    )
    flow = StepOperator.partial(
        task_id="flow",
        step="flow",
        form=form,
        inputs={"batch": "{{ task.mapped.uri }}"},
        out="{{ task.mapped.out }}",
        map_index_template="{{ task.mapped.name }}",
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=12),
    ).expand(mapped=flows.output)
    return flows, flow
