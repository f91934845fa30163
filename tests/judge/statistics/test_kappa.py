"""Cohen's kappa of two readers."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tasks.judge.statistics.kappa import agreement


def in_videos(num_videos, num_clips, answers="ab"):
    """Clips on which both readers agree."""
    return [(f"v{n // num_clips}", *2 * (answers[n % len(answers)],)) for n in range(num_videos * num_clips)]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_is_that_of_scikit_learn(answers):
    assume(len({word for pair in answers for word in pair}) > 1)
    assert agreement([("v", *pair) for pair in answers]).kappa == pytest.approx(cohen_kappa_score(*zip(*answers, strict=True)))


def test_the_interval_resamples_videos():
    pairs = [(f"v{i}", "a" if i % 2 else "b", "a" if i % 2 or i == 4 else "b") for i in range(20) for _ in range(5)]
    agreed = agreement(pairs)
    alone = agreement([(f"{video}-{n % 5}", first, second) for n, (video, first, second) in enumerate(pairs)])
    assert agreed.interval[0] < agreed.kappa < agreed.interval[1]
    assert agreed.interval[1] - agreed.interval[0] > alone.interval[1] - alone.interval[0]


@pytest.mark.parametrize("num_videos", [1, 2])
def test_one_or_two_videos_have_no_interval_one_answer_no_kappa_and_no_clips_nothing(num_videos):
    alike = agreement(in_videos(5, 1, "a"))
    assert (alike.kappa, alike.interval, alike.share) == (None, None, 1)
    assert agreement([]) is None
    agreed = agreement([*in_videos(num_videos, 2), ("v0", "a", "b")])
    assert agreed.interval is None
    assert (agreed.num_clips, agreed.num_videos) == (2 * num_videos + 1, num_videos)


def test_readers_who_agree_on_all_of_few_clips_may_yet_differ():
    """The lower limit: of 10 independent clips at least 69 % have the same answer, of which half do by chance."""
    few, many = agreement(in_videos(5, 2)), agreement(in_videos(60, 2))
    assert few.kappa == few.interval[1] == many.kappa == many.interval[1] == 1
    assert few.interval[0] < (0.69 - 0.5) / 0.5
    assert 0.9 < many.interval[0] < 1


@settings(max_examples=40)
@given(seed=st.integers(0, 99), num_videos=st.integers(3, 6))
def test_the_interval_holds_kappa_and_is_a_kappa(seed, num_videos):
    pairs = [(f"v{n % num_videos}", "ab"[seed >> n & 1], "ab"[seed >> (n // 2) & 1]) for n in range(2 * num_videos)]
    agreed = agreement(pairs, 50)
    if agreed.interval:
        assert -1 <= agreed.interval[0] <= agreed.kappa <= agreed.interval[1] <= 1
