"""The runner `docker` against a real engine, when tries follow one another, are killed, or lose the connection."""

import contextlib
import signal
import socket
import subprocess
import sys
import threading

import pytest
from airflow.sdk.exceptions import AirflowException

from dags._container import container_config
from dags._docker import DockerStepOperator
from dags._step import command_flags
from tasks.local.home import REPOSITORY
from tasks.settings import DockerSettings
from tests.dags.conftest import comes_true
from tests.dags.engine import BLOCKED, PARAMS, RESULT, SAY

pytestmark = pytest.mark.containers

SUPERVISED = """
import json, sys
from types import SimpleNamespace
from dags._docker import DockerStepOperator
from tests.dags.engine import PARAMS, step
play, run_id = sys.argv[1:]
run = SimpleNamespace(dag_id="some_dag", run_id=run_id)
DockerStepOperator(**step(play, run_id)).execute({
    "params": PARAMS, "run_id": run_id, "triggering_asset_events": {}, "dag_run": run, "ti": SimpleNamespace(map_index=-1, try_number=1)
})
"""


def test_a_retry_adopts_the_container_of_a_worker_that_was_killed(bench, execute, log):
    play = f"{SAY('begun')}; {BLOCKED}"
    with subprocess.Popen([sys.executable, "-c", SUPERVISED, play, bench.run_id], cwd=REPOSITORY, stderr=subprocess.DEVNULL) as worker:
        assert comes_true(lambda: "running" in [container.status for container in bench.containers], 30)
        worker.send_signal(signal.SIGKILL)
    log.when["waiting"] = lambda: bench.client.api.kill(bench.name, "SIGUSR1")
    assert execute(play) == RESULT
    assert "still runs this step" in "".join(log.lines)
    assert log.lines[-2:] == ["begun", "waiting"]
    assert bench.num_made() == 1
    assert bench.containers == []


def leave(bench, play, state):
    """A container as an earlier try may have left it."""
    command = ["python", "-m", "tasks", "ingest", *command_flags(bench.operator(play), {"store": "s3://retake"})]
    config = container_config("worker", command, {}, {"retake.run": bench.run_id}, DockerSettings(), gpus=False)
    bench.client.api.create_container_from_config(config, bench.name)
    if state != "created":
        bench.client.api.start(bench.name)
    if state == "exited":
        bench.client.api.wait(bench.name)


ONCE = "os.mkdir('/var/cache/retake/tried')"
AT_THE_SECOND_TIME = f"os.path.exists('/var/cache/retake/tried') or ({ONCE}, sys.exit(75))"


@pytest.mark.parametrize(
    ("earlier", "state", "play", "num_made"),
    [
        (ONCE, "exited", ONCE, 1),
        (AT_THE_SECOND_TIME, "exited", AT_THE_SECOND_TIME, 2),
        (ONCE, "created", ONCE, 2),
        (BLOCKED, "running", ONCE, 2),
    ],
    ids=["done", "failed", "never-started", "running-another-command"],
)
def test_what_an_earlier_try_left_behind_is_taken_or_removed(earlier, state, play, num_made, bench, execute):
    leave(bench, earlier, state)
    assert execute(play) == RESULT
    assert bench.num_made() == num_made
    assert bench.containers == []


def test_two_tries_that_start_at_once_share_one_container(bench, execute, log, monkeypatch):
    play = f"{SAY('begun')}"
    leave(bench, play, "created")
    monkeypatch.setattr(DockerStepOperator, "_adopts", lambda *_: False)
    assert execute(play) == RESULT
    assert "another try" in "".join(log.lines)
    assert bench.num_made() == 1


def test_on_kill_stops_and_removes_the_container(bench, context, log):
    operator = bench.operator(f"signal.signal(signal.SIGTERM, signal.SIG_IGN); {BLOCKED}")
    operator.on_kill()  # before anything has started
    log.when["waiting"] = operator.on_kill
    with pytest.raises(AirflowException, match="No such container"):
        operator.execute(context(PARAMS, run_id=bench.run_id))
    assert bench.containers == []
    operator.on_kill()


def test_silence_is_no_failure(bench, execute, log, monkeypatch):
    for name, value in {"_container.SILENCE": 0.1, "_docker.POLL": 0.1, "_docker.RECONNECT": 0}.items():
        monkeypatch.setattr(f"dags.{name}_SECONDS", value)
    monkeypatch.setattr("dags._docker.RECONNECT_TRIES", 1)
    assert execute(f"{SAY('1')}; signal.sigtimedwait([], 1); {SAY('2')}") == RESULT
    assert [line for line in log.lines if line in {"1", "2"}] == ["1", "2"]


class Relay:
    """Hands bytes on to the engine's socket, until it is told to `cut` what is open."""

    def __init__(self, path):
        self._path = path
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._open = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._path)
            self._open += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self):
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._server.close()
        self.cut()
        for connection in self._open:
            connection.close()


def test_each_line_comes_once_though_the_connection_breaks(bench, execute, log, monkeypatch):
    monkeypatch.setattr("dags._docker.RECONNECT_SECONDS", 0.1)
    monkeypatch.setattr("dags._docker.POLL_SECONDS", 0.1)
    relay = Relay("/var/run/docker.sock")
    monkeypatch.setenv("RETAKE_DOCKER_HOST", relay.address)
    log.when["waiting"] = lambda: (relay.cut(), bench.client.api.kill(bench.name, "SIGUSR1"))
    try:
        assert execute(f"{SAY('1')}; {SAY('2')}; {BLOCKED}; {SAY('3')}; {SAY('4')}") == RESULT
    finally:
        relay.close()
    assert [line for line in log.lines if line in {"1", "2", "waiting", "3", "4"}] == ["1", "2", "waiting", "3", "4"]
