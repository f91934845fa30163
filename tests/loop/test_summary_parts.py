"""The parts of the summary, made from the records of steps."""

import numpy as np

from tasks.judge.statistics.scoring import ScoredClips
from tasks.loop.summary_parts import (
    MAX_PREDICTIONS,
    Evidence,
    Gain,
    Score,
    Standing,
    agreement_in_words,
    champion_since,
    dataset_status,
    labels_status,
    not_scored_now,
    videos_status,
    weak_classes,
    with_decision,
    with_gain,
    with_prediction,
    with_scores,
)
from tasks.store.records.curves import CurveGain, LearningCurveResult, TargetCurve
from tasks.store.records.dataset import Agreement, DatasetResult, LabelledClip, LabelResult, LabelsFile, ReadFolder
from tasks.store.records.decisions import ChampionMove, DecisionRecord
from tasks.store.records.status import DatasetChange, PredictionStatus
from tasks.store.records.video import SummaryResult
from tests.data.labels.records import clip_record
from tests.loop.statuses import NOW, model_status, version
from tests.pipeline.shelf import dataset_clip, manifest_of, words
from tests.records import some

AT = tuple(f"2026-11-{day}T08:00:00.000Z" for day in (10, 11, 12, 13))


def test_an_ingest_that_brings_nothing_new_keeps_the_time_of_the_last_film():
    summary = some(SummaryResult, num_clips=30, num_set_aside=0)
    first = videos_status(None, summary, 3, AT[0])
    assert (first.num_videos, first.num_new, first.new_at) == (3, 0, AT[0])
    second = videos_status(first, summary, 5, AT[1])
    third = videos_status(second, summary, 5, AT[2])
    assert {(part.num_videos, part.num_new, part.new_at) for part in (second, third)} == {(5, 2, AT[1])}
    fewer = videos_status(third, summary, 4, AT[3])
    assert (fewer.num_videos, fewer.num_new, fewer.new_at) == (4, 2, AT[1])


def test_labels_are_counted_by_folder_file_and_person():
    origins = ["folder put meat"] * 2 + ["a, b.csv:12", "a, b.csv:13", "other: tool.json, video 3"] + ["the page Label"] * 2 + [None]
    clips = tuple(some(LabelledClip, clip=clip_record("v", uid=f"u{number}"), origin=origin) for number, origin in enumerate(origins))
    labels = some(LabelsFile, clips=clips, folders=(some(ReadFolder, folder="put meat"),), agreement=None)
    result = some(LabelResult, num_clips=8, num_labelled=7, num_unsure=1, num_statements=2)
    part = labels_status(labels, result, {"u5": "ada", "u6": "bea"}, AT[0])
    assert {(origin.kind, origin.name): origin.num_clips for origin in part.by_origin} == {
        ("folder", "put meat"): 2,
        ("file", "a, b.csv"): 2,
        ("file", "other: tool.json"): 1,
        ("person", "ada"): 1,
        ("person", "bea"): 1,
    }
    assert (part.num_clips, part.num_labelled, part.num_unsure, part.num_statements, part.agreement) == (8, 7, 1, 2, "")


def test_agreement_is_told_in_a_sentence():
    agreement = Agreement(num_clips=40, num_videos=5, share=0.9, kappa=-0.1234, interval=(-0.3, 0.25))
    assert agreement_in_words(agreement) == (
        "Two readers give the same answer to 90.0 % of 40 clips of 5 videos; Cohen's kappa \N{MINUS SIGN}0.12 [\N{MINUS SIGN}0.30, 0.25], 95 % interval over videos."
    )
    assert "kappa cannot be told" in agreement_in_words(agreement.model_copy(update={"kappa": None, "interval": None}))


def test_a_dataset_keeps_its_change_and_its_place_until_another_comes():
    def result(digest):
        counts = {"train": 4, "val": 2, "test": 0}
        return some(DatasetResult, digest=digest, num_clips=counts, num_sources=counts)

    change = some(DatasetChange, before="d1")
    first = dataset_status(None, result("d1"), None, AT[0])
    second = dataset_status(first, result("d2"), change, AT[1])
    again = dataset_status(second, result("d2"), None, AT[2])
    assert (again.change, again.datasets) == (change, second.datasets)
    back = dataset_status(again, result("d1"), change, AT[3])
    assert [(kept.digest, kept.at) for kept in back.datasets] == [("d1", AT[3]), ("d2", AT[1])]
    assert [(split.split, split.num_clips) for split in back.splits] == [("train", 4), ("val", 2), ("test", 0)]


def test_the_latest_predictions_are_kept_each_once():
    kept = None
    for number in (*range(MAX_PREDICTIONS + 2), 5):
        kept = with_prediction(kept, some(PredictionStatus, prediction_uri=f"p{number}"))
    assert [known.prediction_uri for known in kept.predictions] == ["p5", "p11", "p10", "p9", "p8", "p7", "p6", "p4", "p3", "p2"]


