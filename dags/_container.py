"""Configure a step's container for the Docker Engine's API: command, limits, mounts and permissions."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from docker.utils import parse_bytes  # type: ignore[import-not-found]  # it publishes no types

from dags._environment import CACHE_DIR, SCRATCH_DIR, SOURCE_DIR, VIDEOS_DIR
from tasks.pipeline.step import ImageKind
from tasks.settings import DockerSettings

USER = "10001:10001"
"""The user of the images, the only one that the engine's proxy allows."""

TMP_OPTIONS = "rw,nosuid,nodev,noexec,mode=1777,size=256m"
ALL_GPUS = [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]


def container_name(network: str, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Name the container of a task in a run. All tries share the name, so the engine refuses a second one.

    The network is part of it: scheduled runs of two stacks on one engine have the same run id.
    """
    return f"retake-step-{_digest([network, dag_id, run_id, task_id, map_index])}"


def container_config(
    kind: ImageKind,
    command: list[str],
    environment: Mapping[str, str],
    labels: Mapping[str, str],
    settings: DockerSettings,
    *,
    gpus: bool,
) -> dict[str, Any]:
    """Make the body of the request that creates the container of `command`.

    It runs as an unnamed user without capabilities on a read-only root. `/tmp` is small and in memory; `/scratch` is a volume that is
    removed with the container.
    """
    image, memory, cpus = {
        "worker": (settings.worker_image, settings.worker_memory, settings.worker_cpus),
        "trainer": (settings.trainer_image, settings.trainer_memory, settings.trainer_cpus),
    }[kind]
    mounts: list[dict[str, Any]] = [
        {"Type": "volume", "Target": SCRATCH_DIR},
        {"Type": "volume", "Target": CACHE_DIR, "Source": settings.cache_volume},
    ]
    # NoCopy: these are folders of the host, and the engine would change their owner.
    for volume, target in ((settings.videos_volume, VIDEOS_DIR), (settings.source_volume, SOURCE_DIR)):
        if volume:
            mounts.append({"Type": "volume", "Target": target, "Source": volume, "ReadOnly": True, "VolumeOptions": {"NoCopy": True}})
    return {
        "Image": image,
        "Cmd": command,
        "Env": [f"{name}={value}" for name, value in sorted(environment.items())],
        "User": USER,
        "Labels": {**labels, "retake.command": _digest([image, *command])},
        "HostConfig": {
            "NetworkMode": settings.network,
            "Init": True,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "PidsLimit": settings.pids_limit,
            "Memory": parse_bytes(memory),
            "MemorySwap": parse_bytes(memory),
            "NanoCpus": round(cpus * 1e9),
            "ShmSize": parse_bytes(settings.shm_size),
            "Tmpfs": {"/tmp": TMP_OPTIONS},  # noqa: S108 - the container's own
            "Mounts": mounts,
            **({"DeviceRequests": ALL_GPUS} if gpus else {}),
        },
    }


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
