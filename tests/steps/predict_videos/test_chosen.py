import json

import numpy as np
import pytest

from tasks.evaluation.metrics import summarise
from tasks.evaluation.scores_file import to_parquet
from tasks.evaluation.scoring import ScoredClips, Timings
from tasks.options import EvaluateOptions, GateOptions, LabelOptions, SegmentOptions, SplitOptions, TrainOptions, Weights
from tasks.results.dataset import NOTHING, ClassRef, Manifest, Vocabulary
from tasks.results.evaluation import EngineUsed
from tasks.results.prediction import Predictor
from tasks.results.training import PlanResult, WeightsResult
from tasks.steps.predict_videos._chosen import Found, baseline_of
from tasks.steps.retrain.plan import evaluations
from tasks.store.layout import Dataset
from tasks.store.runs import Evaluations
from tests.steps.shelf import Shelf

RUN = "s3://retake/runs/0123/"
VOCABULARY = Vocabulary(verbs=(), nouns=())
WEIGHTS = {
    "backbone": "resnet50",
    "weights": Weights.NONE,
    "uri": f"{RUN}c.ckpt",
    "sha256": "0" * 64,
    "description": "none",
    "is_chance": True,
}


@pytest.fixture
def shelf():
    made = Shelf()
    made.write_bytes(f"{RUN}c.ckpt", b"weights")
    return made


def scored(num_clips, seed=0):
    """Answers of which some are wrong."""
    rng = np.random.default_rng(seed)
    verbs, nouns = rng.integers(3, size=(2, num_clips))
    logits = [rng.normal(size=(num_clips, size)).astype(np.float32) for size in (125, 352)]
    for own, true in zip(logits, (verbs, nouns), strict=True):
        own[np.arange(num_clips), true] += 3
    return ScoredClips(tuple(map(str, range(num_clips))), tuple(map(str, range(num_clips))), verbs, nouns, *logits)


def trained(crops):
    """A training that was tested with so many crops."""
    return PlanResult(
        run_key="0123",
        run_uri=RUN,
        dataset_uri="s3://retake/datasets/x/",
        dataset_digest="x",
        train=TrainOptions(),
        evaluate=EvaluateOptions(crops=crops),
        gate=GateOptions(),
        decision_uri=f"{RUN}decisions/{crops}/",
        num_champions=0,
        model_name="m",
        weights=WeightsResult(**WEIGHTS),
        champion=None,
        evaluations=tuple(evaluations(Evaluations(f"{RUN}{crops}/"), ["train", "val"], None)),
    )


def out_of(plan):
    return next(e.out for e in plan.evaluations if (e.model, e.split) == ("baseline", "val"))


def evaluate(shelf, plan, num_clips):
    clips, out = scored(num_clips), out_of(plan)
    engine = EngineUsed(
        name="pytorch", precision="float32", description="", num_checked_clips=0, max_difference=None, tolerance=None, fallback_reason=None
    )
    result = summarise(
        clips,
        Timings(np.ones(num_clips), np.ones(num_clips), total_seconds=1),
        VOCABULARY,
        model="baseline",
        split="val",
        crops=plan.evaluate.crops,
        num_frames=8,
        predictions_uri=f"{out}predictions.parquet",
        engine=engine,
        num_parameters=1,
        num_flops=1,
        peak_memory_bytes=1,
        hardware={},
        fingerprints_uri=None,
        activations=(),
    )
    shelf.write(f"{out}result.json", result)
    shelf.write_bytes(f"{out}predictions.parquet", to_parquet(clips, VOCABULARY))


def baseline(shelf, *plans, crops=10, precision=None):
    model = Predictor(
        label="m version 1",
        description="",
        checkpoint_uri="",
        checkpoint_sha256="",
        flows=(),
        verb_temperature=1,
        noun_temperature=1,
        is_calibrated=False,
        calibration="",
    )
    return baseline_of(Found(model, RUN, plans), crops, shelf, precision).predictor


