"""What is killed or restarted in the middle of a run costs time, and nothing else."""

import re

import httpx
import pytest

from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]


@pytest.fixture(scope="module")
def undisturbed(chain) -> list[str]:
    """The objects that a run leaves to which nothing happened."""
    return _objects(chain, chain.latest("retrain"))


def test_a_store_that_goes_away_costs_a_try_and_a_scheduler_that_is_killed_finds_the_container_again(disturbed):
    assert [action for _, action in disturbed.trainings if action in ("create", "start")] == ["create", "start"] * 2
    _assert_no_two_at_once(disturbed.trainings)


def test_an_mlflow_that_goes_away_costs_each_evaluation_one_try(disturbed, chain):
    assert max(task["try_number"] for task in chain.instances(disturbed.run) if task["task_id"] == "evaluate") == 2
    _assert_no_two_at_once(disturbed.evaluations)


def test_the_run_ends_as_one_to_which_nothing_happened(disturbed, chain, stack, undisturbed):
    assert _objects(chain, disturbed.run) == undisturbed
    assert _in_mlflow(stack, chain.result(disturbed.run, "plan")["run_key"]) == {"runs": 1, "versions": 1}


def _objects(job, run) -> list[str]:
    """Without those of a champion, which the first run has not, the maps of mistakes, which differ, and the name of the decision."""
    names = [name for name in job.run_objects(run) if "/champion-" not in name and "/activations/" not in name]
    return sorted(re.sub(r"^decisions/[0-9a-f]{16}/", "decisions/", name) for name in names)


def _assert_no_two_at_once(events: list[tuple[str, str]]) -> None:
    assert events
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
