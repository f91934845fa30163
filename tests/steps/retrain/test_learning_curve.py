"""The step `learning_curve`: what it trains, what it leaves, and when it has nothing to do."""

import csv
import io
import math
import re
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadConfiguration, NothingToDo
from tasks.model.trial_batch import TrialFailure
from tasks.options import LIGHT, LONG, ORIGINAL, THOROUGH, TrainOptions
from tasks.results.fusion import Member
from tasks.results.learning_curve import CurveTrainings
from tasks.results.metrics import Metrics
from tasks.steps.retrain import _curve_trainings, compare, evaluate, learning_curve, report, train
from tasks.steps.retrain._curve_recipe import MAX_STEPS, curve_recipe, stretched
from tests.steps.retrain.test_verb_alone import DECISION, OPTIONS, RUN, run, workbench

__all__ = ["workbench"]

PLAN = f"{DECISION}plan/"
KEPT = f"{RUN}learning_curve/1-crops.json"


@pytest.fixture
def bench(workbench, monkeypatch):
    shelf, book, plan = workbench
    monkeypatch.setattr(learning_curve, "Tracker", SimpleNamespace(from_settings=lambda settings: book))

    def planned(**options):
        chosen = TrainOptions.model_validate(OPTIONS.model_dump() | options)
        shelf.write(f"{PLAN}result.json", plan.model_copy(update={"train": chosen}))
        return shelf, book, plan

    return planned


def test_heads_are_trained_by_their_own_recipe_on_nested_shares_of_whole_videos(bench):
    shelf, book, _ = bench(trainable="heads", epochs=3)
    result = run(learning_curve, shelf, plan=PLAN)
    assert (result.recipe, result.num_clips, result.num_sources, result.num_epochs, result.num_draws) == ("own", 4, 2, 3, 5)
    kept = shelf.read(KEPT, CurveTrainings)
    # Two steps per epoch of 4 clips, one of 1 or 2 clips: twice as many epochs.
    assert {(one.num_clips, one.num_sources, one.num_epochs) for one in kept.trainings} == {(1, 1, 6), (2, 1, 6), (4, 2, 3)}
    assert {(one.num_clips, one.draw) for one in kept.trainings} == {(size, draw) for size in (1, 2, 4) for draw in range(5)}
    assert {(target, len(right)) for one in kept.trainings for target, right in one.right.items()} == {("verb", 4)}
    (curve,) = result.curves
    assert [point.num_clips for point in curve.points] == [1, 2, 4]
    assert curve.majority_top1 == 0.5
    assert "Shares of 4 training clips are too small" in curve.unknown
    table = list(csv.DictReader(io.StringIO(shelf.objects[f"{DECISION}learning_curve/trainings.csv"].decode())))
    assert len(table) == 15
    assert "trainings.csv" in book.files


def test_a_second_decision_on_the_same_training_trains_nothing(bench, monkeypatch):
    shelf, _, plan = bench(trainable="heads")
    first = run(learning_curve, shelf, plan=PLAN)
    monkeypatch.setattr(learning_curve, "train_curve", None)
    before = dict(shelf.objects)
    assert run(learning_curve, shelf, plan=PLAN) == first
    assert shelf.objects == before
    again = f"{RUN}decisions/again/"
    shelf.write(f"{again}plan/result.json", plan.model_copy(update={"decision_uri": again}))
    assert run(learning_curve, shelf, plan=f"{again}plan/") == first


@pytest.mark.slow
def test_of_a_network_that_is_trained_as_a_whole_heads_alone_are_trained_and_the_report_says_so(bench):
    shelf, _, plan = bench()
    run(train, shelf, plan=PLAN)
    result = run(learning_curve, shelf, plan=PLAN)
    assert (result.recipe, result.num_epochs, result.num_asked_epochs) == ("light", LIGHT.epochs, LIGHT.epochs)
    for one in plan.networks:
        run(evaluate, shelf, plan=PLAN, model=one.model)
    run(compare, shelf, plan=PLAN)
    reported = run(report, shelf, plan=PLAN)
    assert shelf.read(reported.metrics_uri, Metrics).learning_curve == result
    page = re.sub(r"<[^>]+>", " ", shelf.objects[reported.report_uri].decode())
    assert "The data cannot tell whether more labels would help." in page
    assert "heads alone were trained by the recipe of preset light" in page


