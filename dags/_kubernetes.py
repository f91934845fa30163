"""Run a step as a pod: the runner `kubernetes`."""

import json
import os
from collections.abc import Mapping
from typing import Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from kubernetes.client import ApiException  # type: ignore[import-untyped]  # it publishes no types
from kubernetes.client import models as k8s
from urllib3.exceptions import HTTPError

from dags._environment import CACHE_DIR, PROXY_NAMES, SCRATCH_DIR, SECRET_NAMES, container_environment
from dags._step import Returned, StepOperator, command_flags, raise_out_of_memory, raise_outcome, settings_of
from dags._stored import stored_result
from tasks.errors import NothingToDo
from tasks.pipeline.step import ImageKind
from tasks.settings import KubernetesSettings, RunnerSettings

LOG_SECONDS = 30
TMP_SIZE = "256Mi"


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
    reasons = [f"{state.reason}: {state.message}" for state in (status, *waiting, *unscheduled) if state.reason]
    return "; ".join(reasons) or f"its phase is {status.phase}"


def pod_fields(
    kind: ImageKind, command: list[str], environment: Mapping[str, str], settings: KubernetesSettings, *, gpus: bool
) -> dict[str, Any]:
    """Make the operator's attributes for a pod that runs `command`.

    It runs as an unnamed user without capabilities on a read-only root, without a token of the cluster.
    """
    image, requests, limits = {
        "worker": (settings.worker_image, settings.worker_requests, settings.worker_limits),
        "trainer": (settings.trainer_image, settings.trainer_requests, settings.trainer_limits),
    }[kind]
    devices = {settings.gpu_resource: str(settings.gpu_count)} if gpus else {}
    tolerations = settings.tolerations + (settings.gpu_tolerations if gpus else [])
    config = [k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name=name)) for name in [settings.config_map] if name is not None]
    volumes = _volumes(settings)
    return {
        "namespace": settings.namespace,
        "image": image,
        "cmds": [_verbatim(word) for word in command],
        "env_vars": [k8s.V1EnvVar(name=name, value=_verbatim(value)) for name, value in sorted(environment.items())],
        "env_from": [*config, k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=settings.secret_name))],
        "container_resources": k8s.V1ResourceRequirements(requests=requests, limits={**limits, **devices}),
        "volumes": [volume for volume, _ in volumes],
        "volume_mounts": [k8s.V1VolumeMount(name=volume.name, mount_path=path) for volume, path in volumes],
        "security_context": k8s.V1PodSecurityContext(
            run_as_non_root=True,
            run_as_user=settings.user,
            run_as_group=settings.user,
            fs_group=settings.user,
            fs_group_change_policy="OnRootMismatch",
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        "container_security_context": k8s.V1SecurityContext(
            run_as_non_root=True,
            run_as_user=settings.user,
            allow_privilege_escalation=False,
            read_only_root_filesystem=True,
            capabilities=k8s.V1Capabilities(drop=["ALL"]),
            seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
        ),
        "service_account_name": settings.service_account,
        "node_selector": settings.node_selector | (settings.gpu_node_selector if gpus else {}),
        "tolerations": [k8s.V1Toleration(**toleration.model_dump()) for toleration in tolerations],
        "startup_timeout_seconds": settings.start_seconds,
        "schedule_timeout_seconds": settings.start_seconds,
        "poll_interval": settings.poll_seconds,
    }


def _volumes(settings: KubernetesSettings) -> list[tuple[k8s.V1Volume, str]]:
    """List the volumes with their mount paths."""
    own = {
        "tmp": ("/tmp", {"size_limit": TMP_SIZE}),  # noqa: S108 - the pod's own
        "scratch": (SCRATCH_DIR, {"size_limit": settings.scratch_size}),
        "shm": ("/dev/shm", {"size_limit": settings.shm_size, "medium": "Memory"}),  # noqa: S108 - the pod's own
        "cache": (CACHE_DIR, {"size_limit": settings.cache_size}),
    }
    if settings.cache_claim is None:
        claimed = []
    else:
        path, _ = own.pop("cache")
        claim = k8s.V1PersistentVolumeClaimVolumeSource(claim_name=settings.cache_claim)
        claimed = [(k8s.V1Volume(name="cache", persistent_volume_claim=claim), path)]
    empty = [(k8s.V1Volume(name=name, empty_dir=k8s.V1EmptyDirVolumeSource(**limits)), path) for name, (path, limits) in own.items()]
    return empty + claimed


def _verbatim(text: str) -> str:
    """Escape `$(NAME)`, which Kubernetes would replace by variables, secrets included."""
    return text.replace("$", "$$")
