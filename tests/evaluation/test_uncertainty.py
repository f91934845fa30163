import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tasks.evaluation.uncertainty import share_interval, top1_interval


def exact(num_right, num_clips):
    return binomtest(num_right, num_clips).proportion_ci()


CLIPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), min_size=1, max_size=40)


@settings(max_examples=30)
@given(clips=CLIPS)
def test_the_interval_holds_the_score_and_ignores_the_order_of_clips(clips):
    right, sources = np.array([r for r, _ in clips]), [s for _, s in clips]
    low, high = top1_interval(right, sources)
    assert 0 <= low <= right.mean() <= high <= 1
    assert (low, high) == top1_interval(right[::-1], sources[::-1])


@settings(max_examples=30)
@given(clips=CLIPS)
def test_right_and_wrong_are_treated_alike(clips):
    right, sources = np.array([r for r, _ in clips]), [s for _, s in clips]
    low, high = top1_interval(right, sources)
    mirrored_low, mirrored_high = top1_interval(~right, sources)
    np.testing.assert_allclose((mirrored_low, mirrored_high), (1 - high, 1 - low), atol=1e-9)


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


def test_videos_that_are_each_right_or_wrong_throughout_are_worth_a_clip_each():
    low, high = share_interval(np.array([20] * 6 + [0] * 4), np.full(10, 20))
    np.testing.assert_allclose((low, high), exact(6, 10), atol=0.03)


def test_videos_that_are_all_alike_are_nearly_worth_their_clips():
    low, high = share_interval(np.full(30, 12), np.full(30, 20))
    np.testing.assert_allclose((low, high), exact(360, 600), atol=0.01)


def test_independent_clips_give_nearly_the_binomial_interval():
    right = np.arange(400) % 4 > 0
    low, high = top1_interval(right, [str(i) for i in range(400)])
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    np.testing.assert_allclose((low, high), (0.75 - half, 0.75 + half), atol=0.01)


def test_95_of_100_intervals_hold_the_truth_with_few_videos():
    """Six videos whose own rates vary around 0.6: the plain percentile interval would hold it about 87 times."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        right = rng.random((6, 12)) < rng.beta(6, 4, size=(6, 1))
        low, high = top1_interval(right.ravel(), np.repeat(np.arange(6), 12).astype(str).tolist())
        held += low <= 0.6 <= high
    assert held / 300 >= 0.93


def test_95_of_100_intervals_hold_the_truth_with_three_videos():
    """Between the lowest and the highest of three videos' own rates lies the truth in three of four samples."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        right = rng.random((3, 12)) < rng.beta(3, 2, size=(3, 1))
        low, high = top1_interval(right.ravel(), np.repeat(np.arange(3), 12).astype(str).tolist())
        held += low <= 0.6 <= high
    assert held / 300 >= 0.93
