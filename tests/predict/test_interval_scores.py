import pytest

from tasks.data.clips.gather_labels import WHOLE
from tasks.predict.interval_scores import reported_scores, table, when_scores
from tasks.predict.intervals import Interval
from tasks.predict.scored_video import FoundIntervals
from tasks.store.records.prediction import ScoredVideo
from tests.judge.report.tree import csv_rows
from tests.predict.material import NAMES, VIDEOS, known, labelled, said
from tests.predict.pages import planned
from tests.records import some

PLAN = planned(0.5, against=False)


def film(video, *reported):
    own = tuple(Interval(start, stop, verb, 20, 0.9) for start, stop, verb in reported)
    return FoundIntervals(some(ScoredVideo, video=video), ((0, 30), (30, 60)), {"model": own}, {"model": own})


@pytest.mark.parametrize(
    ("covered", "num_masked", "mean"),
    [(None, 0, 0.5), ({VIDEOS[0]: ((0, 12),), VIDEOS[1]: ((0, 24),)}, 1, 1), ({VIDEOS[0]: ((0, 18),), VIDEOS[1]: ((0, 24),)}, 0, 0.5)],
)
def test_an_interval_where_nobody_labelled_anything_is_neither_right_nor_wrong(find, covered, num_masked, mean):
    """The first film is labelled in part: what is found in the rest of it comes first, and was wrong."""
    plan = planned(None, against=False)
    truth = [*labelled(VIDEOS[0], (0, 12, 0, 20)), *labelled(VIDEOS[1], (0, 12, 0, 20), (12, 24, 1, 26))]
    (scores,) = when_scores(plan, find(plan, said, said, roles=("model",)), known(truth, covered), NAMES)
    assert scores.num_masked == num_masked
    put = next(each for each in scores.networks["model"]["verb"].classes if each.label == 1)
    assert put.by_tiou[-1] == pytest.approx(mean)


def test_networks_are_scored_next_to_always_guessing_and_training_videos_apart(find):
    plan = planned(0.9999, trained_on=(VIDEOS[2],), measured_on=VIDEOS[2:], sources={VIDEOS[1]: VIDEOS[0]})
    truth = [
        *labelled(VIDEOS[0], (0, 12, 0, 20), (12, 24, 1, 26)),
        *labelled(VIDEOS[1], (0, 12, 0, 20), (12, 24, 1, 20), (2, 3, 0, 20)),
        *labelled(VIDEOS[2], (0, 24, 1, 26)),
    ]
    others, trained = when_scores(plan, find(plan, said, said, said), known(truth), NAMES)
    assert when_scores(plan.model_copy(update={"measured_on": VIDEOS[1:]}), find(plan, said, said), known(truth), NAMES)[1].group == "val"
    assert (others.is_trained_on, others.num_videos, others.num_sources, others.num_labelled) == (False, 2, 1, 5)
    assert (trained.is_trained_on, trained.num_videos, trained.num_labelled) == (True, 1, 1)
    verb, noun, action = (others.networks["model"][target] for target in ("verb", "noun", "action"))
    assert [(each.label, each.num_labelled) for each in verb.classes] == [(0, 3), (1, 2)]
    assert verb.by_tiou[-1] == pytest.approx((2 / 3 + 1) / 2), "below the threshold too"
    assert noun.by_tiou[-1] == pytest.approx((2 / 4 + 1 / 2) / 2), "of equal scores neither comes first"
    assert len(action.classes) == 3
    assert others.guessed == {"verb": "take", "noun": "=bag", "action": "take =bag"}
    assert others.guessing["action"].mean < action.mean
    assert [each.name for each in others.classes("action")] == ["take =bag", "put =bag", "put meat"]
    lines = csv_rows(table((others, trained), plan, NAMES))
    mean = next(line for line in lines if (line["network"], line["target"], line["class"]) == ("m", "verb", "(mean of classes)"))
    assert float(mean["ap_0.5"]) == pytest.approx((2 / 3 + 1) / 2, abs=1e-6)
    assert {line["network"] for line in lines} == {"m", "base", "always guessing"}
    assert {(line["ap_mean_low"], line["ap_mean_high"]) for line in lines} == {("", "")}, "one source video shows no spread"
    assert not others.has_intervals


