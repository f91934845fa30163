import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation import uncertainty
from tasks.evaluation.uncertainty import resampled_interval, top1_interval

CLIPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdefgh")), min_size=1, max_size=40)


@settings(max_examples=30)
@given(clips=CLIPS, seed=st.integers(0, 100))
def test_the_interval_holds_the_score_and_ignores_the_order_of_clips(clips, seed):
    right, sources = np.array([r for r, _ in clips]), [s for _, s in clips]
    low, high = top1_interval(right, sources, num_resamples=200, seed=seed)
    assert 0 <= low <= right.mean() <= high <= 1
    assert (low, high) == top1_interval(right[::-1], sources[::-1], num_resamples=200, seed=seed)


@settings(max_examples=30)
@given(clips=CLIPS)
def test_right_and_wrong_are_treated_alike(clips):
    right, sources = np.array([r for r, _ in clips]), [s for _, s in clips]
    low, high = top1_interval(right, sources, num_resamples=200)
    mirrored_low, mirrored_high = top1_interval(~right, sources, num_resamples=200)
    np.testing.assert_allclose((mirrored_low, mirrored_high), (1 - high, 1 - low), atol=1e-9)


def test_one_source_says_nothing_of_another():
    assert top1_interval(np.array([True, False, True]), ["a"] * 3) == (0, 1)


def test_clips_of_one_video_do_not_count_as_independent():
    """100 clips of 10 videos, each video all right or all wrong, are as good as 10 clips."""
    right = np.repeat([True, False] * 5, 10)
    low, high = top1_interval(right, np.repeat(np.arange(10), 10).astype(str).tolist())
    alone_low, alone_high = top1_interval(right, [str(i) for i in range(100)])
    assert high - low > 2.5 * (alone_high - alone_low)


def test_no_mistake_is_no_certainty():
    low, high = top1_interval(np.ones(23, bool), [str(i % 3) for i in range(23)])
    assert 0.8 < low < 0.9
    assert high == 1


def test_independent_clips_give_nearly_the_binomial_interval():
    right = np.arange(400) % 4 > 0
    low, high = top1_interval(right, [str(i) for i in range(400)])
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    np.testing.assert_allclose((low, high), (0.75 - half, 0.75 + half), atol=0.01)


def test_95_of_100_intervals_hold_the_truth_with_few_videos():
    """Six videos whose own rates vary around 0.6: the plain percentile interval would hold it about 87 times."""
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        right = rng.random((6, 12)) < rng.beta(6, 4, size=(6, 1))
        low, high = top1_interval(right.ravel(), np.repeat(np.arange(6), 12).astype(str).tolist(), num_resamples=500, seed=seed)
        held += low <= 0.6 <= high
    assert 0.92 <= held / 300 <= 0.99


def test_blocks_change_nothing(monkeypatch):
    right, sources = np.arange(60) % 3 > 0, [str(i % 7) for i in range(60)]
    whole = top1_interval(right, sources)
    monkeypatch.setattr(uncertainty, "MAX_DRAWS_AT_ONCE", 50)
    assert top1_interval(right, sources) == whole


def test_95_of_100_intervals_hold_the_truth_with_three_videos():
    """Between the lowest and the highest of three videos' own rates lies the truth in three of four samples."""
    rng = np.random.default_rng(0)
    held = 0
    for seed in range(300):
        right = rng.random((3, 12)) < rng.beta(3, 2, size=(3, 1))
        low, high = top1_interval(right.ravel(), np.repeat(np.arange(3), 12).astype(str).tolist(), num_resamples=300, seed=seed)
        held += low <= 0.6 <= high
    assert held / 300 >= 0.92


def test_few_videos_get_students_t():
    """Three videos of ten clips: mean and standard error by hand, t of two degrees of freedom."""
    sums, num_clips = np.array([2, 5, 8]), np.array([10, 10, 10])
    low, high = resampled_interval(sums, num_clips, num_resamples=20_000, seed=0)
    reach = 4.3027 * np.std([0.2, 0.5, 0.8], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose((low, high), (0.5 - reach, 0.5 + reach), rtol=0.03)
