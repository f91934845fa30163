"""The summary of a model: its history, its scores on today's clips, and its weak classes."""

import numpy as np

from tasks.judge.statistics.scoring import ScoredClips
from tasks.loop.history import (
    Evidence,
    Gain,
    Score,
    Standing,
    champion_since,
    not_scored_now,
    weak_classes,
    with_decision,
    with_gain,
    with_scores,
)
from tasks.store.records.curves import CurveGain, LearningCurveResult, TargetCurve
from tasks.store.records.evaluation import ChampionMove, DecisionRecord
from tests.loop.statuses import NOW, model_status, version
from tests.pipeline.shelf import dataset_clip, manifest_of, words
from tests.records import some

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
