"""The runner `docker` against a real engine: what a container is given, and what its end means. The steps are scripts of a few lines."""

import json

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.serialization.serialized_objects import DagSerialization

from dags._container import container_config
from dags._docker import DockerStepOperator
from tasks.settings import DockerSettings
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
