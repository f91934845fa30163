"""The runner `docker` against a real engine: what a container is given, what its end means, and tries that follow one another or are killed.

The steps are scripts of a few lines.
"""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from dags._docker import DockerStepOperator, container_config
from dags._step import command_flags
from tasks.local.home_folder import REPOSITORY
from tasks.settings import DockerSettings
from tests.dags.conftest import comes_true
from tests.dags.engine import BLOCKED, PARAMS, RESULT, SAY, step

pytestmark = pytest.mark.containers


def test_a_step_that_ends_well_gives_what_it_left_in_the_store_and_leaves_nothing_behind(bench, execute, log):
    scratch = []
    log.when["waiting"] = lambda: scratch.extend(volume_names(bench)) or bench.client.api.kill(bench.name, "SIGUSR1")
    assert execute(f"print('chatter'); {SAY('| 50 %s |')}; {BLOCKED}; {SAY('x' * 40000)}") == RESULT
    assert log.lines[-3:] == ["| 50 %s |", "waiting", "x" * 40000]
    assert bench.containers == []
    assert len(scratch) == 2
    assert [volume.name for volume in bench.client.volumes.list() if volume.name in scratch] == [f"retake-test-{bench.run_id}"]


def volume_names(bench):
    mounts = bench.client.api.inspect_container(bench.name)["Mounts"]
    return {mount["Name"] for mount in mounts}


@pytest.mark.parametrize(("code", "wanted"), [(65, AirflowFailException), (75, AirflowException), (3, AirflowException)])
def test_an_exit_code_says_whether_a_retry_helps(code, wanted, bench, execute):
    with pytest.raises(AirflowException, match=r"film\.mp4: why") as raised:
        execute(f"{SAY('film.mp4: why')}; sys.exit({code})")
    assert type(raised.value) is wanted
    assert bench.containers == []


