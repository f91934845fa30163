"""Make the tasks of steps, and name the assets of the DAGs.

Tasks are made from the steps' contracts, and run as `RETAKE_RUNNER` says: a process, a container or a pod.
"""

from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator

from dags._form import Form
from tasks.pipeline.retrain import contract as retrain
from tasks.pipeline.step import Step
from tasks.settings import RunnerSettings, load

if TYPE_CHECKING:
    from dags import _step

CLIPS, DATASET, MODEL = (Asset(name=f"retake_{made}") for made in ("clips", "dataset", "model"))
"""Assets that one DAG updates and the next one waits for. Events carry the store and the options of the runs that follow, see `_form.Handover`."""

RUNNERS: Mapping[str, tuple[str, str]] = {
    "local": ("dags._local", "LocalStepOperator"),
    "docker": ("dags._docker", "DockerStepOperator"),
    "kubernetes": ("dags._kubernetes", "KubernetesStepOperator"),
}
"""By name, so that only the provider of the chosen runner is imported."""

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "retake",
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
}
"""These retries span the minutes that a restart of the store or MLflow takes."""


def dag_arguments(file: str, doc: str | None, form: Form, tag: str) -> dict[str, Any]:
    """Make the arguments of every DAG, named like its `file` and documented by `doc`."""
    return {
        "dag_id": Path(file).stem,
        "doc_md": doc,
        "max_active_runs": 1,
        "params": form.params(),
        "default_args": TASK_DEFAULTS,
        "tags": ["retake", tag],
    }


def operator_of(runner: str) -> "type[_step.StepOperator]":
    """Import the operator class of a runner."""
    module, name = RUNNERS[runner]
    operator: type[_step.StepOperator] = getattr(import_module(module), name)
    return operator


StepOperator = operator_of(load(RunnerSettings).runner)


def step_task(step: Step[Any, Any], form: Form, *, hours: float, **given: Any) -> BaseOperator:  # noqa: ANN401 - see below
    """Make the task of a step.

    Args:
        step: its contract.
        form: the DAG's options.
        hours: its time limit.
        given: templates for arguments of the step, by their names; everything else is an argument of the operator.
    """
    return StepOperator(**_arguments(step, form, hours, given))


def mapped_step_task(
    step: Step[Any, Any],
    form: Form,
    *,
    over: BaseOperator,
    hours: float,
    **given: Any,  # noqa: ANN401 - see above
) -> MappedOperator:
    """Map a step over the batches of the task `over`; templates reach one as `task.mapped`."""
    of_batch = {"batch": "{{ task.mapped.uri }}", "map_index_template": "{{ task.mapped.name | truncate(100) }}"}
    return StepOperator.partial(**_arguments(step, form, hours, of_batch | given)).expand(mapped=over.output)


def _arguments(step: Step[Any, Any], form: Form, hours: float, given: dict[str, Any]) -> dict[str, Any]:
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
        "execution_timeout": timedelta(hours=hours),
    }
    return {name: value for name, value in made.items() if value} | {name: value for name, value in given.items() if name not in inputs}


def flow_tasks(form: Form, **given: Any) -> tuple[BaseOperator, MappedOperator]:  # noqa: ANN401 - see above
    """Make `flows`, which lists clips without flow, and `flow`, mapped over batches of them.

    Both are skipped if no flow is missing. `given` are other arguments of `flows`; `plan`, `configured` or `prediction` names the networks.
    """
    flows = step_task(retrain.FLOWS, form, returns="batches", hours=0.5, **given)
    return flows, mapped_step_task(retrain.FLOW, form, over=flows, max_active_tis_per_dagrun=2, hours=12)


def sound_task(form: Form, **given: Any) -> BaseOperator:  # noqa: ANN401 - see above
    """Make `sound`, one task, since a clip takes seconds; skipped if no network hears."""
    return step_task(retrain.SOUND, form, hours=12, **given)
