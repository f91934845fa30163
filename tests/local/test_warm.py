"""Steps that are forked from a process that has everything imported do as those that start by themselves."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tasks.errors import Unavailable
from tasks.local import hand_over, processes, warm
from tasks.local.home_folder import REPOSITORY, Home
from tests.dags.conftest import all_end, comes_true, is_running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The program for RETAKE_PYTHON, and the home of the process that it hands steps over to."""
    home = Home(tmp_path_factory.mktemp("a home with a name that is longer than the address of a socket may be " * 2))
    program = warm.write_program(home, sys.executable)
    # A copy: to change a file of the checkout would end the processes that other tests use.
    warm.start(home, os.environ, sources=Path(shutil.copytree(REPOSITORY / "tasks" / "local", home.root / "sources")))
    socket = home.root / "servers" / "warm.sock"
    assert comes_true(socket.exists, 250), processes.tail(processes.log_file(home, "warm"))
    yield program, home
    warm.stop(home)


def begin(program, *arguments, **options):
    command = [str(program[0]), "-m", "tests.local.played", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{"cwd": REPOSITORY, **pipes, **options})


def seen_by_step(program, tmp_path):
    """The arguments, variables, folder and parent that a step sees, with its exit code and stderr."""
    with begin(program, "tell", "--a=b c", "--d", env={**os.environ, "ODD": "\u00e9 \n"}) as step:
        out, err = step.communicate(timeout=60)
    return json.loads(out), step.returncode, err


def server(program):
    return processes.read_record(program[1], "warm").pid


def test_a_step_has_its_arguments_environment_folder_and_ends_as_it_wants(program, tmp_path):
    (arguments, variables, folder, has_torch, parent), code, err = seen_by_step(program, tmp_path)
    assert (arguments, Path(folder), code, err) == (["--a=b c", "--d"], REPOSITORY, 3, "said\n")
    assert variables == {"ODD": "\u00e9 \n", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}, "with what our own modules set"
    assert has_torch
    assert parent == server(program)


def test_a_signal_and_a_bug_are_seen_as_of_any_process(program):
    with begin(program, "kill") as step:
        assert step.wait(60) == -signal.SIGKILL
    with begin(program, "raise") as step:
        assert "ValueError: a bug" in step.communicate(timeout=60)[1]
    assert step.returncode == 1


def test_a_step_is_told_to_end_and_ends_with_a_retry(program):
    with begin(program, "mind") as step:
        (pid,) = json.loads(step.stdout.readline())
        assert pid != step.pid
        step.send_signal(signal.SIGTERM)
        assert step.wait(60) == 75


def test_a_step_and_its_children_end_with_whoever_waits_for_it(program):
    with begin(program, "wait") as step:
        pids = json.loads(step.stdout.readline())
        step.kill()
    assert all_end(pids)


def test_whoever_reads_of_a_client_that_ends_before_it_has_asked_sees_the_end(program):
    reading, writing = os.pipe()
    folder = os.open(program[1].root / "servers", os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(f"/proc/self/fd/{folder}/warm.sock")
        socket.send_fds(client, [(9).to_bytes(warm.SIZE_BYTES, "big")], [writing, writing])
    for descriptor in (writing, folder):
        os.close(descriptor)
    assert select.select([reading], [], [], 60)[0]
    assert os.read(reading, 1) == b""
    os.close(reading)


def asking():
    """Both ends of a connection by which a client has asked for a step."""
    client, server = socket.socketpair()
    request = json.dumps([["-m", "json"], {}, "/"]).encode()
    client.sendall(len(request).to_bytes(warm.SIZE_BYTES, "big") + request)
    return client, server


def test_a_client_is_told_before_the_fork_and_none_is_made_for_one_that_is_gone_lest_a_step_runs_twice(monkeypatch):
    told = []

    def fork():
        told.append(client.recv(1, socket.MSG_DONTWAIT))
        raise BlockingIOError("no more processes")

    def accept(server):
        return warm._accept(SimpleNamespace(accept=lambda: (server, "")), {}, None)

    monkeypatch.setattr(os, "fork", fork)
    (client, server), (gone, of_gone) = asking(), asking()
    with client, server, of_gone:
        gone.close()
        assert accept(of_gone) is None
        with pytest.raises(BlockingIOError, match="no more processes"):
            accept(server)
    assert told == [hand_over.ACCEPTED]


def test_steps_run_side_by_side(program, tmp_path):
    with begin(program, "mind") as step:
        (pid,) = json.loads(step.stdout.readline())
        assert seen_by_step(program, tmp_path)[1] == 3
        assert is_running(pid)
        step.kill()
    assert all_end([pid])


def test_what_is_changed_on_the_disk_is_run_as_it_is_there(program, tmp_path):
    before = server(program)
    source = program[1].root / "sources" / "warm.py"
    times = source.stat()
    os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns + 1))
    try:
        (_, _, _, has_torch, parent), code, _ = seen_by_step(program, tmp_path)
    finally:
        os.utime(source, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (has_torch, parent != before, code) == (False, True, 3)
    assert all_end([before]), "it has nothing more to do"


def test_a_step_whose_server_dies_is_to_be_tried_again_and_the_next_runs_by_itself(program, tmp_path):
    warm.start(program[1], os.environ, modules=("json",))  # so it starts sooner
    socket = program[1].root / "servers" / "warm.sock"
    assert comes_true(lambda: socket.exists() and seen_by_step(program, tmp_path)[0][4] == server(program), 100)
    with begin(program, "mind") as step:
        (pid,) = json.loads(step.stdout.readline())
        os.kill(server(program), signal.SIGKILL)
        assert "Unavailable: " in step.communicate(timeout=60)[1]
    assert step.returncode == 75
    assert all_end([pid])
    assert seen_by_step(program, tmp_path)[0][4] == os.getpid()


@pytest.mark.parametrize(("num_gpus", "python", "is_of_use"), [(0, "", True), (0, sys.executable, False), (1, "", False)])
def test_nothing_is_warm_where_a_gpu_is_or_the_interpreter_is_chosen(monkeypatch, num_gpus, python, is_of_use):
    monkeypatch.setenv("RETAKE_PYTHON", python)
    monkeypatch.setattr(warm, "num_gpus", lambda: num_gpus)
    assert warm.is_of_use() is is_of_use


def test_a_step_whose_server_is_gone_ends_as_a_retry_helps():
    assert Unavailable.exit_code == hand_over.GONE_STATUS
