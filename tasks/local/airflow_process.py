"""Run Airflow's servers as forks of one process that has imported their code.

Usage: `python -m tasks.local.airflow_process AIRFLOW`, with the path of Airflow's program. `airflow standalone` starts five interpreters that
import nearly the same modules. Forks take six tenths of the processor time until Airflow is ready, and seven tenths of the memory.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module

import uvicorn
from airflow.__main__ import main
from airflow.utils.db import initdb
from setproctitle import setproctitle

from tasks.local.processes import LOOPBACK

SERVERS = ("scheduler", "dag-processor", "api-server", "triggerer")
SHARED = (
    "airflow.jobs.scheduler_job_runner",
    "airflow.jobs.triggerer_job_runner",
    "airflow.dag_processing.manager",
    "airflow.api_fastapi.core_api.app",
    "airflow.api_fastapi.execution_api.app",
)
"""Modules that the servers import at their start. None may open the database, or start a thread that does not begin anew in a fork."""

ENDING = (signal.SIGINT, signal.SIGTERM)


def run(program: str) -> None:
    """Bring the database up to date, start the servers, and wait for their end.

    SIGINT and SIGTERM end them all. Where one ends by itself, the others go on, and with them the steps at work.

    Raises:
        SystemExit: the database was not brought up to date.
    """
    _listen_on_loopback()
    for module in SHARED:
        import_module(module)
    gc.freeze()  # a collection in a fork would copy the memory of all imported objects
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)  # until there is somebody to pass them on
    # In a fork: connections to the database must not be inherited.
    if os.waitpid(_fork(initdb), 0)[1]:
        sys.exit("Airflow's database was not brought up to date; the lines above say why")
    names = {pid: own for name in SERVERS for pid, own in _fork_named(name, partial(_serve, program, name)).items()}
    is_ending = False

    def end(*_: object) -> None:
        nonlocal is_ending
        is_ending = True
        for server in (pid for pid, name in names.items() if name in SERVERS):
            with suppress(ProcessLookupError):
                os.kill(server, signal.SIGTERM)

    for number in ENDING:
        signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    while names:
        ended, status = os.wait()
        name = names.pop(ended, None)
        if name and not is_ending and (status or name in SERVERS):
            how = f"Airflow's {name} ended by itself, with status {os.waitstatus_to_exitcode(status)}"
            _write(2, f"{how}; `make stop` and `make start` start it again\n".encode())


def _fork(work: Callable[[], object]) -> int:
    """Run `work` in a fork, and return its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if process == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        work()
        sys.exit()
    return process


def _write(output: int, line: bytes) -> None:
    with suppress(OSError):  # on a full disk, the servers go on
        os.write(output, line)


def _fork_named(name: str, work: Callable[[], object]) -> dict[int, str]:
    """Fork `work` and a copier that prefixes its lines; return their names by process id."""
    reading, writing = os.pipe()

    def work_to_pipe() -> None:
        for output in (1, 2):
            os.dup2(writing, output)
        os.close(reading)
        os.close(writing)
        work()

    def copy_lines() -> None:
        for number in ENDING:  # it ends when nobody is left to write
            signal.signal(number, signal.SIG_IGN)
        setproctitle(f"log of airflow {name}")
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                _write(1, f"{name}: ".encode() + line)

    forks = {_fork(copy_lines): f"log of {name}", _fork(work_to_pipe): name}
    os.close(reading)
    os.close(writing)
    return forks


def _serve(program: str, name: str) -> None:
    setproctitle(f"airflow {name}")
    sys.argv = [program, name]
    main()  # type: ignore[no-untyped-call]


def _listen_on_loopback() -> None:
    """Keep Airflow's log servers, forks of its servers, on loopback: no setting does."""
    listen = uvicorn.run
    uvicorn.run = lambda app, **options: listen(app, **{**options, "host": LOOPBACK})


if __name__ == "__main__":
    run(sys.argv[1])
