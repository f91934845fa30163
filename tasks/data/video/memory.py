"""Divide memory among the child processes that read videos."""

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock, Semaphore
from typing import TypeVar

from tasks.errors import OutOfMemory

T = TypeVar("T")

MAX_BYTES = 8 << 30
"""Maximum per child, on any machine."""

STEP_BYTES = 512 << 20
"""Part of a container's memory that is reserved for the step itself."""

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """Memory limit of one child.

    Scarce if it may be too little and the child would get more alone.
    """

    size_bytes: int
    is_scarce: bool

    def enough_at(self, enough_bytes: int) -> "Memory":
        """Return the same limit, not scarce if it is at least `enough_bytes`."""
        return Memory(self.size_bytes, self.is_scarce and self.size_bytes < enough_bytes)


class MemoryShares:
    """Gives each of `num_at_once` videos an equal share of memory.

    A video that needs more is retried alone with all of it.
    """

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
    """Return the memory for all children.

    It is a container's limit minus the step's share, else half of the machine's, which also runs other steps and the servers.
    """
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit_bytes = min(_cgroup_limits(), default=machine_bytes)
    if limit_bytes >= machine_bytes:
        return min(MAX_BYTES, machine_bytes // 2)
    return min(MAX_BYTES, max(limit_bytes // 2, limit_bytes - STEP_BYTES))


def _cgroup_limits() -> list[int]:
    """List the memory limits of this process's cgroup and its parents.

    In cgroup v1 or v2.
    """
    limits = []
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
                limits.append(int(limit))
    return limits
