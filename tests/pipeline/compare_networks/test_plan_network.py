"""Tests of what `compare_networks` and `search` refuse before anything is trained."""

import pytest

from tasks.errors import BadConfiguration, BadDataset
from tasks.pipeline.compare_networks.contract import PLAN_NETWORK
from tasks.store.layout import Dataset
from tasks.store.records.training import BatchTime
from tasks.store.runs import Decision
from tasks.store.stored import Output
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import dataset_clip, manifest_of, weights_result

DATASET, CLAIMS, WEIGHTS = f"{STORE}/datasets/d/", f"{STORE}/comparisons/c/d/claims/", f"{STORE}/comparisons/c/w/"
SIGNED = "https://me:geheim@h/w.pth"
TEN_HOURS = BatchTime(num_clips=1, seconds=36_000, forward_seconds=36_000, device="a slow machine")


@pytest.fixture
def bench():
    bench = Bench()
    bench.store.write(Dataset(DATASET).manifest, manifest_of([dataset_clip("a"), dataset_clip("b", "val")]))
    bench.store.write(Output(WEIGHTS, type(weights_result())).uri, weights_result(pace=TEN_HOURS))
    return bench


def test_a_network_that_would_train_for_longer_than_allowed_asks_by_its_name(bench, monkeypatch):
    monkeypatch.setenv("RETAKE_TRAINS_ON", "cpu")
    planned = {
        "dataset": DATASET,
        "weights_result": WEIGHTS,
        "claims": CLAIMS,
        "name": "family=TSN",
        "backbone": "test_resnet",
        "epochs": 1,
    }
    plan = bench.run("plan_network", **planned)
    assert plan.question.startswith("`family=TSN`: to train: at most 1 epoch")
    assert plan.question.endswith("That is more than 2 h.")
    assert bench.run("plan_network", **planned, max_hours=1000).question == ""

    same = planned | {"name": "family=TSN weights=imagenet", "weights": "imagenet"}
    with pytest.raises(BadConfiguration, match="same training as `family=TSN`"):
        bench.run("plan_network", **same)
    kept = bench.store.read(Decision(plan.decision_uri).plan)
    assert kept.question == "", "the plan is that of the network which has the training"
    others = bench.store.read(PLAN_NETWORK.address(PLAN_NETWORK.arguments(store=STORE, **same)))
    assert others.run_key == plan.run_key, "the table shows both names as one"


def test_networks_are_scored_on_val_and_on_test_only_where_the_form_spends_it(bench):
    bench.store.write(Dataset(DATASET).manifest, manifest_of([dataset_clip("a"), dataset_clip("b", "val"), dataset_clip("c", "test")]))
    planned = {"dataset": DATASET, "weights_result": WEIGHTS, "claims": CLAIMS, "name": "family=TSN", "max_hours": 1000}
    on_val, on_test = bench.run("plan_network", **planned), bench.run("plan_network", **planned, split="test")
    assert [[evaluation.split for evaluation in plan.evaluations] for plan in (on_val, on_test)] == [["val"], ["test"]]
    assert on_val.run_key == on_test.run_key
    assert bench.store.read(Decision(on_val.decision_uri).plan) == on_val, "the other plan is not in its place"
    bench.store.write(Dataset(DATASET).manifest, manifest_of([dataset_clip("a"), dataset_clip("b", "val")]))
    with pytest.raises(BadDataset, match="has no clip in test; choose the other split"):
        bench.run("plan_network", **planned, split="test")


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("configure", {"configurations": [f"backbone_weights={SIGNED}", "family=TRN"], "out": f"{STORE}/comparisons/c/"}),
        ("configure", {"configurations": ["family=TSN", "family=TRN"], "checkpoint": SIGNED, "out": f"{STORE}/comparisons/c/"}),
        ("search_plan", {"ranges": [f"backbone_weights={SIGNED},other.pth"]}),
        ("search_plan", {"backbone_weights": SIGNED, "backbone": "resnet50"}),
    ],
)
def test_an_address_with_a_password_is_refused_where_tables_would_repeat_it(bench, step, options):
    before = dict(bench.store.objects)
    with pytest.raises(BadConfiguration, match="put the file into the store") as refused:
        bench.run(step, dataset=DATASET, **options)
    assert "geheim" not in str(refused.value)
    assert bench.store.objects == before
