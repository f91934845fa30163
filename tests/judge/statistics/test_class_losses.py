from dataclasses import replace

import pytest

from tasks.errors import BadInput
from tasks.judge.statistics.class_losses import ClassOutcome, class_outcomes, significant_losses
from tests.judge.statistics.clips import about


def test_every_verb_and_noun_is_counted_as_its_recall_says(make_clips, vocabulary):
    ours = make_clips(60, skill=3)
    theirs = about(ours, make_clips(60, seed=1, skill=1))
    outcomes = class_outcomes(ours, theirs, vocabulary)
    assert sum(one.num_clips for one in outcomes if one.target == "verb") == 60
    for one in outcomes:
        if (one.target, one.name) == ("verb", "take"):
            right = [(clips.verb_logits.argmax(axis=1) == 0)[ours.verb_classes == 0].sum() for clips in (ours, theirs)]
            assert one.num_fewer == right[1] - right[0]
    swapped = class_outcomes(theirs, ours, vocabulary)
    assert [(one.num_gained, one.num_lost) for one in outcomes] == [(one.num_lost, one.num_gained) for one in swapped]


def test_a_loss_is_tested_on_the_clips_that_differ():
    assert ClassOutcome("verb", "put", 20, 0, 5).p_of_loss == pytest.approx(1 / 32)
    assert ClassOutcome("verb", "put", 20, 0, 0).p_of_loss == 1
    assert significant_losses([ClassOutcome("verb", "put", 20, 0, 5)])
    assert not significant_losses([ClassOutcome("verb", "put", 20, 0, 5), ClassOutcome("verb", "take", 20, 5, 5)])


def test_other_clips_are_refused(make_clips, vocabulary):
    clips = make_clips(10)
    with pytest.raises(BadInput, match="run `evaluate` again"):
        class_outcomes(clips, replace(clips, uids=clips.uids[::-1]), vocabulary)
