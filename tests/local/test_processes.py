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


def test_a_server_leads_a_session_with_private_files_and_stop_ends_it_and_its_children_in_other_sessions(home, server):
    record, child = server
    assert processes.read_record(home, "store") == record
    assert processes.is_running(record)
    assert os.getsid(record.pid) == record.pid
    for path in (processes.record_file(home, "store"), processes.log_file(home, "store")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.2)
    assert not processes.is_running(record)
    assert not runs(child)
    assert processes.read_record(home, "store") is None
    assert not processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [True, False], ids=["leader-killed", "record-never-written"])
def test_stop_finds_the_children_of_a_leader_that_was_killed_or_has_no_record(home, server, is_killed):
    record, child = server
    if is_killed:
        os.kill(record.pid, signal.SIGKILL)
        wait_for(lambda: not processes.is_running(record))
        assert runs(child)
    else:
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
