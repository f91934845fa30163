import os
import signal
import socket
import stat
import sys
from contextlib import ExitStack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadConfiguration
from tasks.local import processes
from tasks.local.processes import choose_ports, is_free
from tests.dags.conftest import comes_true, is_running


def listen(port: int) -> socket.socket:
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen()
    return server


def test_a_taken_port_is_replaced_by_the_next_free_one():
    with listen(0) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert choose_ports({"web": port})["web"] > port


def test_a_port_that_listens_on_every_interface_counts_as_taken():
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))  # noqa: S104 - what another program might do
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_a_closed_connection_does_not_take_its_port():
    with listen(0) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first, so its port lingers
            client.recv(1)
    assert is_free(port)


@settings(max_examples=15)
@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(20000, 20010), max_size=6), st.sets(st.integers(20000, 20010)))
def test_ports_differ_from_one_another_and_from_those_to_avoid(wanted, avoid):
    chosen = choose_ports(wanted, avoid)
    assert chosen.keys() == wanted.keys()
    assert len(set(chosen.values()) | avoid) == len(chosen) + len(avoid)


def test_no_free_port_says_what_to_do(monkeypatch):
    monkeypatch.setattr("tasks.local.processes._SEARCHED", 3)
    with ExitStack() as stack:
        first = next(p for p in range(21000, 22000) if all(map(is_free, range(p, p + 3))))
        for port in range(first, first + 3):
            stack.enter_context(listen(port))
        with pytest.raises(BadConfiguration, match="RETAKE_PORT_OFFSET"):
            choose_ports({"web": first})


STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], start_new_session=True)
print(child.pid, flush=True)
signal.pause()
"""


@pytest.fixture
def server(home):
    """A server that ignores SIGTERM and has a child in a session of its own: the record, and the child's pid."""
    record = processes.launch(home, "store", [sys.executable, "-c", STUBBORN], dict(os.environ), {"store": 1}, "print")
    log = processes.log_file(home, "store")
    assert comes_true(lambda: log.read_text().endswith("\n"))
    yield record, int(log.read_text())
    processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.1)


def test_a_server_leads_a_session_with_private_files_and_stop_ends_it_and_its_children_in_other_sessions(home, server):
    record, child = server
    assert processes.read_record(home, "store") == record
    assert processes.is_running(record)
    assert os.getsid(record.pid) == record.pid
    for path in (processes.record_file(home, "store"), processes.log_file(home, "store")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.2)
    assert not processes.is_running(record)
    assert not is_running(child)
    assert processes.read_record(home, "store") is None
    assert not processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("is_killed", [True, False], ids=["leader-killed", "record-never-written"])
def test_stop_finds_the_children_of_a_leader_that_was_killed_or_has_no_record(home, server, is_killed):
    record, child = server
    if is_killed:
        os.kill(record.pid, signal.SIGKILL)
        assert comes_true(lambda: not processes.is_running(record))
        assert is_running(child)
    else:
        processes.record_file(home, "store").unlink()
    assert processes.stop(home, "store", signal.SIGTERM, grace_seconds=0.2)
    assert not processes.is_running(record)
    assert not is_running(child)


def test_stop_touches_no_process_that_got_the_pid_later(home, server):
    record, child = server
    reused = record.model_copy(update={"name": "mlflow", "create_time": record.create_time - 100})
    processes.record_file(home, "mlflow").write_text(reused.model_dump_json())
    assert not processes.is_running(reused)
    assert not processes.stop(home, "mlflow", signal.SIGKILL, grace_seconds=0.1)
    assert processes.is_running(record)
    assert is_running(child)
