"""Run a step as a container of a Docker Engine: the runner `docker`."""

import contextlib
import hashlib
import json
import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from airflow.providers.docker.hooks.docker import DockerHook
from airflow.providers.docker.operators.docker import DockerOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from docker.errors import APIError, ImageNotFound, NotFound, create_api_error_from_http_exception  # type: ignore[import-not-found]
from docker.utils import parse_bytes  # type: ignore[import-not-found]  # it publishes no types
from requests import HTTPError as BadAnswer
from requests import RequestException
from urllib3.exceptions import HTTPError

from dags._environment import CACHE_DIR, SCRATCH_DIR, SOURCE_DIR, VIDEOS_DIR, container_environment
from dags._step import StepOperator, raise_out_of_memory, raise_outcome, settings_of
from dags._stored import stored_result
from tasks.pipeline.step import ImageKind
from tasks.settings import DockerSettings, RunnerSettings

STOP_GRACE_SECONDS = 2
"""Airflow kills the process that runs `on_kill` after 5 s. This and the requests around it must fit."""

POLL_SECONDS = 2.0
RECONNECT_SECONDS = 3.0
RECONNECT_TRIES = 20
"""A restarted engine or proxy is back within a minute. After that, the next try of the task finds the container."""

NO_NVIDIA = (
    "the Docker Engine has no runtime `nvidia`: install NVIDIA's driver and the NVIDIA Container Toolkit on its machine, then run "
    "`nvidia-ctk runtime configure --runtime=docker` and restart the engine"
)

SILENCE_SECONDS = 60.0
"""Reconnect after this long without a line: a dead connection looks like silence."""

FRAME_HEADER = struct.Struct(">BxxxL")

USER = "10001:10001"
"""The user of the images, the only one that the engine's proxy allows."""

TMP_OPTIONS = "rw,nosuid,nodev,noexec,mode=1777,size=256m"
ALL_GPUS = [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}]


