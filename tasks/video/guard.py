"""Becomes another program, under limits, that dies with the process that started it.

Run as a file: guard.py PARENT_PID MEMORY_BYTES PROGRAM ARGUMENT… The program leads a process group of its own, so nothing else would end it when a runner kills the step by SIGKILL.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

MAX_FILE_BYTES = 1 << 32

STACK_BYTES = 2 << 20
"""Of each thread. It counts as taken from its start: at 8 MiB, the threads of 16 cores took more than the pictures."""

RESERVED_BYTES = 8 << 30
"""Address space that no memory stands behind: libraries, and what threads reserve for their heaps."""

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; it outlives exec."""


def main() -> None:
    """Set the limits and turn into the program."""
    parent_pid, memory_bytes, program, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent_pid):
        sys.exit("the process that started this has ended")
    # Where memory runs out all the same, the kernel ends this and not the step.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    limits = {
        resource.RLIMIT_DATA: int(memory_bytes),
        resource.RLIMIT_AS: int(memory_bytes) + RESERVED_BYTES,
        resource.RLIMIT_STACK: STACK_BYTES,
        resource.RLIMIT_FSIZE: MAX_FILE_BYTES,
        resource.RLIMIT_CORE: 0,
    }
    for kind, most in limits.items():
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell is what is wanted


if __name__ == "__main__":
    main()
