import pytest

from tasks.data.clips.gather_labels import WHOLE
from tasks.predict.interval_scores import reported_scores
from tasks.predict.intervals import Interval as Found
from tasks.predict.scored import FoundIntervals, Names
from tasks.store.records.prediction import KnownInterval, KnownLabels, ScoredVideo
from tasks.store.records.video import Interval
from tests.predict.pages import planned
from tests.records import some

NAMES = Names({0: "take", 1: "put"}, {20: "bag", 26: "meat"})


def film(video, *reported):
    own = tuple(Found(start, stop, verb, 20, 0.9) for start, stop, verb in reported)
    return FoundIntervals(some(ScoredVideo, video=video), ((0, 30), (30, 60)), {"model": own}, {"model": own})


def labels(covered, *intervals):
    stretches = {video: tuple(Interval(start_seconds=a, stop_seconds=b) for a, b in own) for video, own in covered.items()}
    known = (KnownInterval(video=v, start_seconds=a, stop_seconds=b, verb_class=verb, noun_class=20) for v, a, b, verb in intervals)
    return KnownLabels(labels=(), intervals=tuple(known), covered=stretches)


def test_right_intervals_and_false_alarms_are_counted_where_somebody_labelled():
    """Of the second film only half a minute is labelled, in which nothing happens."""
    films = film("a", (0, 10, 0), (10, 20, 1), (40, 50, 0)), film("b", (0, 8, 1), (40, 60, 1))
    known = labels({"a": [(0, 60)], "b": [(0, 30)]}, ("a", 1, 9, 0), ("a", 11, 19, 0))
    (scores,) = reported_scores(planned(0.5, against=False), films, known, NAMES)
    assert (scores.group, scores.num_videos, scores.num_intervals, scores.num_right, scores.num_false_alarms) == ("other", 2, 4, 1, 2)
    assert scores.idle_seconds == 60 - 16 + 30
    assert scores.precision == 0.25
    assert scores.interval[0] < 0.25 < scores.interval[1]
    assert scores.false_alarms_per_minute == pytest.approx(60 * 2 / 74)


def test_only_the_labelled_part_of_an_interval_counts():
    """Of the first two half a second more than half is labelled, of the third less."""
    known = labels({"a": [(0, 6), (20, 26), (40, 45)]}, ("a", 0, 5, 0), ("a", 20, 22, 0))
    (scores,) = reported_scores(planned(0.5, against=False), [film("a", (0, 11, 0), (20, 31, 0), (40, 51, 0))], known, NAMES)
    assert (scores.num_intervals, scores.num_right, scores.num_false_alarms) == (2, 1, 1)
    assert scores.idle_seconds == 1 + 4 + 5


def test_a_film_that_is_labelled_as_a_whole_ends_with_its_last_clip():
    whole = labels({"a": [(WHOLE.start_seconds, WHOLE.stop_seconds)]}, ("a", 0, 8, 0), ("a", 50, 70, 1))
    (scores,) = reported_scores(planned(0.5, against=False), [film("a", (0, 8, 0), (20, 30, 0))], whole, NAMES)
    assert (scores.num_right, scores.num_false_alarms, scores.idle_seconds) == (1, 1, 42)
    assert scores.false_alarms_per_minute == pytest.approx(60 / 42)


def test_without_labels_or_idle_time_nothing_is_said():
    plan = planned(0.5, against=False)
    assert reported_scores(plan, [film("a", (0, 8, 0))], labels({}), NAMES) == ()
    (scores,) = reported_scores(plan, [film("a")], labels({"a": [(0, 8)]}, ("a", 0, 8, 0)), NAMES)
    assert (scores.precision, scores.interval, scores.false_alarms_per_minute) == (None, None, None)


def test_videos_of_val_and_of_training_stand_apart():
    plan = planned(0.5, against=False, trained_on=("a",), measured_on=("b",))
    films = [film(name, (0, 8, 0)) for name in "abc"]
    scores = reported_scores(plan, films, labels({name: [(0, 8)] for name in "abc"}), NAMES)
    assert [each.group for each in scores] == ["other", "val", "training"]
