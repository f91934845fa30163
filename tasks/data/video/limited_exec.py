"""Limit memory and file size, then exec another program.

The program leads its own process group, which a runner's SIGKILL of the step does not reach: it dies with the process that started it.

Run as a file: limited_exec.py PARENT_PID MEMORY_BYTES FILE_BYTES PROGRAM ARGUMENT…
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

STACK_BYTES = 2 << 20
"""Per thread. It counts towards the limit from the start: at 8 MiB, the threads of 16 cores took more than the pictures."""

RESERVED_BYTES = 8 << 30
"""Address space without memory behind it: libraries, and heaps reserved by threads."""

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h; preserved across exec."""


def main() -> None:
    """Set the limits and exec the program."""
    parent_pid, memory_bytes, file_bytes, program, *arguments = sys.argv[1:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent_pid):
        sys.exit("the process that started this has ended")
    # If the machine runs out of memory, the kernel kills this process instead of the step.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    limits = {
        resource.RLIMIT_DATA: int(memory_bytes),
        resource.RLIMIT_AS: int(memory_bytes) + RESERVED_BYTES,
        resource.RLIMIT_STACK: STACK_BYTES,
        resource.RLIMIT_FSIZE: int(file_bytes),
        resource.RLIMIT_CORE: 0,
    }
    for kind, limit in limits.items():
        hard = resource.getrlimit(kind)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (limit, limit))
    os.execv(program, [program, *arguments])  # noqa: S606 - no shell, on purpose


if __name__ == "__main__":
    main()