def test_from_two_source_videos_on_means_and_classes_have_intervals(find):
    plan = planned(None)
    truth = [*labelled(VIDEOS[0], (0, 12, 0, 20), (12, 24, 1, 26)), *labelled(VIDEOS[1], (0, 12, 0, 20), (12, 24, 1, 20))]
    scores = when_scores(plan, find(plan, said, said), known(truth), NAMES)
    assert scores[0].has_intervals
    for line in csv_rows(table(scores, plan, NAMES)):
        if line["class"] in ("meat", "put =bag", "put meat"):
            assert line["ap_mean_low"] == line["ap_mean_high"] == ""
        else:
            assert 0 <= float(line["ap_mean_low"]) <= float(line["ap_mean"]) <= float(line["ap_mean_high"]) <= 1


def test_without_labelled_intervals_nothing_is_scored(find):
    plan = planned(None)
    assert when_scores(plan, find(plan, said), known([]), NAMES) == ()
    assert when_scores(plan, find(plan, said), known(labelled(VIDEOS[1], (0, 8, 0, 20))), NAMES) == ()


def test_videos_with_windows_of_one_network_are_left_out_for_both_and_counted(find):
    plan = planned(None)
    both, alone = find(plan, said), find(plan, said, said, roles=("model",))[1:]
    truth = [*labelled(VIDEOS[0], (0, 12, 0, 20)), *labelled(VIDEOS[1], (0, 12, 0, 20))]
    (scores,) = when_scores(plan, [*both, *alone], known(truth), NAMES)
    assert (scores.num_videos, scores.num_left_out) == (1, 1)
    (scores,) = when_scores(plan, alone, known(truth), NAMES)
    assert (scores.num_videos, scores.num_left_out, set(scores.networks)) == (1, 0, {"model"})


def test_right_intervals_and_false_alarms_are_counted_where_somebody_labelled():
    """Of the second film only half a minute is labelled, in which nothing happens."""
    films = film("a", (0, 10, 0), (10, 20, 1), (40, 50, 0)), film("b", (0, 8, 1), (40, 60, 1))
    labels = known(labelled("a", (1, 9, 0, 20), (11, 19, 0, 20)), {"a": [(0, 60)], "b": [(0, 30)]})
    (scores,) = reported_scores(PLAN, films, labels, NAMES)
    assert (scores.group, scores.num_videos, scores.num_intervals, scores.num_right, scores.num_false_alarms) == ("other", 2, 4, 1, 2)
    assert scores.idle_seconds == 60 - 16 + 30
    assert scores.precision == 0.25
    assert scores.interval[0] < 0.25 < scores.interval[1]
    assert scores.false_alarms_per_minute == pytest.approx(60 * 2 / 74)


def test_only_the_labelled_part_of_an_interval_counts():
    """Of the first two half a second more than half is labelled, of the third less."""
    labels = known(labelled("a", (0, 5, 0, 20), (20, 22, 0, 20)), {"a": [(0, 6), (20, 26), (40, 45)]})
    (scores,) = reported_scores(PLAN, [film("a", (0, 11, 0), (20, 31, 0), (40, 51, 0))], labels, NAMES)
    assert (scores.num_intervals, scores.num_right, scores.num_false_alarms) == (2, 1, 1)
    assert scores.idle_seconds == 1 + 4 + 5


def test_a_film_that_is_labelled_as_a_whole_ends_with_its_last_clip():
    whole = known(labelled("a", (0, 8, 0, 20), (50, 70, 1, 20)), {"a": [(WHOLE.start_seconds, WHOLE.stop_seconds)]})
    (scores,) = reported_scores(PLAN, [film("a", (0, 8, 0), (20, 30, 0))], whole, NAMES)
    assert (scores.num_right, scores.num_false_alarms, scores.idle_seconds) == (1, 1, 42)
    assert scores.false_alarms_per_minute == pytest.approx(60 / 42)


def test_without_labels_or_idle_time_nothing_is_said():
    assert reported_scores(PLAN, [film("a", (0, 8, 0))], known([], {}), NAMES) == ()
    (scores,) = reported_scores(PLAN, [film("a")], known(labelled("a", (0, 8, 0, 20)), {"a": [(0, 8)]}), NAMES)
    assert (scores.precision, scores.interval, scores.false_alarms_per_minute) == (None, None, None)


def test_videos_of_val_and_of_training_stand_apart():
    plan = planned(0.5, against=False, trained_on=("a",), measured_on=("b",))
    films = [film(name, (0, 8, 0)) for name in "abc"]
    scores = reported_scores(plan, films, known([], {name: [(0, 8)] for name in "abc"}), NAMES)
    assert [each.group for each in scores] == ["other", "val", "training"]
