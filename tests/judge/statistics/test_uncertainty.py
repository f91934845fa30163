import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tasks.judge.statistics import uncertainty
from tasks.judge.statistics.uncertainty import (
    detectable_points,
    holm,
    power,
    power_in_words,
    resample,
    share_interval,
    significant,
    top1_interval,
)

CLIPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), min_size=1, max_size=40)


@settings(max_examples=30)
@given(clips=CLIPS)
def test_the_interval_holds_the_score_whatever_the_order_of_clips_and_treats_right_and_wrong_alike(clips):
    right, sources = np.array([r for r, _ in clips]), [s for _, s in clips]
    low, high = top1_interval(right, sources)
    assert 0 <= low <= right.mean() <= high <= 1
    assert (low, high) == top1_interval(right[::-1], sources[::-1])
    np.testing.assert_allclose(top1_interval(~right, sources), (1 - high, 1 - low), atol=1e-9)


def test_clips_of_one_video_do_not_count_as_independent():
    """100 clips of 10 videos, each video all right or all wrong, are as good as 10 clips."""
    right = np.repeat([True, False] * 5, 10)
    low, high = top1_interval(right, np.repeat(np.arange(10), 10).astype(str).tolist())
    alone_low, alone_high = top1_interval(right, [str(i) for i in range(100)])
    assert high - low > 2.5 * (alone_high - alone_low)
    assert top1_interval(np.array([True, False, True]), ["a"] * 3) == (0, 1), "one source says nothing of another"


@pytest.mark.parametrize("num_clips", [15, 60, 600])
def test_no_mistake_in_few_videos_is_worth_more_than_the_videos_and_less_than_their_clips(num_clips):
    few, many = (top1_interval(np.ones(num_clips, bool), [str(i % n) for i in range(num_clips)]) for n in (3, num_clips))
    three_alone, each_alone = 0.025 ** (1 / 3), 0.025 ** (1 / num_clips)
    assert three_alone < few[0] < 0.45 < many[0] <= each_alone
    assert few[1] == many[1] == 1


@pytest.mark.parametrize(
    ("num_right", "as_clips", "tolerance"),
    [([20] * 6 + [0] * 4, (6, 10), 0.03), ([12] * 30, (360, 600), 0.01)],
    ids=["each alike", "all alike"],
)
def test_videos_of_one_answer_are_worth_a_clip_each_and_videos_that_are_all_alike_nearly_their_clips(num_right, as_clips, tolerance):
    limits = share_interval(np.array(num_right), np.full(len(num_right), 20))
    np.testing.assert_allclose(limits, binomtest(*as_clips).proportion_ci(), atol=tolerance)


@pytest.mark.parametrize(
    ("num_right", "num_clips", "interval"),
    [
        ([1, 4, 2, 9, 0], [2, 5, 10, 9, 3], (0.1631740, 0.8965421)),
        ([3, 5, 4], [5, 5, 5], (0.3267807, 0.9914502)),
        ([0, 0, 7], [4, 4, 8], (0.0398993, 0.9167429)),
        ([2, 1], [3, 9], (0.0026943, 0.8561985)),
        ([40, 55, 61, 70], [80, 80, 80, 80], (0.4302764, 0.9016387)),
    ],
)
def test_limits_are_those_that_the_evidence_was_simulated_with(num_right, num_clips, interval):
    assert share_interval(np.array(num_right), np.array(num_clips)) == pytest.approx(interval, abs=1e-6)


def test_blocks_change_nothing(monkeypatch):
    sums, num_clips = np.arange(7) - 2, np.full(7, 9)
    whole = resample(sums, num_clips, num_resamples=500)
    monkeypatch.setattr(uncertainty, "MAX_DRAWS_AT_ONCE", 50)
    assert resample(sums, num_clips, num_resamples=500) == whole


