"""A search in rounds: heads by the dozen, whole networks as retrain trains them, folds, rungs, and what is found trained."""

import json

import pytest

from tasks.results.search import SearchPlanResult
from tasks.store.searches import SearchPlan
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

HEADS = {**TRAINING, "trainable": "heads", "epochs": 3}
CONF = {"store": STORE, **HEADS, "search": ["learning_rate", "dropout", "schedule"], "num_trials": 6, "rounds": 2}
CHILDREN = """
import json, mlflow, sys
client = mlflow.MlflowClient()
parent = client.get_run(sys.argv[1])
found = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
print(json.dumps({run.info.run_name: [run.data.params, run.data.metrics] for run in found}))
"""


def objects_under(workshop, folder):
    return {found.uri: found.etag for found in workshop.store.list(f"{STORE}/{folder}/")}


@pytest.fixture(scope="module")
def states(workshop, chain):
    return workshop.dag_test({"search": CONF})["search"]


@pytest.fixture(scope="module")
def place(workshop, states):
    (asked,) = [uri for uri in objects_under(workshop, "searches") if uri.count("/") == 5 and uri.endswith("result.json")]
    return SearchPlan(workshop.store.read(asked, SearchPlanResult).search_uri)


def test_first(states, place, workshop):
    print(json.dumps(states, indent=1))
    print(workshop.store.read(place.round(2).gather).model_dump_json(indent=1)[:3000])