EVIDENCE = Evidence("val", (), 3, Gain(2.0, (-1.0, 5.0), 100))
CHAMPION = Standing(3, provisional=False, since=NOW)


def test_a_decision_is_there_once_however_often_it_is_added():
    entry = version(3, NOW)
    model = with_decision(model_status(), "retake-tsn", entry, CHAMPION, EVIDENCE, NOW)
    assert with_decision(model, "retake-tsn", entry, CHAMPION, EVIDENCE, NOW) == model
    assert [known.version for known in model.versions] == [3, 2, 1]
    assert (model.champion, model.num_doubtful, model.expected_gain, model.now_dataset) == (3, 3, 2.0, "d2")


def test_scores_on_another_dataset_take_the_place_of_all_earlier_ones():
    score = Score(55.0, (30.0, 70.0), num_left_out=1)
    same, other = (with_scores(model_status(), dataset, "val", {1: score}) for dataset in ("d2", "d3"))
    assert [known.top1_now for known in same.versions] == [40.0, 55.0]
    assert [known.top1_now for known in other.versions] == [None, 55.0]
    assert (other.now_dataset, other.versions[1].num_left_out) == ("d3", 1)
    assert [known.version for known in not_scored_now(other, 10)] == [2]
    assert [known.top1_now for known in with_scores(model_status(), "d2", "test", {1: score}).versions] == [None, 55.0]


def test_a_version_that_was_decided_on_twice_is_scored_once():
    entries = (version(1, NOW, "champion again"), *model_status().versions)
    twice = model_status(versions=tuple(entry.model_copy(update={"top1_now": None}) for entry in entries))
    assert [known.version for known in not_scored_now(twice, 10)] == [1, 2]
    assert [known.version for known in not_scored_now(twice, 1)] == [1]


def test_a_gain_is_that_of_the_training_that_was_decided_on_last():
    gains = tuple(CurveGain(times=times, num_clips=100 * times, gain=0.04 * times, interval=(-0.01, 0.1)) for times in (2, 4))
    curve = some(TargetCurve, target="action", gains=gains)
    gain = Gain.of(some(LearningCurveResult, num_clips=100, curves=(curve,)))
    assert gain == Gain(8.0, (-1.0, 10.0), 100)
    model = with_gain(model_status(), f"{2:016x}", gain)
    assert (model.expected_gain, model.gain_interval, model.gain_clips) == (8.0, (-1.0, 10.0), 100)
    assert Gain.kept_in(model) == gain
    assert with_gain(model_status(), f"{1:016x}", gain) is None
    assert with_gain(None, f"{1:016x}", gain) is None
    assert Gain.of(some(LearningCurveResult, curves=(some(TargetCurve, target="action", gains=()),))) is None


def test_a_champion_that_was_confirmed_is_one_since_its_first_move():
    moves = [
        ChampionMove(number=number, key="k", decision=some(DecisionRecord, champion_after=after, time=f"day {number}"))
        for number, after in enumerate((1, 2, 1, 1), 1)
    ]
    assert champion_since(moves, 1) == "day 3"
    assert champion_since(moves, 2) is None
    assert champion_since([], None) is None


def test_the_worst_classes_are_those_that_are_surely_bad_with_their_worst_clips():
    labels = [(0, 20)] * 10 + [(1, 26)] + [(9, 41)] * 4
    names = {0: "take", 1: "put", 9: "move"}, {20: "bag", 26: "meat", 41: "sauce"}
    clips = [
        dataset_clip(f"c{number:02}", "val", verb=names[0][verb], noun=names[1][noun], verb_class=verb, noun_class=noun)
        for number, (verb, noun) in enumerate(labels)
    ]
    verbs, nouns = (np.array(column) for column in zip(*labels, strict=True))
    verb_logits, noun_logits = np.zeros((15, 10), np.float32), np.zeros((15, 42), np.float32)
    right = [0, 11, 12, 13, 14]
    verb_logits[right, verbs[right]] = noun_logits[right, nouns[right]] = 9
    wrong = [number for number in range(15) if number not in right]
    verb_logits[wrong, 5] = 1 + np.arange(len(wrong))
    scored = ScoredClips(tuple(clip.uid for clip in clips), ("s",) * 15, verbs, nouns, verb_logits, noun_logits)
    worst, second = weak_classes(scored, manifest_of(clips, words(*names)))
    assert (worst.name, worst.num_right, worst.num_clips, worst.uids) == ("take bag", 1, 10, ("c09", "c08", "c07", "c06"))
    assert (second.name, second.verb, second.noun, second.num_right, second.num_clips) == ("put meat", "put", "meat", 0, 1)
