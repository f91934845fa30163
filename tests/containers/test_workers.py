"""Several machines, played by two Celery workers on this one. The stack is another afterwards."""

import stat

import pytest

from tests.containers.job import LONG
from tests.containers.stack import STACK_SECONDS
from tests.containers.test_hardening import assert_hardened, assert_not_root

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

FILES = "docker-compose.yml:docker/compose.celery.yml:tests/containers/workers.yml"


@pytest.fixture(scope="module")
def workers(disturbed, stack) -> dict[str, str]:
    """The services by the host name under which Airflow knows them, once the stack is up with workers."""
    env = stack.folder / ".env"
    before = env.read_text()
    code, said = stack.make("up", COMPOSE_FILE=FILES)
    assert code == 0, said
    assert (env.read_text(), stat.S_IMODE(env.stat().st_mode)) == (before, 0o600)
    return {container.id[:12]: service for service, container in stack.containers.items()}


def test_training_is_taken_by_the_worker_of_the_gpu_queue_and_the_rest_by_the_other(workers, chain, stack):
    """A gate with other options decides on the same training, so each step runs and finds its result."""
    run = chain.start_retrain(**LONG, min_gate_clips=2)
    with stack.airflow() as api:
        chain.ends(api, run)
    taken = {
        task["task_id"].rsplit(".", 1)[-1]: (task["queue"], workers[task["hostname"]])
        for task in chain.instances(run)
        # `approve`, where nobody has to be asked, may end on either; a task that runs nothing is on none
        if task["state"] != "skipped" and task["hostname"]
    }
    on_cpu = dict.fromkeys(("weights", "plan", "ask", "compare", "report", "register", "decide"), ("cpu", "airflow-worker-cpu"))
    assert taken == on_cpu | dict.fromkeys(("train", "evaluate"), ("gpu", "airflow-worker-gpu"))


def test_a_worker_knows_no_password_of_a_database(workers, stack):
    for service in ("airflow-worker-cpu", "airflow-worker-gpu"):
        environment = str(stack.containers[service].attrs["Config"]["Env"])
        assert stack.variables["RETAKE_AIRFLOW_DB_PASSWORD"] not in environment


def test_what_several_machines_need_besides_is_hardened_too(workers, stack):
    for service in ("airflow-worker-cpu", "airflow-worker-gpu", "redis"):
        assert_hardened(service, stack.containers[service].attrs)
    assert_not_root(stack)


def test_redis_wants_its_password(workers, stack):
    code, printed = stack.containers["redis"].exec_run(["env", "-u", "REDISCLI_AUTH", "redis-cli", "ping"])
    assert (code, b"NOAUTH" in printed) == (0, True)
