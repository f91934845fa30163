"""A network that an engine cannot score takes those that it is compared with along to the next engine."""

import hashlib

import numpy as np
import pytest
import torch

from tasks.errors import Unavailable
from tasks.judge.statistics.scores_file import from_parquet
from tasks.judge.statistics.scoring import score_clips
from tasks.learn.engines.openvino import _best_floating_point
from tasks.learn.networks.checkpoints import save
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import no_names
from tasks.pipeline.retrain import _ready
from tasks.pipeline.retrain._one_engine import scored_otherwise
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.training import Champion, PlanResult, TrainResult
from tests.pipeline.retrain.evaluating import CHECKPOINT, SPEC
from tests.pipeline.shelf import RUN, train_result

pytestmark = pytest.mark.slow

TOO_LARGE = {"bfloat16": 0.1, "float32": 1e4}
"""What all classes have in common in each feature, so that a feature's rounding error in this precision outweighs what tells classes apart."""
PLAN = f"{RUN}decisions/d/plan/result.json"


@pytest.fixture
def fragile(shelf, tmp_path):
    """Make the fine-tuned network one that OpenVINO fails in this precision."""

    def make(precision):
        network = Network(SPEC, seed=1)
        with torch.no_grad():
            for head in (network.head.fc_verb, network.head.fc_noun):
                head.weight.add_(TOO_LARGE[precision])
        save(tmp_path / "fragile.ckpt", network, no_names(SPEC))
        data = (tmp_path / "fragile.ckpt").read_bytes()
        shelf.write_bytes(f"{RUN}fragile.ckpt", data)
        shelf.write(f"{RUN}train/result.json", train_result(f"{RUN}fragile.ckpt", hashlib.sha256(data).hexdigest()))

    return make


def engines(shelf):
    """The engine of each evaluation that has a result."""
    plan = shelf.read(PLAN, PlanResult)
    places = {(one.model, one.split): f"{one.out}result.json" for one in plan.evaluations}
    return {which: shelf.read(uri, EvaluateResult).engine for which, uri in places.items() if uri in shelf.objects}


def labels(shelf):
    return {used.label for used in engines(shelf).values()}


def answers(shelf, model, split="val"):
    return from_parquet(shelf.objects[f"{RUN}{model}/{split}/predictions.parquet"], "").verb_logits


def test_what_was_scored_before_a_network_fell_back_is_scored_again_by_its_engine(score, shelf, fragile, scorings):
    fragile("float32")
    before, run = score("baseline")
    assert before["val"].engine.name == "openvino"
    logged = dict(run.data.metrics)
    score("fine-tuned")
    assert labels(shelf) == {"pytorch float32"}
    assert scorings == ["train", "val"] * 3
    used = engines(shelf)
    assert used["fine-tuned", "val"].fallback_reason.startswith("openvino")
    assert used["baseline", "val"].fallback_reason == (
        "one engine scores all networks of a run, of which "
        f"the baseline by {before['val'].engine.label} and the new network by pytorch float32 so far"
    )
    again = answers(shelf, "baseline")
    assert run.data.metrics["baseline/val/fps"] != logged["baseline/val/fps"], "the run shows how quick this engine is"
    shelf.plan(crops=1, engine="pytorch")
    shelf.remove(f"{RUN}baseline/val/result.json")
    score("baseline")
    np.testing.assert_array_equal(again, answers(shelf, "baseline"))


@pytest.mark.skipif(_best_floating_point() != "bfloat16", reason="this processor has no bfloat16")
def test_in_float32_openvino_goes_on(score, shelf, fragile):
    fragile("bfloat16")
    score("baseline")
    assert labels(shelf) == {"openvino bfloat16"}
    score("fine-tuned")
    assert labels(shelf) == {"openvino float32"}


@pytest.mark.parametrize(
    ("models", "splits"),
    [(("fine-tuned", "baseline"), ["train", "val"] * 2), (("champion", "fine-tuned"), ["val", "train", "val", "val"])],
    ids=["what is scored later begins with that engine", "a champion, scored on fewer clips, comes along"],
)
def test_nothing_is_scored_again_but_what_another_engine_scored(score, shelf, fragile, scorings, models, splits):
    fragile("float32")
    if "champion" in models:
        shelf.plan(Champion(version=1, checkpoint_uri=CHECKPOINT, checkpoint_sha256=shelf.sha256), crops=1)
    for model in models:
        score(model)
    assert labels(shelf) == {"pytorch float32"}
    assert scorings == splits


