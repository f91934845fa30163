"""Airflow's servers are started and ended together; small modules of the same names stand for Airflow."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import psutil
import pytest

from tasks.local import airflow_process
from tasks.local.home_folder import REPOSITORY

MAIN = """
import os, signal, sys
def end(*_):
    os.write(2, b"ending\\n" * 2000)
    sys.exit(0)
def main():
    signal.signal(signal.SIGTERM, end)
    os.write(1, f"{os.getpid()} {os.getppid()}\\n".encode())
    while True:
        signal.pause()
"""


def pids(process) -> dict[str, list[str]]:
    """Read the first lines, which have the process id of each server and of its parent."""
    return {name: words.split() for name, words in (process.stdout.readline().split(": ") for _ in airflow_process.SERVERS)}


def last_lines(*names: str) -> list[str]:
    return sorted(f"{name}: ending" for name in names for _ in range(2000))


@pytest.fixture
def start(tmp_path):
    """Starts the servers after an upgrade of the database by `upgrade`."""
    processes = []

    def started(upgrade="pass"):
        for module in (*airflow_process.SHARED, "airflow.__main__", "airflow.utils.db"):
            file = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            for folder in (file.parent, tmp_path / "airflow"):
                (folder / "__init__.py").touch()
            file.write_text(MAIN if module.endswith("__main__") else f"def initdb():\n    {upgrade}\n")
        environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{REPOSITORY}"}
        # The budget counts servers by `-m`.
        command = [sys.executable, "-c", f"from {airflow_process.__name__} import run; run('airflow')"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=environment, start_new_session=True, **pipes))
        return processes[0]

    yield started
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_each_server_is_a_fork_of_one_process_that_ends_them_all_and_each_of_its_lines_has_its_name(start):
    process = start()
    ready = pids(process)
    assert ready.keys() == set(airflow_process.SERVERS)
    assert {int(parent) for _, parent in ready.values()} == {process.pid}
    process.send_signal(signal.SIGINT)
    ran, said = process.communicate(timeout=60)
    assert (sorted(ran.splitlines()), said) == (last_lines(*airflow_process.SERVERS), "")
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["triggerer", "log of triggerer"])
def test_others_go_on_where_a_server_or_the_copier_of_its_lines_has_ended_by_itself(name, start):
    process = start()
    servers = {int(pid) for pid, _ in pids(process).values()}
    ended = next(
        child for child in psutil.Process(process.pid).children() if child.cmdline()[0] == name.replace("triggerer", "airflow triggerer")
    )
    assert (ended.pid in servers) == (name == "triggerer")
    ended.kill()
    assert process.stderr.readline() == f"Airflow's {name} ended by itself, with status -9; `make stop` and `make start` start it again\n"
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    ran, said = process.communicate(timeout=60)
    assert (sorted(ran.splitlines()), said) == (last_lines("scheduler", "dag-processor", "api-server"), "")
    assert process.returncode == 0


def test_no_server_starts_with_a_database_that_could_not_be_brought_up_to_date(start):
    process = start(upgrade="raise OSError('disk full')")
    ran, said = process.communicate(timeout=60)
    assert ran == ""
    assert "disk full" in said
    assert said.endswith("Airflow's database was not brought up to date; the lines above say why\n")
    assert process.returncode == 1
