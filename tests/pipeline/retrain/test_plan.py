"""What `plan` fixes, recommends and warns of."""

import re
from types import SimpleNamespace

import pytest
from pydantic import create_model

from tasks.errors import BadConfiguration
from tasks.judge.gate.gate import choose_deciding_split
from tasks.options import EvaluateOptions, FlowOptions, GateOptions, Head, TrainOptions
from tasks.options.base import STORED
from tasks.pipeline.retrain.contract import PlanArguments
from tasks.pipeline.retrain.plan import _champion as champion_of
from tasks.pipeline.retrain.plan import _previous as previous_of
from tasks.pipeline.retrain.plan import evaluations, rate_warning
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Layout
from tasks.store.records.dataset import NOTHING, DatasetResult
from tasks.store.records.training import Champion, Member, PlanResult
from tasks.store.run_layout import Evaluations, Run
from tasks.tracking import RegisteredVersion, Tracker, tracked_run
from tests.pipeline.in_process import STORE
from tests.pipeline.retrain.bench import DATASET
from tests.pipeline.shelf import Shelf, dataset_clip, manifest_of, plan_result, train_result, weights_result
from tests.records import some

CHAMPION = Champion(version=3, checkpoint_uri="s3://retake/runs/x/train/best.pt", checkpoint_sha256="0" * 64)


@pytest.mark.parametrize(
    ("num_test", "num_sources", "verb", "decisive"),
    [(0, 0, "put", "val"), (10, 3, "put", "test"), (9, 3, "put", "val"), (10, 2, "put", "val"), (10, 3, NOTHING, "val")],
)
def test_test_decides_where_it_has_enough_and_there_the_champion_is_scored_again(num_test, num_sources, verb, decisive):
    """Plans of older versions, which do not say, were decided on any test split."""
    clips = [dataset_clip(split=split) for split in ("train", "val")]
    clips += [dataset_clip(str(i), "test", source=str(i % num_sources), verb=verb) for i in range(num_test)]
    assert choose_deciding_split(clips, GateOptions()) == decisive
    splits = sorted({clip.split for clip in clips})
    planned = evaluations(Evaluations("s3://retake/runs/y/"), splits, decisive, CHAMPION)
    assert [(e.model, e.split) for e in planned if e.model == "champion"] == [("champion", decisive)]
    plans = [plan_result(tuple(planned), deciding_split=split) for split in (decisive, None)]
    assert [plan.decides_on for plan in plans] == [decisive, "test" if num_test else "val"]


@pytest.mark.parametrize(("run_key", "provisional", "number"), [("own", True, None), ("own", False, 3), ("other", True, 3)])
def test_a_provisional_champion_is_not_its_own_opponent(run_key, provisional, number):
    version = RegisteredVersion(3, "", run_key, CHAMPION.checkpoint_uri, CHAMPION.checkpoint_sha256, provisional)
    registry = SimpleNamespace(champion=lambda name: version)
    arguments = PlanArguments(store="s3://retake", weights_result="s3://retake/w/")
    champion, _ = champion_of(arguments, "own", registry, Shelf())
    assert (champion and (champion.version, champion.provisional)) == (number and (number, provisional))


BEFORE = RegisteredVersion(2, "", "0" * 16, "s3://retake/runs/0000000000000000/train/best.pt", "1" * 64)


@pytest.mark.parametrize(
    ("is_champion", "checkpoint", "trained_on", "told"),
    [
        (False, b"c", "ab", ""),
        (True, b"c", "ab", "version 2, the champion"),
        (False, None, "ab", "version 2 is not compared: its checkpoint is gone from the store"),
        (False, b"c", "abv", "version 2 is not compared: it was trained on 1 of the 2 val clips"),
        (False, b"c", None, "version 2 is not compared: the clips that it was trained on are not known any more"),
    ],
)
def test_the_version_before_is_scored_where_it_saw_none_of_the_clips_that_decide(is_champion, checkpoint, trained_on, told):
    shelf, now = Shelf(), manifest_of([dataset_clip("a"), dataset_clip("v", "val"), dataset_clip("w", "val")])
    if checkpoint:
        shelf.write_bytes(BEFORE.checkpoint_uri, checkpoint)
    if trained_on is not None:
        plan = plan_result(dataset_uri="s3://retake/datasets/1/", train=TrainOptions(modality="flow"))
        shelf.write("s3://retake/runs/0000000000000000/decisions/1/plan/result.json", plan)
        shelf.write("s3://retake/datasets/1/manifest.json", manifest_of(map(dataset_clip, trained_on)))
    champion = CHAMPION.model_copy(update={"version": 2 if is_champion else 1})
    registry = SimpleNamespace(previous=lambda name, run_key: BEFORE)
    previous, reason = previous_of(
        "m",
        Run("s3://retake/runs/1111111111111111/"),
        champion,
        {clip.uid for clip in now.clips if clip.split == "val"},
        "val",
        registry,
        shelf,
    )
    assert reason == told
    assert (previous is None) == bool(told)
    if previous:
        assert (previous.version, len(previous.flows)) == (2, 1)
        planned = evaluations(Evaluations("s3://retake/runs/y/"), ["train", "val"], "val", champion, previous)
        assert [(e.split, e.out) for e in planned if e.model == "previous"] == [("val", "s3://retake/runs/y/previous-2/val/")]


def stored(**options):
    return {"train": TrainOptions.model_validate(options, context=STORED)}


def fused(**changes):
    flow = FlowOptions.model_validate({"flow_bound_pixels": changes.pop("bound", 20)}, context=STORED)
    member = some(Member, **{"modality": "flow", "flow": flow} | changes)
    return {"weights": weights_result(members=(member,))}


