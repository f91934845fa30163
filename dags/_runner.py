"""Picks what runs a step: `python -m tasks` with the same argument list as a process, a container or a pod, as `RETAKE_RUNNER` says."""

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
"""By name, so that the provider of the runner that is chosen is imported and no other."""

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "retake",
    "retries": 5,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
}
"""A store or an MLflow that is restarted is back within the minutes that these retries span."""


def operator_of(runner: str) -> "type[_step.StepOperator]":
    """The operator class of the runner of this name."""
    module, name = RUNNERS[runner]
    operator: type[_step.StepOperator] = getattr(import_module(module), name)
    return operator


StepOperator = operator_of(load(RunnerSettings).runner)