@pytest.mark.parametrize(("told", "switched", "members"), [("switched off", False, False), ("a fusion of trained networks", True, True)])
def test_without_a_curve_to_make_the_step_is_skipped_and_leaves_nothing(bench, told, switched, members):
    shelf, _, plan = bench(trainable="heads")
    member = Member(name="runs/1/", run_key="1", network="n", modality="rgb", flow=None, checkpoint_uri="c", checkpoint_sha256="0")
    weights = plan.weights.model_copy(update={"members": (member,) if members else ()})
    shelf.write(f"{PLAN}result.json", plan.model_copy(update={"weights": weights}))
    before = dict(shelf.objects)
    with pytest.raises(NothingToDo, match=told):
        run(learning_curve, shelf, plan=PLAN, learning_curve=switched)
    assert shelf.objects == before


def test_heads_that_do_not_train_on_a_share_cost_the_curve_and_not_the_run(bench, monkeypatch):
    shelf, _, _ = bench(trainable="heads")
    monkeypatch.setattr(
        _curve_trainings, "run_trials", lambda jobs, num_processes, on_done: on_done(0, TrialFailure(str(BadConfiguration("lower it"))))
    )
    with pytest.raises(NothingToDo, match="no learning curve: on 1 training clip, lower it"):
        run(learning_curve, shelf, plan=PLAN)
    assert KEPT not in shelf.objects


def test_altered_labels_are_the_same_on_every_share(bench, monkeypatch):
    shelf, _, _ = bench(trainable="heads", label_noise=0.5)
    seen = []
    monkeypatch.setattr(_curve_trainings, "run_trials", lambda jobs, **_: seen.extend(job.train for job in jobs))
    with pytest.raises(KeyError):
        run(learning_curve, shelf, plan=PLAN)
    labels = {(clip.frames, clip.verb) for job in seen for clip in job.train}
    assert len(labels) == 4
    assert {job.options.label_noise for job in seen} == {0}


@given(
    recipe=st.sampled_from([ORIGINAL, LIGHT, THOROUGH, LONG, TrainOptions(trainable="heads", schedule="cosine", warmup_epochs=5)]),
    num_clips=st.integers(1, 30_000),
    share=st.floats(0.05, 1),
)
def test_a_share_is_trained_for_as_many_steps_as_all_clips(recipe, num_clips, share):
    whole = curve_recipe(recipe, num_clips)
    size = max(1, math.ceil(share * num_clips))
    part = stretched(whole, size, num_clips)

    def num_steps(options, clips):
        return options.epochs * math.ceil(clips / options.batch_size)

    assert whole.trainable == "heads"
    assert whole.epochs <= min(recipe.epochs, 200)
    assert num_steps(whole, num_clips) <= max(MAX_STEPS, num_steps(whole.model_copy(update={"epochs": 1}), num_clips))
    assert abs(num_steps(part, size) - num_steps(whole, num_clips)) <= math.ceil(size / part.batch_size) / 2
    assert part.feature_variants <= whole.epochs
    assert 1 <= part.validate_every <= part.epochs
    assert part.warmup_epochs < part.epochs
    assert stretched(whole, num_clips, num_clips).model_copy(update={"feature_variants": whole.feature_variants}) == whole


def test_a_network_trained_as_a_whole_keeps_its_input_and_its_frames():
    recipe = curve_recipe(THOROUGH.model_copy(update={"frame_step": 5, "seed": 3}), 40)
    assert (recipe.backbone, recipe.frame_step, recipe.seed, recipe.crop) == ("resnet50", 5, 3, "multi-scale")
    assert (recipe.learning_rate, recipe.epochs, recipe.batch_size, recipe.label_smoothing) == (0.005, 4, 4, 0)
