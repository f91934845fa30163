"""Run programs on untrusted files as limited child processes, and divide the memory among them.

A child has a minimal environment, limited memory and time, and is killed with this process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Event, Lock, Semaphore, Timer
from typing import IO, TypeVar

from tasks.data.video import limited_exec
from tasks.errors import OutOfMemory, Unavailable

T = TypeVar("T")

MAX_BYTES = 8 << 30
"""Maximum per child, on any machine."""

STEP_BYTES = 512 << 20
"""Part of a container's memory that is reserved for the step itself."""

MAX_FILE_BYTES = 1 << 32
"""Maximum of a file that a child writes, unless its caller allows another."""

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")

KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH")
"""Environment variables that each child gets. It sees the store's keys only if its caller passes them, as to the reader of label files."""


@dataclass(frozen=True)
class Memory:
    """A child's memory limit; scarce if the child may need more, and gets it alone."""

    size_bytes: int
    is_scarce: bool

    def enough_at(self, enough_bytes: int) -> "Memory":
        """Return the same limit, not scarce if it is at least `enough_bytes`."""
        return Memory(self.size_bytes, self.is_scarce and self.size_bytes < enough_bytes)


class MemoryShares:
    """Equal shares of memory for `num_at_once` videos."""

    def __init__(self, num_at_once: int, all_bytes: int) -> None:
        self._num_at_once = num_at_once
        self.all_bytes = all_bytes
        self._slots = Semaphore(num_at_once)
        self._alone = Lock()

    def run(self, work: Callable[[Memory], T]) -> T:
        """Call `work` with a share of memory; retry it alone with all memory if needed.

        Raises:
            OutOfMemory: all memory is not enough either.
        """
        if self._num_at_once > 1:
            try:
                with self._slots:
                    return work(Memory(self.all_bytes // self._num_at_once, is_scarce=True))
            except OutOfMemory:
                pass
        with self._alone, ExitStack() as slots:
            for _ in range(self._num_at_once):
                slots.enter_context(self._slots)
            return work(Memory(self.all_bytes, is_scarce=False))


def undivided() -> Memory:
    """Return the whole memory, for a child that runs alone."""
    return Memory(usable_bytes(), is_scarce=False)


def usable_bytes() -> int:
    """Return the memory for all children, at most `MAX_BYTES`.

    It is a container's limit minus the step's share, but at least half of the limit; without a limit, half of the machine's memory.
    """
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit_bytes = min(_cgroup_limits(), default=machine_bytes)
    if limit_bytes >= machine_bytes:
        return min(MAX_BYTES, machine_bytes // 2)
    return min(MAX_BYTES, max(limit_bytes // 2, limit_bytes - STEP_BYTES))


def _cgroup_limits() -> list[int]:
    """List the memory limits of this process's cgroup, of v1 or v2, and its parents."""
    limits_bytes = []
    for line in OWN_CGROUPS.read_text().splitlines() if OWN_CGROUPS.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Inside a container its cgroup is mounted as the root, whatever path is listed.
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            try:
                limit = (root / folder.relative_to("/") / name).read_text().strip()
            except OSError:
                continue
            if limit != "max":
                limits_bytes.append(int(limit))
    return limits_bytes


def child_environment() -> dict[str, str]:
    """Select the environment variables that each child gets."""
    return {key: os.environ[key] for key in KEPT_VARIABLES if key in os.environ}


def run_child(
    command: Sequence[str],
    *,
    folder: Path,
    memory_bytes: int,
    time_limit_seconds: float,
    read: Callable[[IO[str]], T],
    variables: Mapping[str, str],
    max_file_bytes: int = MAX_FILE_BYTES,
) -> tuple[int | None, T]:
    """Run a program in `folder`, `read` its stdout and stderr, and wait for it.

    Returns:
        Its exit status, negative for a signal and None if it exceeded the time limit; and the result of `read`.

    Raises:
        Unavailable: it cannot be started.
    """
    expired = Event()
    limited = [sys.executable, "-I", "-S", limited_exec.__file__, str(os.getpid()), str(memory_bytes), str(max_file_bytes), *command]
    with _start(limited, folder, variables) as process:

        def expire() -> None:
            expired.set()
            _kill(process)

        timer = Timer(time_limit_seconds, expire)
        timer.start()
        try:
            assert process.stdout is not None  # noqa: S101 - for mypy; stdout is a PIPE
            output = read(process.stdout)
            status = process.wait()
        finally:
            timer.cancel()
            _kill(process)
    return None if expired.is_set() else status, output


def _start(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> "subprocess.Popen[str]":
    try:
        return subprocess.Popen(  # noqa: S603 - a list, no shell
            command,
            cwd=folder,
            env={**child_environment(), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
    except OSError as error:
        raise Unavailable(
            f"no more processes can be started ({error.strerror}); raise the limit of processes or of memory, and retry"
        ) from error


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill a process with its children, which it may have left behind."""
    # Until the process is waited for, its group is no other's.
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
