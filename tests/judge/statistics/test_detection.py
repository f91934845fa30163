from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.judge.statistics import detection, uncertainty
from tasks.judge.statistics.detection import TIOUS, Segment, always_guessing, detection_scores, overlap_ratio

SOURCES = {video: video for video in "abcd"}


def scored(detected, labelled, sources=SOURCES, num_resamples=0):
    return detection_scores(detected, labelled, sources, num_resamples=num_resamples)


@st.composite
def segments(draw, min_size=0, scores=None):
    """Intervals of four videos, each with a score of its own unless `scores` are given."""
    segment = st.builds(
        lambda video, start, length, label, score: Segment(video, start, start + length, label, score),
        st.sampled_from("abcd"),
        st.integers(0, 20),
        st.integers(1, 8),
        st.integers(0, 2),
        st.floats(0, 1) if scores is None else st.sampled_from(scores),
    )
    return draw(st.lists(segment, min_size=min_size, max_size=12, unique_by=None if scores else lambda segment: segment.score))


def average_precision(detected, labelled, tiou):
    """ActivityNet's `compute_average_precision_detection` and `interpolated_prec_rec` for one class, written as there."""
    detected = sorted(detected, key=lambda segment: -segment.score)
    locked, tp, fp = set(), np.zeros(len(detected)), np.zeros(len(detected))
    for i, segment in enumerate(detected):
        truth = [(j, other) for j, other in enumerate(labelled) if other.video == segment.video]
        truth.sort(key=lambda pair: -overlap_ratio(segment, pair[1]))
        for j, other in truth:
            if overlap_ratio(segment, other) < tiou:
                fp[i] = 1
                break
            if j in locked:
                continue
            tp[i] = 1
            locked.add(j)
            break
        if not fp[i] and not tp[i]:
            fp[i] = 1
    recall, precision = np.cumsum(tp) / len(labelled), np.cumsum(tp) / (np.cumsum(tp) + np.cumsum(fp))
    precision, recall = np.hstack([[0], precision, [0]]), np.hstack([[0], recall, [1]])
    for i in range(len(precision) - 1)[::-1]:
        precision[i] = max(precision[i], precision[i + 1])
    rises = np.where(recall[1:] != recall[:-1])[0] + 1
    return np.sum((recall[rises] - recall[rises - 1]) * precision[rises])


@settings(max_examples=50)
@given(segments(), segments(min_size=1))
def test_it_is_activitynets_average_precision(detected, labelled):
    result = scored(detected, labelled)
    assert {precision.label for precision in result.classes} == {segment.label for segment in labelled}
    for precision in result.classes:
        own = [[s for s in listed if s.label == precision.label] for listed in (detected, labelled)]
        assert precision.by_tiou == pytest.approx([average_precision(*own, tiou) for tiou in TIOUS])
    assert result.by_tiou == pytest.approx(np.mean([precision.by_tiou for precision in result.classes], axis=0))
    assert (np.diff(result.by_tiou) <= 1e-9).all()


@settings(max_examples=50)
@given(segments(scores=(0.5, 1)), segments(min_size=1), st.randoms(use_true_random=False))
def test_where_scores_are_equal_neither_the_order_nor_the_names_of_videos_change_anything(detected, labelled, random):
    shuffled, names = random.sample(detected, len(detected)), dict(zip("abcd", random.sample("abcd", 4), strict=True))
    renamed, true = ([replace(segment, video=names[segment.video]) for segment in listed] for listed in (shuffled, labelled))
    assert scored(renamed, true).by_tiou == pytest.approx(scored(detected, labelled).by_tiou)


@pytest.mark.parametrize("right", ["a", "d"])
def test_intervals_of_one_score_are_one_step(right):
    guesses = [Segment(video, 0, 8, 0) for video in "abcd"]
    assert scored(guesses, [Segment(right, 0, 8, 0)]).mean == pytest.approx(0.25)


@settings(max_examples=50)
@given(segments(min_size=1))
def test_what_is_found_as_labelled_is_all_right_unless_labels_repeat(labelled):
    assert scored(labelled, labelled).mean == pytest.approx(1)
    assert scored([], labelled).mean == 0


def test_a_second_interval_on_the_same_label_is_wrong_and_half_of_one_counts_up_to_half():
    labelled = [Segment("a", 0, 10, 0), Segment("a", 20, 30, 0)]
    twice = [Segment("a", 0, 10, 0, 0.9), Segment("a", 1, 10, 0, 0.8), Segment("a", 20, 30, 0, 0.7)]
    assert scored(twice, labelled).mean == pytest.approx((1 + 2 / 3) / 2)
    labelled = [Segment("a", 0, 10, 0)]
    assert scored([Segment("a", 0, 5, 0)], labelled).by_tiou == (1, 1, 1, 1, 1)
    assert scored([Segment("a", 0, 3, 0)], labelled).by_tiou == (1, 1, 1, 0, 0)
    assert scored([Segment("b", 0, 10, 0)], labelled).mean == 0
    assert scored([Segment("a", 0, 10, 1)], labelled).mean == 0


