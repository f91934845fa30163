"""A trained network beside a plain probe, clip by clip."""

import numpy as np
import pytest

from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.beside_probe import probe_differences
from tasks.store.records.probe import ProbeAnswers


def digits(right) -> str:
    return "".join(str(int(one)) for one in right)


def test_what_the_probe_answers_alike_is_no_difference_and_what_it_misses_is_a_gain(make_clips, vocabulary):
    clips = make_clips(40, skill=6.0)
    right = {target: answers.right for target, answers in answers_of(clips, vocabulary).items()}
    right["verb"] = np.zeros_like(right["verb"])
    beside = ProbeAnswers(num_training_clips=9, strengths={"verb": 1.0}, right={target: digits(one) for target, one in right.items()})
    verb, noun, action = probe_differences(beside, clips, vocabulary, num_resamples=200)
    assert verb.difference == pytest.approx(verb.network_top1)
    assert verb.probe_top1 == 0
    assert verb.interval[0] > 0
    assert (noun.difference, action.difference) == (0, 0)
    assert noun.interval[0] <= 0 <= noun.interval[1]
    assert (action.num_clips, action.num_sources) == (40, 4)


def test_answers_to_other_clips_are_not_compared(make_clips, vocabulary):
    clips = make_clips(40)
    beside = ProbeAnswers(num_training_clips=9, strengths={}, right={"verb": "101"})
    assert probe_differences(beside, clips, vocabulary, num_resamples=100) == ()
    beside = ProbeAnswers(uids=clips.uids, num_training_clips=9, strengths={}, right={"verb": "1" * 40})
    assert len(probe_differences(beside, clips, vocabulary, num_resamples=100)) == 1
    in_another_order = beside.model_copy(update={"uids": clips.uids[::-1]})
    assert probe_differences(in_another_order, clips, vocabulary, num_resamples=100) == ()