def container_name(network: str, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Name the container of a task in a run.

    All tries share the name, so that the engine refuses a second container. The network tells apart two stacks on one engine, whose scheduled runs
    have the same ids.
    """
    return f"retake-step-{_digest([network, dag_id, run_id, task_id, map_index])}"


def container_config(
    kind: ImageKind, command: list[str], environment: Mapping[str, str], labels: Mapping[str, str], settings: DockerSettings, *, gpus: bool
) -> dict[str, Any]:
    """Make the body of the request that creates the container of `command`.

    It runs as an unnamed user without capabilities on a read-only root. `/tmp` is small and in memory; `/scratch` is a volume that is
    removed with the container. The proxy before the engine, `docker/proxy/haproxy.cfg`, lets no other mounts through.
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

    def follow(self, *, has_ended: bool = False) -> None:
        """Emit new lines until the container or the connection ends.

        Args:
            has_ended: the container has, so that a last line without a line break is whole.

        Raises:
            docker.errors.APIError: the engine refuses.
            requests.RequestException, urllib3.exceptions.HTTPError: the connection broke.
        """
        seen = self._stamp
        stamp, text = "", b""
        for stamp, part in self._parts():
            text += part
            if text.endswith(b"\n"):
                self._take(text, stamp, seen)
                text = b""
        if text and has_ended:
            self._take(text, stamp, seen)

    def _take(self, text: bytes, stamp: str, seen: str) -> None:
        """Emit a line, unless an earlier call of `follow` did."""
        if stamp > seen:
            line = text.decode(errors="replace").rstrip()
            self._stamp, self.last_line = stamp, line.strip() or self.last_line
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
            except BadAnswer as error:
                create_api_error_from_http_exception(error)
            while len(header := response.raw.read(FRAME_HEADER.size)) == FRAME_HEADER.size:
                _, length = FRAME_HEADER.unpack(header)
                stamp, _, part = response.raw.read(length).partition(b" ")
                yield stamp.decode(), part


class DockerStepOperator(StepOperator, DockerOperator):  # type: ignore[misc]  # their results differ in type
    """Run one step in a container that is named after the task and its run.

    The name is a lock: a second try of the same task cannot start a second container. A retry adopts the container of a killed worker if
    it runs or has finished the same command, and removes it otherwise. Only the connection comes from the provider's operator, which
    would pull images and attach to the container, and has neither limits nor locks.
    """

    template_fields = StepOperator.template_fields
    template_ext = StepOperator.template_ext
    provider_arguments: ClassVar[dict[str, Any]] = {"image": "", "mount_tmp_dir": False}
    _name = ""

    def run_step(self, flags: list[str], context: Context) -> dict[str, Any]:
        """See `StepOperator`. The result is read from the store."""
        settings = settings_of(DockerSettings)
        self.docker_url = settings.host
        try:
            self.cli.ping()
        except AirflowException as error:
            raise AirflowException(f"the Docker Engine at {settings.host} does not answer: {error}") from None
        with self._answering():
            name = self._running_container(flags, context, settings)
            log = ContainerLog(self.cli, name, lambda line: self.log.info("%s", line))
            state = self._end_of(name, log)
            self._remove(self.cli, name)
        code = state["ExitCode"]
        if code and state["OOMKilled"]:
            raise_out_of_memory(self.step, f"RETAKE_DOCKER_{self.image_kind.upper()}_MEMORY")
        if code:
            raise_outcome(self.step, code, log.last_line or state["Error"])
        return stored_result(self.step, flags)

    def on_kill(self) -> None:
        """Stop the container over a new connection: this interrupts the one that reads its log."""
        if self._name:
            with contextlib.suppress(AirflowException, RequestException):
                client = DockerHook(docker_conn_id=None, base_url=self.docker_url, timeout=STOP_GRACE_SECONDS).api_client
                with contextlib.suppress(NotFound):
                    client.stop(self._name, timeout=STOP_GRACE_SECONDS)
                self._remove(client, self._name)

    def _running_container(self, flags: list[str], context: Context, settings: DockerSettings) -> str:
        """Adopt the container of an earlier try, or start one; return its name."""
        run, task = context["dag_run"], context["ti"]
        has_gpus = self._has_gpus()
        map_index = -1 if task.map_index is None else task.map_index
        # The container enforces the time limit even if Airflow is gone.
        limit = ["timeout", f"{self.execution_timeout.total_seconds():.0f}"] if self.execution_timeout else []
        config = container_config(
            self.image_kind,
            [*limit, "python", "-m", "tasks", self.step, *flags],
            container_environment(os.environ, context, trains_on_gpu=has_gpus),
            {
                "retake.dag": run.dag_id,
                "retake.run": run.run_id,
                "retake.task": self.task_id,
                "retake.map_index": str(map_index),
                "retake.try": str(task.try_number),
            },
            settings,
            gpus=self.gpu and has_gpus,
        )
        self._name = name = container_name(settings.network, run.dag_id, run.run_id, self.task_id, map_index)
        if self._adopts(name, config):
            return name
        try:
            self.cli.create_container_from_config(config, name)
        except ImageNotFound:
            raise AirflowFailException(
                f"the image {config['Image']} is not on the Docker Engine at {settings.host}, and Retake pulls none: "
                "`make build` makes it, and `make up` does so first"
            ) from None
        except APIError as error:
            if error.status_code != 409:
                raise
            self.log.warning("another try has just made the container %s; following it", name)
        try:
            self.cli.start(name)
        except APIError:
            self._remove(self.cli, name)
            raise
        self.log.info("started the container %s of %s", name, config["Image"])
        return name

    def _adopts(self, name: str, config: dict[str, Any]) -> bool:
        """Check whether to adopt the container of an earlier try; remove it if not."""
        try:
            container = self.cli.inspect_container(name)
        except NotFound:
            return False
        state = container["State"]
        same = container["Config"]["Labels"].get("retake.command") == config["Labels"]["retake.command"]
        if same and state["Running"]:
            self.log.info("the container %s of an earlier try still runs this step; following it from its start", name)
            return True
        if same and state["Status"] == "exited" and state["ExitCode"] == 0:
            self.log.info("the container %s of an earlier try has finished this step; taking its result", name)
            return True
        self.log.info("removing the container %s that an earlier try left behind, %s", name, state["Status"])
        if state["Running"]:
            self.cli.stop(name, timeout=STOP_GRACE_SECONDS)
        self.cli.remove_container(name, v=True, force=True)
        return False

    def _end_of(self, name: str, log: ContainerLog) -> dict[str, Any]:
        """Follow the log until the container ends, reconnecting as needed; return its final state."""
        failures = 0
        reason = ""
        while True:
            try:
                log.follow()
            except NotFound:
                raise
            except APIError as error:
                if reason != (reason := _reason(error)):
                    self.log.warning("no log of the container %s: %s", name, reason)
            except (RequestException, HTTPError):
                pass  # silence or a broken connection: the request below shows which
            try:
                with contextlib.suppress(RequestException):
                    self.cli.wait(name, timeout=POLL_SECONDS)
                state: dict[str, Any] = self.cli.inspect_container(name)["State"]
            except NotFound:
                raise
            except RequestException as error:
                failures += 1
                if failures == RECONNECT_TRIES:
                    raise
                self.log.warning("the Docker Engine at %s does not answer (%s); asking again", self.docker_url, _reason(error))
                time.sleep(RECONNECT_SECONDS)
                continue
            if not state["Running"]:
                with contextlib.suppress(RequestException, HTTPError):
                    log.follow(has_ended=True)  # lines written after the last read
                return state
            failures = 0

    def _has_gpus(self) -> bool:
        """Check whether containers that train or test get GPUs."""
        wanted = settings_of(RunnerSettings).gpu
        if wanted == "off":
            return False
        if "nvidia" in self.cli.info()["Runtimes"]:
            return True
        if not self.gpu:
            return wanted == "required"
        if wanted == "required":
            raise AirflowFailException(f"RETAKE_GPU is `required`, but {NO_NVIDIA}")
        self.log.warning("%s runs on the CPU, for %s; RETAKE_GPU=off silences this", self.step, NO_NVIDIA)
        return False

    def _remove(self, client: Any, name: str) -> None:  # noqa: ANN401 - docker publishes no types
        """Remove the container and its scratch volume; on failure, leave them to the next try."""
        try:
            client.remove_container(name, v=True, force=True)
        except NotFound:
            pass
        except RequestException as error:
            self.log.warning("the container %s is left behind: %s", name, _reason(error))

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn errors of the engine into Airflow's, with a message of one line."""
        try:
            yield
        except APIError as error:
            kind = AirflowFailException if error.status_code in (400, 403) else AirflowException
            raise kind(f"the Docker Engine at {self.docker_url} refuses: {_reason(error)}") from None
        except RequestException as error:
            raise AirflowException(f"the Docker Engine at {self.docker_url} does not answer: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "explanation", None) or error).replace("\n", " ")[:300]
