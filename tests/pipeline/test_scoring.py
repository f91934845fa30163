"""Clips with nothing to hear are found where they are scored, and a network that an engine cannot score takes the others along to the next."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tasks.errors import Unavailable
from tasks.judge.statistics.answers import from_parquet
from tasks.learn.engines.choice import ScoringJob
from tasks.learn.engines.engine import example_view
from tasks.learn.engines.openvino import _best_floating_point
from tasks.learn.engines.scorer import SharedFeatures, make_scorer
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.learn.training.costs import complexity
from tasks.options import EvaluateOptions, Modality
from tasks.pipeline._scoring import Ready, next_scoring
from tasks.store.records.evaluation import EngineUsed, EvaluateResult
from tasks.store.records.training import Champion, Evaluation
from tests.pipeline.retrain.evaluating import CHECKPOINT, SPEC, score, scorings, shelf, undrawn
from tests.pipeline.shelf import RUN, plan_result, put_trained
from tests.records import some

__all__ = ["score", "scorings", "shelf", "undrawn"]

CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))
NUMBERS = {"num_segments": 2, "num_verbs": 5, "num_nouns": 4}
SEES = NetworkSpec(backbone="test_resnet", **NUMBERS)
SOUND = NetworkSpec(backbone="log-mel", modality=Modality.SOUND, **NUMBERS)
CLIPS = [SimpleNamespace(uid=uid, sha256=f"{uid}-") for uid in ("heard", "unheard", "another")]
UIDS = [clip.uid for clip in CLIPS]


def titles(specs):
    return " and ".join(spec.title for spec in specs) if isinstance(specs, list) else str(specs)


def inputs(spec, *, is_silent):
    if spec is SEES:
        return np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)
    return example_view(spec).numpy() * (0 if is_silent else 1)


@pytest.fixture
def make(tmp_path):
    def call(specs):
        saved = Saved(tuple(Network(spec) for spec in specs), (HeadWeights(1, 1),) * len(specs), CLASSES)
        job = ScoringJob(device="cpu", num_clips=3, num_crops=1, checked=list)
        scorer, used = make_scorer(saved, "pytorch", [job] * len(specs))
        shared = SharedFeatures(tmp_path, scorer, used, [clip.sha256 for clip in CLIPS])
        return Ready(scorer, specs, CLASSES, used, complexity(specs, 1), {}, shared)

    return call


@pytest.mark.parametrize("specs", [[SOUND], [SEES, SOUND]], ids=titles)
def test_unheard_clips_are_those_whose_drawn_windows_are_silent(make, specs, caplog):
    first = make(specs)
    for clip in CLIPS:
        first.score(clip, [inputs(spec, is_silent=clip.uid == "unheard") for spec in specs])
    first.shared.close()
    again = make(specs)
    assert all(again.known(clip) for clip in CLIPS)
    assert first.unheard_among(UIDS) == again.unheard_among(UIDS) == ("unheard",)
    assert "1 of 3 clips have nothing to hear: unheard" in caplog.text
    assert again.unheard_among(UIDS[2:]) == ()


def test_a_network_that_sees_hears_nothing_and_misses_nothing(make):
    ready = make([SEES])
    ready.score(CLIPS[0], [np.zeros((2, 256, 300, 3), np.uint8)])
    assert ready.unheard_among(UIDS) == ()


@pytest.mark.parametrize(("specs", "own"), [([SOUND, SOUND], 1), ([SEES, SOUND], 10)], ids=titles)
def test_crops_are_those_of_the_networks_that_have_any(make, specs, own):
    assert (make(specs).own_crops(10), make(specs).own_crops(1)) == (own, 1)


TOO_LARGE = {"bfloat16": 0.1, "float32": 1e4}
"""What all classes have in common in each feature, so that a feature's rounding error in this precision outweighs what tells classes apart."""


@pytest.fixture
def fragile(shelf):
    """Make the fine-tuned network one that OpenVINO fails in this precision."""

    def make(precision):
        network = Network(SPEC, seed=1)
        with torch.no_grad():
            for head in (network.head.fc_verb, network.head.fc_noun):
                head.weight.add_(TOO_LARGE[precision])
        put_trained(shelf, network)

    return make