@pytest.mark.parametrize(
    ("trained", "said"),
    [
        (stored(head="lstm"), "head lstm"),
        (stored(modality="spectrogram"), "modality spectrogram"),
        (stored(modality="sound", trainable="heads", backbone="aisfx"), "backbone aisfx"),
        (stored(modality="flow", flow_bound_pixels=15), "flow_bound_pixels 15"),
        (fused(modality="spectrogram", flow=None), "modality spectrogram"),
        (fused(modality="sound", flow=None, sound="aisfx"), "backbone aisfx"),
        (fused(network="TSN resnet50 rgb, 8 segments, attentive head"), "head attentive"),
        (fused(bound=15), "flow_bound_pixels 15"),
    ],
)
def test_a_network_that_this_version_cannot_build_is_refused_before_anything_trains(trained, said):
    shelf = Shelf()
    shelf.write_bytes(BEFORE.checkpoint_uri, b"c")
    shelf.write("s3://retake/datasets/x/manifest.json", manifest_of([]))
    shelf.write("s3://retake/runs/0000000000000000/decisions/1/plan/result.json", plan_result(**trained))
    registry = SimpleNamespace(previous=lambda name, run_key: BEFORE, champion=lambda name: BEFORE)
    previous, reason = previous_of("m", Run("s3://retake/runs/1111111111111111/"), None, {}, "val", registry, shelf)
    assert (previous, reason) == (None, f"version 2 is not compared: this version no longer has its {said}")
    arguments = PlanArguments(store="s3://retake", weights_result="s3://retake/w/")
    with pytest.raises(BadConfiguration, match=f"the champion, version 2, cannot be scored.* {said}; roll back"):
        champion_of(arguments, "own", registry, shelf)


def test_both_networks_are_scored_on_every_split_under_addresses_of_their_own():
    planned = evaluations(Evaluations("s3://retake/runs/y/"), ["train", "val"], "val", None)
    assert {(e.model, e.split) for e in planned} == {(m, s) for m in ("baseline", "fine-tuned") for s in ("train", "val")}
    assert len({e.out for e in planned}) == 4


def test_a_plan_that_was_stored_with_a_list_of_its_networks_is_read():
    plan = plan_result(evaluations=tuple(evaluations(Evaluations("s3://retake/runs/y/"), ["train", "val"], "val", CHAMPION)))
    stored = {**plan.model_dump(mode="json"), "networks": [{"model": "baseline"}, {"model": "fine-tuned"}, {"model": "champion"}]}
    assert PlanResult.model_validate(stored) == plan


@pytest.mark.parametrize(("fps", "speed"), [(60, "0.5 times"), (25, "1.2 times"), (30, None)])
def test_a_video_network_alone_is_warned_of_clips_that_play_at_another_speed_to_it(fps, speed):
    said = f"mc3_18 knows motion in clips of 30 frames per second, and in these of {fps} it sees things move {speed} as fast.*"
    told = rate_warning(TrainOptions(family="3D", backbone="mc3_18"), fps)
    assert told is None if speed is None else re.fullmatch(said, told)
    assert rate_warning(TrainOptions(), fps) is None


def test_auto_is_planned_as_weights_chose_it_and_what_takes_longer_than_allowed_is_asked_unless_it_is_trained(verbs):
    out = f"{STORE}/pretrained/choices/x/"
    verbs.run("weights", out=out, preset="auto", dataset=DATASET, backbone="test_resnet", weights="none", num_segments=2)

    def plan(**options):
        return verbs.run("plan", weights_result=out, preset="auto", dataset=DATASET, **options)

    short = plan()
    assert (short.train.head, short.train.backbone, short.question, short.inputs) == (Head.PROBE, "test_resnet", "", ())
    assert short.estimate.startswith("to fit: heads by logistic regression on 4 clips")
    assert "more than 1e-09 h" in plan(max_hours=1e-9).question
    verbs.store.write(f"{short.run_uri}train/result.json", train_result("c", "0"))
    assert plan(max_hours=1e-9).question == ""
    assert verbs.store.read(Layout(STORE).latest_plan) == plan()
    newer = some(DatasetResult, dataset_uri=f"{STORE}/datasets/newer/")
    verbs.store.write(Layout(STORE).latest_dataset, newer)
    assert verbs.run("plan", weights_result=out, preset="auto").dataset_uri == DATASET


def test_a_run_that_an_earlier_airflow_run_left_at_work_is_ended_by_the_next_plan(verbs, monkeypatch):
    airflow = "http://airflow:8080/dags/retrain/runs"
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", f"{airflow}/1")
    plan = verbs.decide()
    with tracked_run(Tracker(load(MlflowSettings)), plan):
        left = verbs.logged
    verbs.decide()
    assert left.info.status == "RUNNING"
    monkeypatch.setenv("RETAKE_AIRFLOW_URL", f"{airflow}/2")
    verbs.decide()
    assert left.info.status == "KILLED"


def test_a_new_option_of_the_tests_at_its_default_asks_for_no_other_decision(verbs, monkeypatch):
    before = verbs.decide()
    monkeypatch.setattr(
        "tasks.pipeline.retrain.plan.EvaluateOptions", create_model("Later", __base__=EvaluateOptions, later_option=(int, 3))
    )
    monkeypatch.setattr(PlanArguments, "later_option", 3, raising=False)
    after = verbs.decide()
    assert (after.decision_uri, after.evaluations) == (before.decision_uri, before.evaluations)


@pytest.mark.parametrize(("head", "chooses"), [("linear", True), ("probe", False)])
def test_val_chooses_an_epoch_of_each_network_but_a_probe(head, chooses):
    assert plan_result(train=TrainOptions(head=head, trainable="heads")).val_chooses is chooses
