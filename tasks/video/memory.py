"""Shares memory out to the children that read videos, so that all fit the machine."""

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
"""For one child, however large the machine."""

OWN_BYTES = 512 << 20
"""Of a container's memory, for the step itself."""

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


@dataclass(frozen=True)
class Memory:
    """Limits one child. Scarce means perhaps too little, where alone it would have more."""

    size_bytes: int
    is_scarce: bool

    def enough_at(self, enough_bytes: int) -> "Memory":
        """The same, known not to be scarce if it is that much."""
        return Memory(self.size_bytes, self.is_scarce and self.size_bytes < enough_bytes)


class MemoryShares:
    """Gives each of `num_at_once` videos a share of the memory.

    One that needs more is tried again alone, with all of it.
    """

    def __init__(self, num_at_once: int, all_bytes: int) -> None:
        self._num_at_once = num_at_once
        self.all_bytes = all_bytes
        self._slots = Semaphore(num_at_once)
        self._alone = Lock()

    def run(self, work: Callable[[Memory], T]) -> T:
        """Call `work` while there is a slot, and again while nothing else runs where memory ran out.

        Raises:
            OutOfMemory: it ran out alone, too.
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
    """For a child that runs alone."""
    return Memory(usable_bytes(), is_scarce=False)


def usable_bytes() -> int:
    """Give the memory of all children: a container's limit less the step's own, else half the machine's.

    Half, for a machine without a limit runs other steps and the servers, too.
    """
    machine_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit_bytes = min(_cgroup_limits(), default=machine_bytes)
    if limit_bytes >= machine_bytes:
        return min(MAX_BYTES, machine_bytes // 2)
    return min(MAX_BYTES, max(limit_bytes // 2, limit_bytes - OWN_BYTES))


def _cgroup_limits() -> list[int]:
    """List the limits of this process's cgroup and of those above it, of either version."""
    limits = []
    for line in OWN_CGROUPS.read_text().splitlines() if OWN_CGROUPS.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            root, name = CGROUPS, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = CGROUPS / "memory", "memory.limit_in_bytes"
        else:
            continue
        # Seen from within a container, its own cgroup is the root, whatever path is told.
        for folder in (PurePosixPath(path), *PurePosixPath(path).parents):
            try:
                told = (root / folder.relative_to("/") / name).read_text().strip()
            except OSError:
                continue
            if told != "max":
                limits.append(int(told))
    return limits
