"""Run a program on an untrusted file as a limited child process.

Minimal environment, limited memory and time, killed with this process.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Event, Timer
from typing import IO, TypeVar

from tasks.errors import Unavailable

T = TypeVar("T")

GUARD = Path(__file__).with_name("guard.py")

KEPT_VARIABLES = ("PATH", "LD_LIBRARY_PATH")
"""Environment variables that a child gets. A process that parses untrusted files must not see the store's keys."""


def child_environment() -> dict[str, str]:
    """Return the environment variables that a child gets."""
    return {key: os.environ[key] for key in KEPT_VARIABLES if key in os.environ}


def run_child(
    command: Sequence[str],
    *,
    folder: Path,
    memory_bytes: int,
    time_limit_seconds: float,
    read: Callable[[IO[str]], T],
    variables: Mapping[str, str],
) -> tuple[int | None, T]:
    """Run a program in `folder`, `read` its output, and wait for it.

    The output is stdout and stderr.

    Returns:
        Its exit status, negative for a signal and None if it exceeded the time limit; and the result of `read`.

    Raises:
        Unavailable: it cannot be started.
    """
    expired = Event()
    with _start([sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(memory_bytes), *command], folder, variables) as process:

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
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
