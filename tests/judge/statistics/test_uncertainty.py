import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tasks.judge.statistics.uncertainty import share_interval, top1_interval

CLIPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), min_size=1, max_size=40)


@settings(max_examples=30)
@given(clips=CLIPS)
def test_the_interval_holds_the_score_whatever_the_order_of_clips_and_treats_right_and_wrong_alike(clips):
    right, sources = np.array([r for r, _ in clips]), [s for _, s in clips]
    low, high = top1_interval(right, sources)
    assert 0 <= low <= right.mean() <= high <= 1
    assert (low, high) == top1_interval(right[::-1], sources[::-1])
    np.testing.assert_allclose(top1_interval(~right, sources), (1 - high, 1 - low), atol=1e-9)


def test_one_source_says_nothing_of_another():
    assert top1_interval(np.array([True, False, True]), ["a"] * 3) == (0, 1)


def test_clips_of_one_video_do_not_count_as_independent():
    """100 clips of 10 videos, each video all right or all wrong, are as good as 10 clips."""
    right = np.repeat([True, False] * 5, 10)
    low, high = top1_interval(right, np.repeat(np.arange(10), 10).astype(str).tolist())
    alone_low, alone_high = top1_interval(right, [str(i) for i in range(100)])
    assert high - low > 2.5 * (alone_high - alone_low)


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


def test_independent_clips_give_nearly_the_binomial_interval():
    right = np.arange(400) % 4 > 0
    low, high = top1_interval(right, [str(i) for i in range(400)])
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    np.testing.assert_allclose((low, high), (0.75 - half, 0.75 + half), atol=0.01)


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