def test_always_guessing_is_as_good_as_the_better_of_two_ways():
    clips = {"a": [(0.0, 8.0), (8.0, 16.0), (16.0, 24.0)], "b": [(0.0, 8.0)]}
    short = [Segment("a", 0, 8, 0), Segment("a", 16, 24, 0), Segment("b", 0, 8, 0), Segment("a", 8, 16, 1)]
    assert [guess.stop_seconds for guess in always_guessing(short, clips)] == [8, 16, 24, 8]
    long = [Segment("a", 0, 24, 0), Segment("b", 0, 8, 1)]
    assert [(guess.start_seconds, guess.stop_seconds) for guess in always_guessing(long, clips)] == [(0, 24), (0, 8)]
    assert {guess.label for guess in always_guessing(long, clips)} == {0}


def test_the_interval_is_over_source_videos_and_holds_the_score():
    rng = np.random.default_rng(0)
    labelled = [Segment(video, 10 * i, 10 * i + 8, int(rng.integers(3))) for video in "abcd" for i in range(5)]
    detected = [Segment(s.video, s.start_seconds, s.stop_seconds, s.label if rng.random() < 0.6 else 0, rng.random()) for s in labelled]
    result = scored(detected, labelled, num_resamples=500)
    low, high = result.interval
    assert 0 <= low < result.mean < high <= 1
    assert scored(detected, labelled, num_resamples=500) == result
    assert all(0 <= low <= precision.mean <= high <= 1 for precision in result.classes for low, high in [precision.interval])


def test_from_one_source_video_no_interval_is_given():
    labelled = [Segment("a", 0, 8, 0), Segment("a", 10, 18, 1), Segment("b", 0, 8, 0)]
    result = scored(labelled, labelled, dict.fromkeys("ab", "one"), num_resamples=100)
    assert (result.interval, {precision.interval for precision in result.classes}) == (None, {None})
    of_each = scored(labelled, labelled, num_resamples=100)
    assert of_each.interval is not None
    assert [precision.interval is None for precision in of_each.classes] == [False, True], "the second class is labelled in one video"
    without_labels = [*labelled[:2], Segment("c", 0, 8, 0)]
    assert scored(without_labels, labelled[:2], num_resamples=100).interval is None, "videos without a label show nothing"


def test_where_the_films_at_hand_are_all_right_the_interval_is_not_a_point():
    labelled = [Segment(video, 10 * i, 10 * i + 8, i % 2) for video in "abc" for i in range(6)]
    low, high = scored(labelled, labelled, num_resamples=100).interval
    assert (0.2 < low < 0.6, high) == (True, 1)
    low, high = scored([], labelled, num_resamples=100).interval
    assert (low, 0.4 < high < 0.8) == (0, True)


def test_figures_are_those_that_the_evidence_was_simulated_with():
    labelled = [Segment(video, 10 * i, 10 * i + 8, i % 3 if video != "a" else 0) for video in "abcd" for i in range(5)]
    guesses = [
        Segment(segment.video, segment.start_seconds + k, segment.stop_seconds + k / 2, (segment.label + (k == 3)) % 3, (k * 7 % 5) / 5)
        for segment, k in zip(labelled, [0, 1, 3, 2, 4] * 4, strict=True)
    ]
    result = scored(guesses, labelled, num_resamples=300)
    assert (*result.interval, result.mean) == pytest.approx((0.2382517, 0.8325957, 0.5494561), abs=1e-6)
    assert [(precision.label, precision.num_labelled) for precision in result.classes] == [(0, 11), (1, 6), (2, 3)]
    limits = [limit for precision in result.classes for limit in precision.interval]
    assert limits == pytest.approx([0.2985093, 0.9933141, 0.2408879, 0.9997428, 0, 0.7075982], abs=1e-6)


def copied(segments, times):
    """Each video as often as `times` says, under names of their own."""
    return [replace(segment, video=f"{segment.video} {copy}") for segment in segments for copy in range(times[segment.video])]


@settings(max_examples=50)
@given(segments(min_size=1, scores=(0.2, 0.5, 1)), segments(min_size=1), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_a_resample_of_whole_videos_is_the_score_of_their_copies(detected, labelled, drawn):
    times = dict(zip("abcd", drawn, strict=True))
    sources = {f"{video} {copy}": video for video, number in times.items() for copy in range(number)}
    for label, number in Counter(segment.label for segment in copied(labelled, times)).items():
        matched = detection._match(label, detected, labelled, {video: i for i, video in enumerate("abcd")}, 4)
        resampled = detection._average_precisions(matched, np.array([drawn]))[:, 0]
        classes = scored(copied(detected, times), copied(labelled, times), sources).classes
        whole = next(precision for precision in classes if precision.label == label)
        assert whole.num_labelled == number
        assert resampled == pytest.approx(whole.by_tiou)


def test_blocks_of_resamples_change_nothing(monkeypatch):
    rng = np.random.default_rng(1)
    labelled = [Segment(video, 10 * i, 10 * i + 8, int(rng.integers(3))) for video in "abcd" for i in range(5)]
    detected = [replace(segment, label=int(rng.integers(3)), score=rng.random()) for segment in labelled]
    whole, sizes, compute = scored(detected, labelled, num_resamples=100), [], detection._average_precisions
    monkeypatch.setattr(uncertainty, "MAX_DRAWS_AT_ONCE", 70)
    monkeypatch.setattr(detection, "_average_precisions", lambda matched, times: sizes.append(len(times)) or compute(matched, times))
    assert scored(detected, labelled, num_resamples=100) == whole
    assert 1 < max(sizes) <= 70 // 4
