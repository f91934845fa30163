"""Make the tasks of steps from their contracts: id, command, options, image and GPU."""

from typing import Any

from airflow.sdk import BaseOperator, XComArg
from airflow.sdk.definitions.mappedoperator import MappedOperator

from dags._form import Form
from dags._runner import StepOperator
from tasks.pipeline.step import Step


def step_task(step: Step[Any, Any], form: Form, **given: Any) -> BaseOperator:  # noqa: ANN401 - see below
    """Make the task of a step.

    Args:
        step: its contract.
        form: the DAG's options.
        given: templates for arguments of the step, by their names; everything else is an argument of the operator.
    """
    return StepOperator(**_arguments(step, form, given))


def mapped_step_task(step: Step[Any, Any], form: Form, *, over: XComArg, **given: Any) -> MappedOperator:  # noqa: ANN401 - see above
    """Map the task of a step over the list `over`; templates reach elements as `task.mapped`."""
    return StepOperator.partial(**_arguments(step, form, given)).expand(mapped=over)


def _arguments(step: Step[Any, Any], form: Form, given: dict[str, Any]) -> dict[str, Any]:
    inputs = {name: value for name, value in given.items() if name in step.own}
    made = {
        "task_id": step.task_id,
        "step": step.name,
        "form": form,
        "options": step.options,
        "inputs": inputs,
        "image": step.image,
        "gpu": step.gpu,
        "pool": "gpu" if step.gpu else None,
    }
    return {name: value for name, value in made.items() if value} | {name: value for name, value in given.items() if name not in inputs}