@pytest.mark.slow
def test_what_was_scored_before_a_network_fell_back_is_scored_again_by_its_engine(score, shelf, fragile, scorings):
    fragile("float32")
    shelf.plan(Champion(version=1, checkpoint_uri=CHECKPOINT, checkpoint_sha256=shelf.sha256), crops=1)
    scorings.killed_at = 7
    with pytest.raises(Unavailable, match="the baseline: killed"):
        score()
    label = shelf.read(f"{RUN}baseline/val/result.json", EvaluateResult).engine.label
    results, run = score()
    assert scorings == [*["train", "val"] * 2, "val", *["train", "val"], "val"], "a retry goes on where scoring again was cut off"
    assert {result.engine.label for result in results.values()} == {"pytorch float32"}
    assert results["fine-tuned", "val"].engine.fallback_reason.startswith("openvino")
    by = f"the baseline by {label}, the new network by pytorch float32 and the champion by pytorch float32 so far"
    assert results["baseline", "train"].engine.fallback_reason == f"one engine scores all networks of a run: {by}"
    assert len(run.history["baseline/val/fps"]) == 2, "the run shows how quick this engine is"
    again = answers(shelf, "baseline")
    shelf.plan(crops=1, engine="pytorch")
    shelf.remove(f"{RUN}baseline/val/result.json")
    score("baseline")
    np.testing.assert_array_equal(again, answers(shelf, "baseline"))


def answers(shelf, model):
    return from_parquet(shelf.objects[f"{RUN}{model}/val/predictions.parquet"], "").verb_logits


@pytest.mark.slow
@pytest.mark.skipif(_best_floating_point() != "bfloat16", reason="this processor has no bfloat16")
def test_in_float32_openvino_goes_on(score, fragile):
    fragile("bfloat16")
    assert {result.engine.label for result in score()[0].values()} == {"openvino float32"}


def by(label, reason=None, **more):
    """An engine, and why it is not a faster one."""
    name, precision = label.split()
    return some(EngineUsed, name=name, precision=precision, fallback_reason=reason, **{"has_backbone": True} | more)


FAST, EXACT, SLOW = by("openvino bfloat16"), by("openvino float32", "rounds"), by("pytorch float32", "fails")
GPU, ON_SOUND = by("cuda bfloat16"), by("pytorch float32", has_backbone=False)
NETWORKS = ("baseline", "fine-tuned", "champion", "previous")


@pytest.mark.parametrize(
    ("used", "wanted", "network", "engine"),
    [
        ((), "auto", "baseline", "auto"),
        ((FAST,), "auto", "fine-tuned", "auto"),
        ((by("pytorch float32"),), "auto", "fine-tuned", "auto"),
        ((SLOW,), "auto", "fine-tuned", "pytorch"),
        ((FAST, EXACT), "auto", "champion", "openvino-float32"),
        ((FAST, EXACT, EXACT, EXACT), "auto", "baseline", "openvino-float32"),
        ((SLOW, SLOW, SLOW, FAST), "auto", None, None),
        ((FAST, FAST, FAST, SLOW), "auto", None, None),
        ((GPU, FAST, FAST, FAST), "auto", "baseline", "pytorch"),
        ((FAST, ON_SOUND, FAST, FAST), "auto", None, None),
        ((FAST, SLOW), "openvino", "champion", "openvino"),
        ((FAST, SLOW, FAST, FAST), "openvino", None, None),
    ],
    ids=[
        *("the first", "a fast engine went well", "few clips", "what is scored later begins with that engine"),
        *("what lacks a result comes first", "then what a coarser engine scored", "the previous version does not follow", "nor lead"),
        *(
            "a machine with a GPU began",
            "heads on sound run alike in every engine",
            "an engine that was asked for",
            "is each network's own",
        ),
    ],
)
def test_the_next_network_is_scored_by_the_engine_that_all_can_use(used, wanted, network, engine):
    evaluations = tuple(Evaluation(model=model, split="val", out=f"{RUN}{model}/") for model in NETWORKS)
    scoring = next_scoring([plan_result(evaluations, evaluate=EvaluateOptions(engine=wanted))], dict(zip(evaluations, used, strict=False)))
    assert (scoring and scoring.evaluations[0].model, scoring and scoring.choice.engine) == (network, engine)