def test_temperatures_are_of_answers_with_as_many_crops(shelf):
    latest, earlier = trained(1), trained(10)
    evaluate(shelf, latest, 200)
    assert (baseline(shelf, latest, earlier).calibration_crops, baseline(shelf, latest, earlier).is_calibrated) == (1, True)
    evaluate(shelf, earlier, 100)
    found = baseline(shelf, latest, earlier)
    assert found.calibration_crops == 10
    assert found.calibration.endswith("fitted on 100 val clips (10 crops per frame, pytorch float32)")
    assert baseline(shelf, latest, earlier, crops=1).calibration_crops == 1


@pytest.mark.parametrize("name", ["result.json", "predictions.parquet"])
@pytest.mark.parametrize("data", [b"", b"{}", b"PAR1" + bytes(40) + b"PAR1"])
def test_damaged_answers_are_the_reason_why_nothing_is_calibrated(shelf, name, data):
    plan, other = trained(10), trained(1)
    evaluate(shelf, plan, 200)
    shelf.write_bytes(f"{out_of(plan)}{name}", data)
    found = baseline(shelf, plan, other)
    assert (found.is_calibrated, found.verb_temperature, found.calibration_crops) == (False, 1, None)
    assert found.calibration.startswith(f"not calibrated: {out_of(plan)}{name} ")
    evaluate(shelf, other, 100)
    assert baseline(shelf, plan, other).calibration_crops == 1


def test_answers_whose_network_was_not_counted_calibrate_as_all_others_do(shelf):
    plan = trained(10)
    evaluate(shelf, plan, 200)
    expected = baseline(shelf, plan)
    uri = f"{out_of(plan)}result.json"
    result = json.loads(shelf.read_bytes(uri))
    del result["num_parameters"], result["num_flops"]
    shelf.write_bytes(uri, json.dumps(result).encode())
    assert baseline(shelf, plan) == expected
    assert expected.is_calibrated


def test_without_answers_nothing_is_calibrated(shelf):
    assert baseline(shelf, trained(10)).calibration == "not calibrated: no answers on val clips are in the store"


def test_a_plan_from_before_there_was_any_network_but_one_can_be_read():
    old = WeightsResult.model_validate(WEIGHTS)
    assert old.network == "TSN resnet50 rgb"
    assert WeightsResult.model_validate(old.model_dump()) == old
    plan = trained(10).model_dump(mode="json")
    del plan["weights"]["network"]
    assert PlanResult.model_validate(plan) == trained(10)


def test_a_threshold_is_of_the_latest_answers_and_names_their_crops(shelf):
    plan = trained(1)
    evaluate(shelf, plan, 200)
    found = baseline(shelf, plan, precision=0.5)
    assert found.interval_threshold > 0
    assert "(1 crop per frame)" in found.interval_words
    never = baseline(shelf, plan, precision=0.999999)
    assert (never.interval_threshold, never.reports_intervals) == (None, False)
    assert never.interval_words.startswith("none, because ")


def test_without_answers_on_val_intervals_of_any_probability_are_reported(shelf):
    found = baseline(shelf, trained(10), precision=0.8)
    assert (found.interval_threshold, found.reports_intervals) == (None, True)
    assert found.interval_words == "of any probability: no answers on val clips are in the store"


def test_the_threshold_leaves_out_clips_that_the_network_calls_nothing_as_its_dataset_names_it(shelf):
    plan = trained(10)
    evaluate(shelf, plan, 200)
    before = baseline(shelf, plan, precision=0.5)
    manifest = Manifest(
        recipe="r",
        segment=SegmentOptions(),
        label=LabelOptions(),
        split=SplitOptions(),
        vocabulary=Vocabulary(verbs=(ClassRef(id=1, name=NOTHING),), nouns=()),
        clips=(),
        excluded=(),
        warnings=(),
    )
    shelf.write(Dataset(plan.dataset_uri).manifest.uri, manifest)
    after = baseline(shelf, plan, precision=0.5)
    assert after.interval_words != before.interval_words
    assert after.calibration == before.calibration
