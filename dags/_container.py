"""Configure a step's container for the Docker Engine's API, and follow its log."""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from docker.errors import create_api_error_from_http_exception  # type: ignore[import-not-found]  # it publishes no types
from docker.utils import parse_bytes  # type: ignore[import-not-found]  # it publishes no types
from requests import HTTPError

from dags._environment import CACHE_DIR, SCRATCH_DIR, SOURCE_DIR, VIDEOS_DIR
from tasks.pipeline.step import ImageKind
from tasks.settings import DockerSettings

SILENCE_SECONDS = 60.0
"""Reconnect after this long without a line: a dead connection looks like silence."""

FRAME_HEADER = struct.Struct(">BxxxL")

USER = "10001:10001"
"""The user of the images, the only one that the engine's proxy allows."""

TMP_OPTIONS = "rw,nosuid,nodev,noexec,mode=1777,size=256m"
ALL_GPUS = [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]


def container_name(network: str, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Name the container of a task in a run. All tries share the name, so the engine refuses a second container.

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


class ContainerLog:
    """Pass the lines that a container writes to stderr to `emit`."""

    def __init__(self, client: Any, name: str, emit: Callable[[str], None]) -> None:  # noqa: ANN401 - docker publishes no types
        self._client = client
        self._name = name
        self._emit = emit
        self._stamp = ""
        self.last_line = ""

    def follow(self) -> None:
        """Emit new lines until the container or the connection ends.

        Raises:
            docker.errors.APIError: the engine refuses.
            requests.RequestException, urllib3.exceptions.HTTPError: the connection broke.
        """
        seen = self._stamp
        text = b""
        for stamp, part in self._parts():
            text += part
            if text.endswith(b"\n"):
                if stamp > seen:
                    self._hand_on(stamp, text)
                text = b""

    def _hand_on(self, stamp: str, text: bytes) -> None:
        line = text.decode(errors="replace").rstrip()
        self._stamp = stamp
        self.last_line = line.strip() or self.last_line
        self._emit(line)

    def _parts(self) -> Iterator[tuple[str, bytes]]:
        """Yield lines, or parts of long lines, with the engine's timestamps."""
        url = f"{self._client.base_url}/v{self._client.api_version}/containers/{self._name}/logs"
        # `since` has whole seconds: the timestamp tells which lines of that second were emitted before.
        since = int(datetime.fromisoformat(f"{self._stamp[:19]}+00:00").timestamp()) if self._stamp else 0
        wanted = {"follow": 1, "stderr": 1, "stdout": 0, "timestamps": 1, "since": since}
        with self._client.get(url, params=wanted, stream=True, timeout=SILENCE_SECONDS) as response:
            try:
                response.raise_for_status()
            except HTTPError as error:
                create_api_error_from_http_exception(error)
            while len(header := response.raw.read(FRAME_HEADER.size)) == FRAME_HEADER.size:
                _, length = FRAME_HEADER.unpack(header)
                stamp, _, part = response.raw.read(length).partition(b" ")
                yield stamp.decode(), part
