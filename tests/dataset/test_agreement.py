"""Cohen's kappa of two readers."""

import warnings

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tasks.dataset.agreement import Pair, agreement, kappa, read_twice
from tasks.dataset.statements import Ledger
from tests.dataset.test_statements import CLIPS, Writer


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_is_that_of_scikit_learn(answers):
    assume(len({word for pair in answers for word in pair}) > 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = cohen_kappa_score(*zip(*answers, strict=True))
    assert kappa([Pair("v", *pair) for pair in answers]) == pytest.approx(expected)


def test_one_answer_to_all_clips_says_nothing_beyond_chance():
    assert kappa([Pair("v", "a", "a")] * 5) is None


def test_the_interval_resamples_videos():
    pairs = [Pair(f"v{i}", "a" if i % 2 else "b", "a" if i % 2 or i == 4 else "b") for i in range(20) for _ in range(5)]
    found = agreement(pairs)
    alone = agreement([Pair(f"v{i}-{j}", pair.first, pair.second) for j in range(5) for i, pair in enumerate(pairs[::5])])
    assert found and found.interval and alone and alone.interval
    assert found.interval[0] < found.kappa < found.interval[1]
    assert found.interval[1] - found.interval[0] > alone.interval[1] - alone.interval[0]


def test_one_video_has_no_interval():
    found = agreement([Pair("v", "a", "a"), Pair("v", "b", "a")])
    assert found and found.interval is None and found.num_clips == 2


def read(log: Writer, clip, by: str, verb: str, reading: str) -> None:
    log.clip(clip, verb, "meat", by=by)
    last = log.entries[-1].statement
    log.entries[-1] = log.entries[-1].model_copy(update={"statement": last.model_copy(update={"reading": reading})})


def test_only_a_second_reading_by_another_person_counts():
    log = Writer()
    read(log, CLIPS[0], "anna", "put", "first")
    read(log, CLIPS[0], "ben", "take", "second")
    read(log, CLIPS[1], "anna", "put", "first")
    read(log, CLIPS[1], "ben", "take", "first")
    read(log, CLIPS[2], "anna", "put", "first")
    read(log, CLIPS[2], "anna", "put", "second")
    assert [(pair.first, pair.second) for pair in read_twice(Ledger.of(log.entries))] == [("put meat", "take meat")]
