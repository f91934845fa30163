"""A video network from its training to the report, every step real, but for the store and MLflow."""

import pytest

from tasks.options import TrainOptions, Weights
from tasks.results.evaluation import EvaluateResult
from tasks.steps.retrain import compare, evaluate, report, train
from tests.model.tiny_video import TINY_VIDEO, tiny_video_network
from tests.steps.retrain import test_verb_alone as verbs
from tests.steps.retrain.test_verb_alone import DECISION, run, workbench

__all__ = ["workbench"]


@pytest.fixture(autouse=True)
def video_network(monkeypatch):
    with tiny_video_network():
        options = TrainOptions(family="3D", backbone=TINY_VIDEO.name, epochs=2, batch_size=2, learning_rate=1e-3, weights=Weights.NONE)
        monkeypatch.setattr(verbs, "OPTIONS", options)
        yield


@pytest.mark.slow
def test_a_video_network_is_trained_evaluated_and_reported(workbench):
    shelf, _, plan = workbench
    run(train, shelf, plan=f"{DECISION}plan/")
    for one in plan.networks:
        run(evaluate, shelf, plan=f"{DECISION}plan/", model=one.model)
    run(compare, shelf, plan=f"{DECISION}plan/")
    reported = run(report, shelf, plan=f"{DECISION}plan/")
    results = {e.model: shelf.read(f"{e.out}result.json", EvaluateResult) for e in plan.evaluations if e.split == "val"}
    assert all(result.engine.name == "openvino" and result.engine.fallback_reason is None for result in results.values())
    assert all(result.num_flops > 0 for result in results.values())
    assert "3D tiny_video rgb, 3 views" in shelf.read_bytes(reported.report_uri).decode()
