"""Choose the runner of steps by `RETAKE_RUNNER`: process, container or pod.

All take the same arguments.
"""

from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any

from tasks.settings import RunnerSettings, load

if TYPE_CHECKING:
    from dags import _step

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


def operator_of(runner: str) -> "type[_step.StepOperator]":
    """Import the operator class of a runner."""
    module, name = RUNNERS[runner]
    operator: type[_step.StepOperator] = getattr(import_module(module), name)
    return operator


StepOperator = operator_of(load(RunnerSettings).runner)
