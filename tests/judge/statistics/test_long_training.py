"""Whether a training fell twice: told where it is sure, and rarely where it is chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.judge.statistics.long_training import first_without_error, from_parquet, long_training, rise_and_fall, to_parquet
from tasks.store.records.record import TARGETS
from tasks.store.records.training import Epoch
from tests.scored_clips import kept_answers


def judged(rights):
    return long_training([kept_answers(2**i - 1, right) for i, right in enumerate(rights)], (), "action", num_resamples=200)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=12))
def test_a_peak_stands_between_two_lower_errors_or_there_is_none(errors):
    shape = rise_and_fall(errors)
    heights = [min(errors[j] - min(errors[:j]), errors[j] - min(errors[j + 1 :])) for j in range(1, len(errors) - 1)]
    if shape is None:
        assert max(heights, default=0) <= 0
    else:
        first, peak, second = shape
        assert first < peak < second
        assert min(errors[peak] - errors[first], errors[peak] - errors[second]) == max(heights)


@pytest.mark.parametrize(("num_trainings", "counts"), [(6, [0]), pytest.param(100, range(6), marks=pytest.mark.long)])
@pytest.mark.parametrize("shares", [[0.6] * 7, [0.5, 0.7, 0.9, 0.6, 0.6, 0.6, 0.6]], ids=["no change", "one descent and a rise"])
def test_errors_that_fall_again_by_chance_are_seldom_called_a_second_descent(shares, num_trainings, counts):
    """The rate of such errors is 5 %. Epochs answer independently, which makes the most of chance."""
    rng = np.random.default_rng(0)
    drawn = (rng.random((len(shares), 80)) < np.array(shares)[:, None] for _ in range(num_trainings))
    assert sum(judged(right).outcome == "second descent" for right in drawn) in counts


def test_a_rise_alone_is_not_a_second_descent():
    rng = np.random.default_rng(1)
    drawn = [(rng.random(400) < share) for share in (0.5, 0.8, 0.8, 0.5, 0.5, 0.5)]
    descents = judged(drawn)
    assert descents.rise.is_significant
    assert descents.outcome == "cannot tell"


def test_one_source_video_tells_nothing():
    right = [np.arange(60) < number for number in (20, 50, 10, 58)]
    kept = [kept_answers(i, answers, clips_a_video=60) for i, answers in enumerate(right)]
    assert long_training(kept, (), "action", num_resamples=100).outcome == "cannot tell"
    assert judged(right).outcome == "second descent"


def test_the_first_epoch_without_an_error_counts_actions_and_verbs_where_there_are_no_nouns():
    def epoch(number, verb, action):
        none = dict.fromkeys(("val_loss", "val_verb_top1", "val_noun_top1", "val_action_top1"))
        return Epoch(epoch=number, train_loss=1, train_verb_top1=verb, train_action_top1=action, **none)

    assert first_without_error([epoch(0, 1, 0.9), epoch(1, 1, 1), epoch(2, 1, 1)]) == 1
    assert first_without_error([epoch(0, 0.5, None), epoch(1, 1, None)]) == 1
    assert first_without_error([epoch(0, None, None)]) is None


def test_answers_are_read_as_they_were_written_and_those_on_different_clips_refused():
    rng = np.random.default_rng(0)
    kept = [kept_answers(epoch, rng.random(12) < 0.5) for epoch in (0, 1, 3)]
    read = from_parquet(to_parquet(kept), "s3://retake/answers.parquet")
    for written, back in zip(kept, read, strict=True):
        assert (written.epoch, written.uids, written.sources) == (back.epoch, back.uids, back.sources)
        assert all(np.array_equal(written.right[target], back.right[target]) for target in TARGETS)
        assert np.array_equal(written.losses, back.losses)
    with pytest.raises(BadInput, match="is not a Parquet file"):
        from_parquet(b"x", "s3://retake/answers.parquet")
    with pytest.raises(BadInput, match="answers for different clips"):
        long_training([*kept, kept_answers(4, np.ones(13, bool))], (), "action")