def test_no_network_follows_the_previous_version_which_decides_nothing(score, shelf, fragile):
    fragile("float32")
    weak = shelf.read(f"{RUN}train/result.json", TrainResult)
    shelf.plan(previous=Champion(version=1, checkpoint_uri=weak.checkpoint_uri, checkpoint_sha256=weak.checkpoint_sha256), crops=1)
    score("previous")
    score("baseline")
    assert {model: used.name for (model, _), used in engines(shelf).items()} == {"previous": "pytorch", "baseline": "openvino"}


@pytest.mark.parametrize(("first", "between"), [("fine-tuned", "baseline"), ("baseline", "fine-tuned")])
def test_of_two_evaluations_at_once_the_one_that_ends_last_puts_them_right(score, shelf, fragile, monkeypatch, first, between):
    fragile("float32")
    waiting = [between]

    def scored_meanwhile(*arguments, **options):
        if waiting:
            score(waiting.pop())
            assert len(labels(shelf)) == 1, "of a network that is still being scored"
        return score_clips(*arguments, **options)

    monkeypatch.setattr(_ready, "score_clips", scored_meanwhile)
    score(first)
    assert labels(shelf) == {"pytorch float32"}


def test_results_of_an_earlier_decision_are_scored_again_by_their_own_step(score, shelf, fragile):
    score("baseline")
    shelf.remove(f"{RUN}decisions/d/evaluate/baseline/result.json")
    fragile("float32")
    score("fine-tuned")
    assert {model: used.name for (model, _), used in engines(shelf).items()} == {"baseline": "openvino", "fine-tuned": "pytorch"}
    score("baseline")
    assert labels(shelf) == {"pytorch float32"}


def test_a_retry_goes_on_where_scoring_again_was_cut_off(score, shelf, fragile, scorings):
    fragile("float32")
    score("baseline")
    scorings.killed_at = 6
    with pytest.raises(Unavailable, match="killed"):
        score("fine-tuned")
    assert [used.name for (model, _), used in engines(shelf).items() if model == "baseline"] == ["pytorch", "openvino"]
    score("fine-tuned")
    assert scorings == [*["train", "val"] * 3, "val"]
    assert labels(shelf) == {"pytorch float32"}


def test_what_a_machine_with_a_gpu_scored_is_scored_again_by_one_without(score, shelf):
    for split, result in score("baseline")[0].items():
        on_gpu = result.engine.model_copy(update={"name": "cuda", "precision": "bfloat16"})
        shelf.write(f"{RUN}baseline/{split}/result.json", result.model_copy(update={"engine": on_gpu}))
    score("fine-tuned")
    assert labels(shelf) == {"pytorch float32"}
    assert "the baseline by cuda bfloat16 and the new network by openvino" in engines(shelf)["baseline", "val"].fallback_reason


def test_an_engine_that_was_asked_for_is_that_of_each_network_alone(score, shelf, fragile):
    fragile("float32")
    shelf.plan(crops=1, engine="openvino")
    score("baseline")
    score("fine-tuned")
    assert {model: used.name for (model, _), used in engines(shelf).items()} == {"baseline": "openvino", "fine-tuned": "pytorch"}


def test_heads_on_sound_run_alike_in_every_engine(score, shelf):
    score("baseline")
    place = f"{RUN}fine-tuned/val/result.json"
    result = score("fine-tuned")[0]["val"]
    heads = result.engine.model_copy(update={"name": "pytorch", "precision": "float32", "has_backbone": False})
    plan = shelf.read(PLAN, PlanResult)
    for has_backbone in (False, True):
        shelf.write(place, result.model_copy(update={"engine": heads.model_copy(update={"has_backbone": has_backbone})}))
        assert bool(scored_otherwise(plan, shelf)) == has_backbone