def test_few_videos_get_students_t():
    """Three videos of ten clips: mean and standard error by hand, t of two degrees of freedom."""
    sums, num_clips = np.array([2, 5, 8]), np.array([10, 10, 10])
    low, high = resample(sums, num_clips, num_resamples=20_000).interval
    reach = 4.3027 * np.std([0.2, 0.5, 0.8], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose((low, high), (0.5 - reach, 0.5 + reach), rtol=0.03)


@settings(max_examples=40)
@given(sums=st.lists(st.integers(-5, 5), min_size=2, max_size=12))
def test_the_p_value_is_below_a_twentieth_where_the_interval_excludes_zero_and_the_other_sign_is_as_sure(sums):
    forth, back = (resample(sign * np.array(sums), np.full(len(sums), 5), num_resamples=500) for sign in (1, -1))
    low, high = forth.interval
    assert 0 <= forth.p_value <= 1
    assert forth.p_value == pytest.approx(back.p_value)
    if forth.p_value < 0.045:
        assert low > 0 or high < 0
    # With few resamples, ties keep the p-value of an interval that just excludes zero up to 0.062.
    if forth.p_value > 0.07:
        assert low <= 0 <= high


@pytest.mark.parametrize(
    ("sums", "num_clips", "interval", "p_value"),
    [([2, -1, 3, 0], [4, 9, 5, 2], (-0.4768935, 0.8768935), 0.4219291), ([1, 0, 2], [3, 3, 3], (-0.5051595, 1.1718262), 0.3027084)],
)
def test_limits_are_those_that_the_evidence_was_simulated_with_in_resampling(sums, num_clips, interval, p_value, monkeypatch):
    monkeypatch.setattr(uncertainty, "BOOTSTRAP_SEED", 3)
    resampled = resample(np.array(sums), np.array(num_clips), num_resamples=500)
    assert (*resampled.interval, resampled.p_value) == pytest.approx((*interval, p_value), abs=1e-6)


def test_what_few_videos_can_show_is_said_in_one_sentence():
    points = f"a difference of {detectable_points([5, 5, 5])} points on actions is detected four times out of five"
    assert power_in_words([5, 5, 5], "val", "action") == f"with these 15 val clips of 3 source videos, {points}"
    assert detectable_points([5] * 10, 0.0025) > detectable_points([5] * 10)
    assert power_in_words([50], "test", "verb").startswith("with these 50 test clips of 1 source video, no difference between two")
    assert "points on verbs is detected" in power_in_words([5, 5, 5], "val", "verb")


def test_the_difference_is_the_least_that_is_seen_four_times_out_of_five_and_equal_networks_are_seldom_told_apart():
    clips = np.full(8, 6)
    points = detectable_points(clips.tolist())
    assert power(points - 1, clips) < 0.8 <= power(points, clips)
    assert power(0, np.full(10, 10)) <= 0.025
    assert power(30, np.full(3, 5)) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize(("fewer", "more"), [([5] * 3, [5] * 6), ([5] * 6, [5] * 20), ([2] * 6, [10] * 6)])
def test_more_videos_and_more_clips_show_smaller_differences(fewer, more):
    assert detectable_points(fewer) > detectable_points(more)


@pytest.mark.slow
def test_thousands_of_videos_cost_seconds():
    started = time.process_time()
    assert 0 < detectable_points([5] * 1000) < 5
    assert time.process_time() - started < 15


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_test_among_others_is_no_surer_than_alone_no_less_sure_than_by_bonferroni_and_keeps_its_place(p_values):
    adjusted = holm(p_values)
    for p, corrected in zip(p_values, adjusted, strict=True):
        assert p <= corrected <= max(p, min(1, len(p_values) * p))
    places = range(len(p_values))
    assert sorted(places, key=lambda i: (adjusted[i], p_values[i], i)) == sorted(places, key=lambda i: (p_values[i], i))


def test_tests_that_could_never_be_significant_cost_the_others_nothing():
    hopeless, clear = 0.25, 0.5**6
    assert significant([clear], [clear]) == [True]
    assert significant([clear, *[0.5] * 7], [clear, *[hopeless] * 7]) == [True, *[False] * 7]
    assert significant([clear, *[0.5] * 7], [clear] * 8) == [False] * 8
    assert significant([], []) == []


@given(counts=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=1, max_size=12))
def test_the_correction_is_no_milder_than_none_and_no_harsher_than_bonferroni(counts):
    p_values = [0.5 ** max(wins - losses, 0) for wins, losses in counts]
    least = [0.5 ** (wins + losses) for wins, losses in counts]
    for p, is_one in zip(p_values, significant(p_values, least), strict=True):
        assert (p <= 0.05 / len(counts)) <= is_one <= (p <= 0.05)
