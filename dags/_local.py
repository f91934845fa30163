"""Run a step as a process group on the Airflow worker's machine: the runner `local`."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException

from dags._environment import REPOSITORY, process_environment
from dags._step import StepOperator, raise_outcome, settings_of
from tasks.settings import RunnerSettings

POLL_SECONDS = 1.0
TERM_GRACE_SECONDS = 3.0
"""Airflow kills the process that runs `on_kill` after 5 s."""

WATCHDOG = 'exec 3<&0; (trap "" TERM; read -r _; kill -KILL 0) <&3 >/dev/null 2>&1 3<&- & exec "$@" </dev/null 3<&-'
"""A shell that becomes the step, with a child that waits for the end of a pipe, which only this process holds open.

So the whole group is killed when this process ends, even by SIGKILL, and no process is left when the step has ended.
"""


class LocalStepOperator(StepOperator):
    """Run one step as a process group."""

    _process: subprocess.Popen[bytes] | None = None

    def run_step(self, flags: list[str], context: Context) -> dict[str, Any]:
        """See `StepOperator`. The result is the last line on stdout."""
        python = settings_of(RunnerSettings).python or sys.executable
        command = [str(python), "-m", "tasks", self.step, *flags]
        last_line = ""
        with tempfile.TemporaryFile() as stdout:
            process = subprocess.Popen(  # noqa: S603 - the script is a constant and the command a list
                ["/bin/sh", "-c", WATCHDOG, "sh", *command],
                cwd=REPOSITORY,
                env=process_environment(os.environ, context),
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._process = process
            try:
                for line in _lines(process):
                    self.log.info("%s", line)
                    last_line = line.strip() or last_line
                code = process.wait()
            finally:
                with process, contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            if code:
                raise_outcome(self.step, code, last_line)
            return _result(self.step, stdout)

    def on_kill(self) -> None:
        """End the step: SIGTERM to its group, then SIGKILL after the grace period."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(TERM_GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Yield lines of stderr until it closes, or `process` ends with a child holding it."""
    assert process.stderr is not None  # noqa: S101 - for the type checker: Popen was given a pipe
    stream = process.stderr
    supervisor = os.getppid()
    rest = b""
    while True:
        ended = process.poll() is not None
        if select.select([stream], [], [], 0 if ended else POLL_SECONDS)[0]:
            chunk = os.read(stream.fileno(), 1 << 16)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace").rstrip() for line in lines)
        elif ended:
            break
        if os.getppid() != supervisor:
            raise AirflowException("the Airflow process that supervised this task is gone; the step was ended with it")
    if rest:
        yield rest.decode(errors="replace").rstrip()


def _result(step: str, stdout: IO[bytes]) -> dict[str, Any]:
    stdout.seek(0)
    lines = stdout.read().strip().splitlines()
    try:
        result = json.loads(lines[-1]) if lines else None
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise AirflowException(f"{step} ended well, but its last line on stdout is no result")
    return result