def test_a_container_may_do_nothing_but_its_step(bench, execute, log):
    seen = {}

    def look():
        seen.update(bench.client.api.inspect_container(bench.name))
        bench.client.api.kill(bench.name, "SIGUSR1")

    log.when["waiting"] = look
    probe = """
def refused(path):
    try: open(path, "w")
    except OSError: return True
print(os.getuid(), *map(refused, ["/x", "/videos/x", "/scratch/x", "/tmp/x", "/var/cache/retake/x"]), file=sys.stderr, flush=True)
"""
    execute(probe + BLOCKED)
    assert "10001 True True None None None" in log.lines
    host, config = seen["HostConfig"], seen["Config"]
    assert config["Cmd"][:4] == ["python", "-m", "tasks", "ingest"]
    assert config["User"] == "10001:10001"
    assert host["ReadonlyRootfs"] and host["Init"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["PidsLimit"] == 512
    assert host["Memory"] == host["MemorySwap"] == 4 << 30
    assert host["ShmSize"] == 1 << 30
    assert all("size=256m" in options for options in host["Tmpfs"].values())
    assert not host["Binds"] and not host["PortBindings"]
    mounts = {mount["Destination"]: mount["RW"] for mount in seen["Mounts"]}
    assert mounts == {"/scratch": True, "/var/cache/retake": True, "/videos": False}
    labels = {name.removeprefix("retake."): value for name, value in config["Labels"].items() if name.startswith("retake.")}
    assert len(labels.pop("command")) == 32
    assert labels == {"dag": "some_dag", "run": bench.run_id, "task": "a_task", "map_index": "-1", "try": "1"}


def test_a_container_gets_what_a_step_needs_and_nothing_shows_its_secrets(bench, context, log, monkeypatch):
    secrets = {"RETAKE_STORE_SECRET_KEY": "tell-no-one", "MLFLOW_TRACKING_PASSWORD": "tell-nobody", "RETAKE_S3_CONNECTIONS": "tell-none"}
    foreign = {"AIRFLOW__CORE__FERNET_KEY": "f", "RETAKE_STORE_URI": "s3://x", "RETAKE_CODE_VERSION": "v", "AWS_SECRET_ACCESS_KEY": "a"}
    for name, value in {**secrets, **foreign, "https_proxy": "http://proxy:1"}.items():
        monkeypatch.setenv(name, value)
    with DAG("a_dag") as dag:
        operator = bench.operator("print(json.dumps(sorted(os.environ)), file=sys.stderr); sys.exit(75)")
    with pytest.raises(AirflowException) as raised:
        operator.execute(context(PARAMS, run_id=bench.run_id))
    passed = set(json.loads(str(raised.value))) - {"PATH", "HOSTNAME", "HOME", "LANG", "GPG_KEY", "PYTHON_VERSION", "PYTHON_SHA256"}
    needed = {f"RETAKE_{name}" for name in ("STORE_ENDPOINT", "STORE_ACCESS_KEY", "AIRFLOW_URL", "CACHE_DIR", "TRAINS_ON")}
    assert passed - {"PYTHONUNBUFFERED"} == {*secrets, *needed, "TMPDIR", "https_proxy"}
    shown = json.dumps([log.lines, DagSerialization.to_dict(dag), [getattr(operator, name) for name in operator.template_fields]])
    assert not [secret for secret in secrets.values() if secret in shown + repr(vars(operator))]


def test_a_memory_limit_that_is_reached_is_named(bench, execute, monkeypatch):
    monkeypatch.setenv("RETAKE_DOCKER_WORKER_MEMORY", "24m")
    with pytest.raises(AirflowException, match="RETAKE_DOCKER_WORKER_MEMORY"):
        execute("b'x' * (64 << 20)")


def test_an_image_that_is_absent_is_named(bench, execute, monkeypatch):
    monkeypatch.setenv("RETAKE_DOCKER_TRAINER_IMAGE", "retake/absent:1")
    with pytest.raises(AirflowFailException, match=r"retake/absent:1 is not on the Docker Engine.*make build"):
        execute("", image="trainer")


@pytest.mark.parametrize("wanted", ["auto", "required", "off"])
def test_a_step_that_would_use_a_gpu_is_told_where_there_is_none(wanted, bench, execute, log, monkeypatch):
    if "nvidia" in bench.client.info()["Runtimes"]:
        pytest.skip("this engine has GPUs")
    monkeypatch.setenv("RETAKE_GPU", wanted)
    if wanted == "required":
        with pytest.raises(AirflowFailException, match=r"NVIDIA Container Toolkit.*nvidia-ctk runtime configure"):
            execute("", gpu=True)
        return
    assert execute("", gpu=True) == RESULT
    assert ("runs on the CPU" in "".join(log.lines)) == (wanted == "auto")


def test_a_container_with_gpus_gets_them_all(bench):
    config = container_config("trainer", ["python"], {}, {}, DockerSettings(), gpus=True)
    assert config["HostConfig"]["DeviceRequests"][0]["Capabilities"] == [["gpu"]]
    assert config["HostConfig"]["DeviceRequests"][0]["Count"] == -1


def test_an_engine_that_does_not_answer_is_asked_again_later(context, monkeypatch):
    for name, value in {"HOST": "tcp://127.0.0.1:1", "WORKER_IMAGE": "w", "TRAINER_IMAGE": "t", "NETWORK": "n"}.items():
        monkeypatch.setenv(f"RETAKE_DOCKER_{name}", value)
    with pytest.raises(AirflowException, match=r"Docker Engine at tcp://127\.0\.0\.1:1 does not answer") as raised:
        DockerStepOperator(**step("", "x")).execute(context(PARAMS))
    assert type(raised.value) is AirflowException
    assert "\n" not in str(raised.value)


def test_settings_that_are_missing_are_named(context, monkeypatch):
    monkeypatch.delenv("RETAKE_DOCKER_NETWORK", raising=False)
    with pytest.raises(AirflowFailException, match="RETAKE_DOCKER_NETWORK"):
        DockerStepOperator(**step("", "x")).execute(context(PARAMS))


def test_a_container_that_cannot_start_is_not_left_behind(bench, execute, monkeypatch):
    monkeypatch.setenv("RETAKE_DOCKER_NETWORK", f"retake-test-{bench.run_id}")
    with pytest.raises(AirflowException, match=f"refuses: .*retake-test-{bench.run_id}"):
        execute("")
    assert bench.containers == []


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
    for name, value in {"_docker.SILENCE": 0.1, "_docker.POLL": 0.1, "_docker.RECONNECT": 0}.items():
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
