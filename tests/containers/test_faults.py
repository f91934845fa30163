"""A service that is killed or restarted during a run costs time, and nothing else."""

import re

import pytest

from tests.containers.stack import STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]


def test_a_store_that_goes_away_costs_a_try_and_a_scheduler_that_is_killed_finds_the_container_again(disturbed):
    assert [action for _, action in disturbed.trainings if action in ("create", "start")] == ["create", "start"] * 2
    running: set[str] = set()
    for name, action in disturbed.trainings:
        if action == "start":
            assert not running, "two at once"
            running.add(name)
        elif action == "die":
            running.discard(name)


def test_the_run_ends_as_one_to_which_nothing_happened(disturbed, chain, stack):
    assert _objects(chain, disturbed.run) == _objects(chain, disturbed.undisturbed)
    assert _in_mlflow(stack, chain.result(disturbed.run, "plan")["run_key"]) == {"runs": 1, "versions": 1}


def _objects(job, run) -> list[str]:
    """Without those of a champion, which the first run has not, and the maps of mistakes."""
    left_out = re.compile(r"/champion-|/activations/")
    names = [name for name in job.run_objects(run) if not left_out.search(name)]
    return sorted(re.sub(r"^(decisions|evaluate)/[0-9a-f]{16}/", r"\1/", name) for name in names)


def _in_mlflow(stack, run_key: str) -> dict[str, int]:
    """How many runs and how many versions of a model MLflow has of a run key."""
    named = f"tags.`retake.run_key` = '{run_key}'"
    experiments = stack.mlflow("GET", "experiments/search", params={"max_results": 100})["experiments"]
    ids = [experiment["experiment_id"] for experiment in experiments]
    runs = stack.mlflow("POST", "runs/search", json={"experiment_ids": ids, "filter": named})["runs"]
    versions = stack.mlflow("GET", "model-versions/search", params={"filter": named})["model_versions"]
    return {"runs": len(runs), "versions": len(versions)}
