"""What is killed or restarted in the middle of a run costs time, and nothing else."""

import re

import httpx
import pytest

from tests.containers.job import recorded, wait_for
from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]


@pytest.fixture(scope="module")
def undisturbed(chain) -> list[str]:
    """The objects that a run leaves to which nothing happened."""
    return _objects(chain, chain.latest("retrain"))


def test_a_scheduler_that_is_killed_while_a_step_trains_finds_its_container_again(killed):
    assert {name for name, _ in killed.events} == {killed.container}
    assert [action for _, action in killed.events if action in ("create", "start")] == ["create", "start"]


def test_its_run_ends_as_one_to_which_nothing_happened(killed, chain, stack, undisturbed):
    assert _objects(chain, killed.run) == undisturbed
    assert _in_mlflow(stack, chain.result(killed.run, "plan")["run_key"]) == {"runs": 1, "versions": 1}


def test_a_store_and_an_mlflow_that_go_away_cost_a_retry(chain, stack, undisturbed):
    run = chain.start_retrain(seed=2)
    with recorded("train") as trainings, recorded("evaluate") as evaluations, stack.airflow() as api:
        for service, step, line in (("minio", "train", "frames cached"), ("mlflow", "evaluate", "clips scored")):
            _away(stack, service, chain.wait_for_step(run, step, line))
        chain.ends(api, run)
    for events in (trainings, evaluations):
        assert events
        _assert_no_two_at_once(events)
    tries = {step: max(task["try_number"] for task in chain.instances(run) if task["task_id"] == step) for step in ("train", "evaluate")}
    assert tries == {"train": 2, "evaluate": 2}
    assert _objects(chain, run) == undisturbed
    assert _in_mlflow(stack, chain.result(run, "plan")["run_key"]) == {"runs": 1, "versions": 1}


def _objects(job, run) -> list[str]:
    """Without those of a champion, which the first run has not, the maps of mistakes, which differ, and the name of the decision."""
    names = [name for name in job.run_objects(run) if "/champion-" not in name and "/activations/" not in name]
    return sorted(re.sub(r"^decisions/[0-9a-f]{16}/", "decisions/", name) for name in names)


def _away(stack, service: str, container: str) -> None:
    """Kill a service, and start it again when the container of a step has ended for want of it."""
    stack.containers[service].kill("SIGKILL")
    gone = {"name": container}
    wait_for(lambda: not stack.engine.containers.list(all=True, filters=gone, ignore_removed=True), f"the end of {container}")
    stack.containers[service].start()


def _assert_no_two_at_once(events: list[tuple[str, str]]) -> None:
    running: set[str] = set()
    for name, action in events:
        if action == "start":
            assert not running
            running.add(name)
        elif action == "die":
            running.discard(name)


def _in_mlflow(stack, run_key: str) -> dict[str, int]:
    """How many runs and how many versions of a model MLflow has of a run key."""
    named = f"tags.`retake.run_key` = '{run_key}'"
    auth = ("admin", stack.variables["RETAKE_MLFLOW_PASSWORD"])
    with httpx.Client(base_url=f"{stack.mlflow_url}/api/2.0/mlflow", auth=auth) as client:
        experiments = client.get("/experiments/search", params={"max_results": 100}).raise_for_status().json()["experiments"]
        ids = [experiment["experiment_id"] for experiment in experiments]
        runs = client.post("/runs/search", json={"experiment_ids": ids, "filter": named}).raise_for_status().json()
        versions = client.get("/model-versions/search", params={"filter": named}).raise_for_status().json()
    return {"runs": len(runs["runs"]), "versions": len(versions["model_versions"])}
