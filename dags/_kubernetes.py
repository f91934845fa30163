"""Run a step as a pod: the runner `kubernetes`."""

import json
import os
from typing import Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import ApiException  # type: ignore[import-untyped]  # it publishes no types
from kubernetes.client import models as k8s
from urllib3.exceptions import HTTPError

from dags._environment import PROXY_NAMES, SECRET_NAMES, container_environment
from dags._pod import pod_fields
from dags._step import Returned, StepOperator, command_flags, raise_out_of_memory, raise_outcome, settings_of
from dags._stored import stored_result
from tasks.errors import NothingToDo
from tasks.settings import KubernetesSettings, RunnerSettings

LOG_SECONDS = 30


class KubernetesStepOperator(StepOperator, KubernetesPodOperator):
    """Run one step in a pod, without occupying a worker while the pod runs.

    If a worker was killed, the provider finds the pod again; it removes the pod at the end. Tests check the pod against the client's
    models and its end against a fake API. Only a cluster can show that it admits and schedules the pod, has its volumes, its Secret and
    its GPUs, and lets Airflow's account create, read, patch and delete pods, read their logs and list events.
    """

    template_fields = StepOperator.template_fields
    provider_arguments: ClassVar[dict[str, Any]] = {
        "kubernetes_conn_id": None,
        "deferrable": True,
        "durable": True,
        "get_logs": True,
        "logging_interval": LOG_SECONDS,
        "automount_service_account_token": False,
        "on_finish_action": "delete_pod",
        "skip_on_exit_code": NothingToDo.exit_code,
        "termination_message_policy": "FallbackToLogsOnError",
        "log_events_on_failure": True,
        "log_pod_spec_on_failure": False,
        "labels": {"app.kubernetes.io/name": "retake", "app.kubernetes.io/component": "step"},
    }

    def run_step(self, flags: list[str], context: Context) -> dict[str, Any]:
        """See `StepOperator`. Raises TaskDeferred, unless the pod of an earlier try has ended."""
        self.prepare(flags, context)
        try:
            self.execute_async(context)
        except ApiException as error:
            kind = AirflowFailException if error.status in (400, 403, 404, 422) else AirflowException
            raise kind(f"the cluster refuses the pod of {self.step}: {_said(error)}") from None
        except HTTPError as error:
            raise AirflowException(f"the cluster does not answer: {error}") from None
        return self._result(flags)

    def prepare(self, flags: list[str], context: Context) -> None:
        """Set this operator's fields to the pod that runs the step."""
        settings = settings_of(KubernetesSettings)
        hidden = SECRET_NAMES | PROXY_NAMES
        has_gpus = settings_of(RunnerSettings).gpu != "off"
        passed = container_environment(os.environ, context, trains_on_gpu=has_gpus)
        environment = {name: value for name, value in passed.items() if name.upper() not in hidden}
        command = ["python", "-m", "tasks", self.step, *flags]
        for name, value in pod_fields(self.image_kind, command, environment, settings, gpus=self.gpu and has_gpus).items():
            setattr(self, name, value)
        self.name = f"retake-{self.step}"

    def trigger_reentry(self, context: Context, event: dict[str, Any]) -> Returned:
        """Return the result after the pod has ended; raises as `execute` does."""
        super().trigger_reentry(context, event)
        values = self.values(context)
        return self.conclude(self._result(command_flags(self, values)), values, context)

    def cleanup(
        self, pod: k8s.V1Pod, remote_pod: k8s.V1Pod, xcom_result: dict[str, Any] | None = None, context: Context | None = None
    ) -> None:
        """Remove the pod, and raise the error that its end means to Airflow."""
        try:
            super().cleanup(pod, remote_pod, xcom_result, context)
        except AirflowException:
            ended = _ended(remote_pod, self.base_container_name)
            if ended is None:
                raise AirflowException(f"the pod of {self.step} has not run to its end: {_hindrance(remote_pod)}") from None
            if ended.reason == "OOMKilled":
                raise_out_of_memory(self.step, f"RETAKE_KUBERNETES_{self.image_kind.upper()}_LIMITS")
            lines = (ended.message or "").strip().splitlines()
            raise_outcome(self.step, ended.exit_code, lines[-1].strip() if lines else "")

    def _result(self, flags: list[str]) -> dict[str, Any]:
        # Set late: the provider would add a sidecar, and Airflow pushes the result only if it is set.
        self.do_xcom_push = True
        return stored_result(self.step, flags)


def _said(error: ApiException) -> str:
    """Extract the cluster's message."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return f"{error.status} {error.reason}"


def _ended(pod: k8s.V1Pod, container: str) -> k8s.V1ContainerStateTerminated | None:
    statuses = (pod.status and pod.status.container_statuses) or []
    return next((status.state.terminated for status in statuses if status.name == container and status.state), None)


def _hindrance(pod: k8s.V1Pod) -> str:
    """Collect the cluster's reasons why a pod is not running."""
    status = pod.status
    waiting = [container.state.waiting for container in status.container_statuses or [] if container.state and container.state.waiting]
    unscheduled = [condition for condition in status.conditions or [] if condition.type == "PodScheduled" and condition.status != "True"]
    said = [f"{one.reason}: {one.message}" for one in (status, *waiting, *unscheduled) if one.reason]
    return "; ".join(said) or f"its phase is {status.phase}"
