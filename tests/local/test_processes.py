import os
import re
import signal
import stat
import sys
import time

import psutil
import pytest

from tasks.local import processes

STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print("child", child.pid, flush=True)
signal.pause()
"""


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline
        os.sched_yield()
    return found


@pytest.fixture
def server(home):
    """A server that ignores SIGTERM and has a child in a session of its own: the record, and the child's pid."""
    record = processes.launch(home, "store", [sys.executable, "-c", STUBBORN], dict(os.environ), {"store": 1}, "print")
    log = processes.log_file(home, "store")
    child = wait_for(lambda: re.search(r"^child (\d+)\n", log.read_text()))
    yield record, int(child[1])
    processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.1)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_stop_ends_a_stubborn_server_and_its_children_in_other_sessions(home, server):
    record, child = server
    assert processes.read_record(home, "store") == record
    assert processes.is_running(record)
    assert processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.2)
    assert not processes.is_running(record)
    assert not runs(child)
    assert processes.read_record(home, "store") is None


@pytest.mark.slow
def test_stop_finds_the_children_of_a_leader_that_was_killed(home, server):
    record, child = server
    os.kill(record.pid, signal.SIGKILL)
    wait_for(lambda: not processes.is_running(record))
    assert runs(child)
    assert processes.stop(home, "store", signal.SIGTERM, grace_seconds=1)
    assert not runs(child)


def test_stop_finds_a_server_whose_record_was_never_written(home, server):
    record, child = server
    processes.record_file(home, "store").unlink()
    assert processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.2)
    assert not processes.is_running(record)
    assert not runs(child)


def test_stop_touches_no_process_that_got_the_pid_later(home, server):
    record, child = server
    reused = record.model_copy(update={"name": "mlflow", "create_time": record.create_time - 100})
    processes.record_file(home, "mlflow").write_text(reused.model_dump_json())
    assert not processes.is_running(reused)
    assert not processes.stop(home, "mlflow", signal.SIGKILL, grace_seconds=0.1)
    assert processes.is_running(record)
    assert runs(child)


def test_the_server_leads_a_session_and_its_record_and_log_are_private(home, server):
    record, _ = server
    assert os.getsid(record.pid) == record.pid
    for path in (processes.record_file(home, "store"), processes.log_file(home, "store")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_stopping_what_never_ran_is_no_error(home):
    assert not processes.stop(home, "airflow", signal.SIGINT, grace_seconds=0.1)
