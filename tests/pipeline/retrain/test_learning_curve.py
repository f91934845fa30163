"""The step `learning_curve`: what it trains, what it leaves, and when it has nothing to do."""

import csv
import io
import math
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from tasks.errors import BadConfiguration, NothingToDo
from tasks.learn.training.trials import TrialFailure
from tasks.options import LIGHT, LONG, ORIGINAL, TrainOptions, Weights
from tasks.options.base import STORED
from tasks.pipeline._training import fetch_inputs
from tasks.pipeline.learning_curve import learning_curve
from tasks.pipeline.learning_curve.learning_curve import MAX_STEPS, asked_epochs, curve_recipe
from tasks.store.layout import Layout
from tasks.store.records.curves import NoLearningCurve
from tasks.store.records.metrics import Metrics
from tasks.store.records.training import Member
from tasks.store.run_layout import Run
from tasks.tracking.runs import AIRFLOW_RUN_TAG
from tests.loop.statuses import model_status, version
from tests.pipeline.in_process import STORE
from tests.records import some

pytestmark = pytest.mark.slow
RETRAINED = "http://airflow/dags/retrain/runs/r"


@pytest.fixture(autouse=True)
def urgent(monkeypatch):
    """The tests that follow stay as urgent as they are."""
    monkeypatch.setattr("os.nice", lambda _: None)


def reason(bench):
    return bench.store.read(f"{bench.plan.decision_uri}learning_curve/skipped.json", NoLearningCurve).reason


def test_heads_are_trained_on_nested_shares_of_whole_videos_and_not_again_for_a_later_decision(verbs, monkeypatch, caplog):
    plan, niceness = verbs.decide(trainable="heads", epochs=3), []
    monkeypatch.setattr("os.nice", niceness.append)
    model = Layout(STORE).status.of_model(plan.model_name).model
    verbs.store.write(model, model_status(versions=(version(1, "2026-01-01", run_key=plan.run_key),)))
    caplog.set_level("INFO")
    result = verbs.run("learning_curve")
    assert (result.recipe, result.num_clips, result.num_sources, result.num_epochs, result.num_draws) == ("own", 4, 2, 3, 5)
    place = Run(plan.run_uri).learning_curve
    kept = verbs.store.read(place)
    assert {(share.num_clips, share.num_sources, share.num_epochs) for share in kept.trainings} == {(1, 1, 3), (2, 1, 3), (4, 2, 3)}
    assert {(share.num_clips, share.draw) for share in kept.trainings} == {(size, draw) for size in (1, 2, 4) for draw in range(5)}
    assert {(target, len(right)) for share in kept.trainings for target, right in share.right.items()} == {("verb", 4)}
    (curve,) = result.curves
    assert [point.num_clips for point in curve.points] == [1, 2, 4]
    assert curve.majority_top1 == 0.5
    assert "Shares of 4 training clips are too small" in curve.unknown
    assert verbs.store.read(model).expected_gain is None, "shares of four clips cannot tell"
    table = list(csv.DictReader(io.StringIO(verbs.store.objects[f"{plan.decision_uri}learning_curve/trainings.csv"].decode())))
    assert len(table) == 15
    assert "learning_curve/trainings.csv" in verbs.logged.artifacts
    assert "training 15 of 15: 4 clips of 2 source videos" in caplog.text
    assert niceness == [19], "what nobody waits for goes last on shared cores"

    monkeypatch.setattr(learning_curve, "train_curve", None)
    before = dict(verbs.store.objects)
    assert verbs.run("learning_curve") == result
    assert verbs.store.objects == before
    verbs.change(decision_uri=f"{plan.run_uri}decisions/again/")
    verbs.logged.info.status = "FINISHED"
    assert verbs.run("learning_curve") == result
    assert verbs.logged.info.status == "FINISHED", "a decision may have ended it"
    # Version 0.2.0 trained shares for equal steps.
    verbs.store.write(place, kept.model_copy(update={"equal": "steps"}))
    monkeypatch.setattr(learning_curve, "train_curve", lambda *_: kept)
    verbs.change(decision_uri=f"{plan.run_uri}decisions/third/")
    assert verbs.run("learning_curve") == result
    assert verbs.store.read(place) == kept


def test_of_a_network_that_is_trained_as_a_whole_heads_alone_are_trained_and_the_report_says_so_then(verbs, monkeypatch):
    verbs.decide()
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", RETRAINED)
    verbs.run("train")
    verbs.evaluate()
    verbs.run("compare")
    switched_off = verbs.run("report", learning_curve=False)
    assert f"it is switched off; to have it here, start the DAG learning_curve with Plan {verbs.plan.decision_uri}plan/" in verbs.page(
        switched_off
    )
    # As a report that was written before it could await a curve.
    verbs.store.write(f"{verbs.plan.decision_uri}report/result.json", switched_off.model_copy(update={"awaits_curve": False}))
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", "http://airflow/dags/learning_curve/runs/c")
    result = verbs.run("learning_curve")
    assert (result.recipe, result.num_epochs, result.num_asked_epochs) == ("light", LIGHT.epochs, LIGHT.epochs)
    reported = verbs.run("report")
    assert (switched_off.awaits_curve, reported.awaits_curve) == (True, False)
    assert not [uri for uri in verbs.store.objects if "/charges/" in uri], "four clips can decide nothing"
    assert {(look.kind, look.networks) for look in verbs.looks()} == {("decision", (verbs.plan.run_key,)), ("curve", ())}
    numbers = verbs.store.read(reported.metrics_uri, Metrics)
    assert (numbers.learning_curve, numbers.provenance.airflow_run) == (result, RETRAINED)
    assert verbs.logged.data.tags[AIRFLOW_RUN_TAG] == RETRAINED, "the run in MLflow is that of retrain"
    page = re.sub(r"<[^>]+>", " ", verbs.page(reported))
    assert "The data cannot tell whether more labels would help." in page
    assert "heads alone were trained by the recipe of preset light" in page


