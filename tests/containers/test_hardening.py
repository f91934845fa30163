"""Rights of the stack's containers, and the secrets that they know."""

import httpx
import pytest

from tasks.errors import BadConfiguration
from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

SOCKET = "/var/run/docker.sock"


def assert_hardened(name: str, inspected: dict) -> None:
    """A container, as the engine describes it, is not root, has no capability, cannot gain one, and is bounded."""
    host = inspected["HostConfig"]
    assert inspected["Config"]["User"].split(":")[0] not in ("", "0", "root"), name
    assert (host["CapDrop"], host["CapAdd"] or [], host["Privileged"]) == (["ALL"], [], False), name
    assert [option.removesuffix(":true") for option in host["SecurityOpt"]] == ["no-new-privileges"], name
    assert host["ReadonlyRootfs"] and host["Memory"], name


def assert_not_root(stack) -> None:
    """No container that runs is root, whatever its description says."""
    for service, container in stack.containers.items():
        if container.status == "running":
            code, printed = container.exec_run(["id", "-u"])
            assert (code, printed.strip() == b"0") == (0, False), service


@pytest.fixture(scope="module")
def inspected(stack, disturbed) -> dict[str, dict]:
    """Every container as the engine describes it, and that of a training step."""
    services = {service: stack.engine.api.inspect_container(container.id) for service, container in stack.containers.items()}
    return {**services, "a step": disturbed.trained}


def test_every_container_is_hardened(inspected, stack):
    for name, described in inspected.items():
        assert_hardened(name, described)
    assert_not_root(stack)


def test_only_the_proxy_has_the_socket(inspected):
    with_socket = [name for name, described in inspected.items() if any(SOCKET in mount["Source"] for mount in described["Mounts"])]
    assert with_socket == ["docker-proxy"]
    assert inspected["docker-proxy"]["HostConfig"]["NetworkMode"].endswith("_engine")


def test_the_engines_network_leads_nowhere_and_steps_are_not_on_it(inspected, stack):
    assert stack.engine.networks.list(names=["retake-test_engine"])[0].attrs["Internal"]
    assert list(inspected["a step"]["NetworkSettings"]["Networks"]) == ["retake-test_steps"]
    on_steps = {name for name, described in inspected.items() if "retake-test_steps" in described["NetworkSettings"]["Networks"]}
    assert on_steps == {"a step", "minio", "mlflow"}


def test_ports_are_published_on_loopback_alone(inspected):
    for name, described in inspected.items():
        for bindings in (described["HostConfig"]["PortBindings"] or {}).values():
            assert {binding["HostIp"] for binding in bindings} == {"127.0.0.1"}, name


def test_services_are_started_again_and_one_shots_are_not(inspected):
    for name, described in inspected.items():
        policy = described["HostConfig"]["RestartPolicy"]["Name"]
        is_service = described["State"]["Running"] and name != "a step"
        assert policy == ("unless-stopped" if is_service else "no"), name


def test_a_step_is_told_what_it_needs_and_no_other_secret(inspected, stack):
    needed = {"RETAKE_STORE_STEPS_ACCESS_KEY", "RETAKE_STORE_STEPS_SECRET_KEY", "RETAKE_MLFLOW_STEPS_PASSWORD"}
    assert _secrets_in(str(inspected["a step"]), stack.variables) == needed


def test_the_stores_root_keys_are_known_to_the_store_and_its_set_up_alone(inspected, stack):
    root = {"RETAKE_STORE_ROOT_USER", "RETAKE_STORE_ROOT_PASSWORD"}
    assert {name for name, described in inspected.items() if _secrets_in(str(described), stack.variables) & root} == {
        "minio",
        "store-setup",
    }


@pytest.mark.parametrize("name", ["AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY"])
def test_every_airflow_has_the_same_key(inspected, name):
    environments = [described["Config"]["Env"] for service, described in inspected.items() if service.startswith("airflow-")]
    assert len({variable for environment in environments for variable in environment if variable.startswith(f"{name}=")}) == 1


def test_no_secret_is_in_a_log(chain, disturbed, stack):
    variables = stack.variables
    for service, container in stack.containers.items():
        assert _secrets_in(container.logs().decode(errors="replace"), variables) == set(), service
    with stack.airflow() as api:
        for run in (disturbed.run, chain.latest("ingest_videos")):
            for task in api.tasks(run):
                assert _secrets_in("\n".join(api.log_lines(run, task)), variables) == set(), task.task_id


def test_no_secret_is_in_what_mlflow_and_airflow_show(chain, disturbed, stack):
    run = stack.mlflow("GET", "runs/get", params={"run_id": chain.result(disturbed.run, "train")["mlflow_run_id"]})
    assert _secrets_in(f"{run} {chain.instances(disturbed.run)}", stack.variables) == set()


def test_wrong_passwords_are_refused(stack):
    with pytest.raises(BadConfiguration), stack.airflow("wrong") as api:
        api.dag_ids()
    for auth in (None, ("admin", "wrong"), ("steps", stack.variables["RETAKE_MLFLOW_PASSWORD"])):
        assert httpx.get(f"{stack.mlflow_url}/api/2.0/mlflow/experiments/get?experiment_id=0", auth=auth).status_code == 401
    assert httpx.get(f"{stack.airflow_url}/api/v2/dags").status_code == 401
    with pytest.raises(BadConfiguration, match="refuses the keys"):
        list(stack.store("STEPS", secret_key="wrong" * 5).list("s3://retake/"))


def test_the_users_of_the_store_reach_their_own_bucket_alone(stack):
    reached = {"STEPS": "retake", "MLFLOW": "retake-mlflow", "LOGS": "retake-logs"}
    for user, own in reached.items():
        store = stack.store(user)
        store.write_bytes(f"s3://{own}/of-a-test", b"x")
        assert store.exists(f"s3://{own}/of-a-test")
        assert store.keeps_versions(f"s3://{own}") is False
        for other in set(reached.values()) - {own}:
            with pytest.raises(BadConfiguration):
                list(store.list(f"s3://{other}/"))
            with pytest.raises(BadConfiguration):
                store.write_bytes(f"s3://{other}/x", b"x")


def _secrets_in(text: str, variables: dict[str, str]) -> set[str]:
    secrets = {name: value for name, value in variables.items() if name.endswith(("PASSWORD", "KEY", "SECRET", "ROOT_USER"))}
    return {name for name, value in secrets.items() if value in text}
