"""Configure a step's pod, as arguments of the provider's operator: limits, volumes and permissions."""

from collections.abc import Mapping
from typing import Any

from kubernetes.client import models as k8s  # type: ignore[import-untyped]  # it publishes no types

from dags._environment import CACHE_DIR, SCRATCH_DIR
from tasks.pipeline.step import ImageKind
from tasks.settings import KubernetesSettings

TMP_SIZE = "256Mi"


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
    volumes = _volumes(settings)
    return {
        "namespace": settings.namespace,
        "image": image,
        "cmds": [_verbatim(word) for word in command],
        "env_vars": [k8s.V1EnvVar(name=name, value=_verbatim(value)) for name, value in sorted(environment.items())],
        "env_from": _sources(settings),
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


def _sources(settings: KubernetesSettings) -> list[k8s.V1EnvFromSource]:
    secret = k8s.V1EnvFromSource(secret_ref=k8s.V1SecretEnvSource(name=settings.secret_name))
    if settings.config_map is None:
        return [secret]
    return [k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name=settings.config_map)), secret]


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