KNOWS_THEM = "starts from a trained network, which may know all of these clips already"
MEMBER = some(Member)


@pytest.mark.parametrize(
    ("wanted", "changes", "options"),
    [
        ("a fusion of trained networks is not trained", {"members": (MEMBER,)}, {}),
        (KNOWS_THEM, {"weights": Weights.TRAINED}, {}),
        (KNOWS_THEM, {"members": (MEMBER,)}, {"fuse": ["runs/1/"], "join": "features", "trainable": "heads"}),
    ],
)
def test_without_a_curve_to_make_the_step_is_skipped_and_keeps_the_reason_alone(verbs, wanted, changes, options):
    plan = verbs.decide(trainable="heads")
    verbs.change(weights=plan.weights.model_copy(update=changes), train=plan.train.model_copy(update=options))
    before = dict(verbs.store.objects)
    with pytest.raises(NothingToDo, match=f"no learning curve: .*{wanted}"):
        verbs.run("learning_curve")
    assert len(verbs.store.objects.keys() - before.keys()) == 1
    assert wanted in reason(verbs)


def test_heads_that_do_not_train_on_a_share_of_altered_labels_cost_the_curve_and_not_the_run(verbs, monkeypatch):
    plan = verbs.decide(trainable="heads", epochs=2, label_noise=0.5)
    given, jobs = {}, []

    def fetched(*args, **how):
        job, clips = fetch_inputs(*args, **how)
        given.update({clip.frames: clip.verb for clip in job.train})
        return job, clips

    def failed(asked):
        jobs.extend(trial.train for trial in asked)
        yield TrialFailure(str(BadConfiguration("lower it")))

    monkeypatch.setattr(learning_curve, "fetch_inputs", fetched)
    monkeypatch.setattr(learning_curve, "run_trials", failed)
    with pytest.raises(NothingToDo, match="no learning curve: heads do not train on 1 training clip: lower it"):
        verbs.run("learning_curve")
    assert not verbs.store.exists(Run(plan.run_uri).learning_curve.uri)
    assert "lower it" in reason(verbs)
    assert sorted(len(job.train) for job in jobs) == [1] * 5 + [2] * 5 + [4] * 5
    labels = {(clip.frames, clip.verb) for job in jobs for clip in job.train}
    assert len(labels) == 4, "the altered labels are the same on every share"
    assert sum(given[frames] != verb for frames, verb in labels) == 2
    assert {job.options.label_noise for job in jobs} == {0}


@st.composite
def recipes(draw):
    """Options that a form accepts."""
    options = draw(
        st.fixed_dictionaries(
            {
                "trainable": st.just("heads"),
                "epochs": st.integers(1, 400),
                "batch_size": st.sampled_from([1, 4, 32]),
                "schedule": st.sampled_from(["constant", "cosine"]),
                "warmup_epochs": st.integers(0, 20),
                "validate_every": st.integers(1, 9),
                "patience": st.integers(0, 30),
            }
        )
    )
    try:
        return TrainOptions.model_validate(options)
    except ValidationError:
        assume(False)


@given(recipe=st.one_of(st.sampled_from([ORIGINAL, LIGHT, LONG]), recipes()), num_clips=st.integers(1, 30_000))
def test_a_curve_has_the_recipes_epochs_as_far_as_its_steps_are_few(recipe, num_clips):
    whole = curve_recipe(recipe, num_clips)
    steps_per_epoch = math.ceil(num_clips / whole.batch_size)
    assert whole.trainable == "heads"
    assert whole.epochs <= min(recipe.epochs, 200)
    assert whole.epochs * steps_per_epoch <= max(MAX_STEPS, steps_per_epoch)
    assert 1 <= whole.validate_every <= whole.epochs
    assert whole.patience == 0
    TrainOptions.model_validate(whole.model_dump())  # no contradiction, so the schedule has its effect


def test_a_probe_is_fitted_without_epochs():
    recipe = TrainOptions(trainable="heads", head="probe", epochs=60, learning_rate=0.3, feature_variants=4)
    whole = curve_recipe(recipe, 100)
    assert (whole.head, whole.epochs, whole.feature_variants, asked_epochs(recipe)) == (recipe.head, 1, 4, 1)


def test_a_network_trained_as_a_whole_keeps_its_input_and_its_frames():
    given = ORIGINAL.model_dump(mode="json") | {"frame_step": 5, "seed": 3, "mixup": 0.2}
    recipe = curve_recipe(TrainOptions.model_validate(given, context=STORED), 40)
    assert not recipe.gone, "a network of an earlier version has a curve"
    assert (recipe.backbone, recipe.frame_step, recipe.seed, recipe.crop) == ("resnet50", 5, 3, "centre")
    assert (recipe.learning_rate, recipe.epochs, recipe.batch_size, recipe.dropout) == (0.005, 4, 4, 0)
