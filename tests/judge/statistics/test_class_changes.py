from dataclasses import replace

import pytest

from tasks.errors import BadInput
from tasks.judge.statistics.class_changes import ClassOutcome, class_changes, class_outcomes, significant_losses
from tasks.store.records.record import TARGETS
from tests.scored_clips import about


def test_every_verb_and_noun_is_counted_as_its_recall_says(make_clips, vocabulary):
    ours = make_clips(60, skill=3)
    theirs = about(ours, make_clips(60, seed=1, skill=1))
    outcomes = class_outcomes(ours, theirs, vocabulary)
    assert sum(outcome.num_clips for outcome in outcomes if outcome.target == "verb") == 60
    for outcome in outcomes:
        if (outcome.target, outcome.name) == ("verb", "take"):
            right = [(clips.verb_logits.argmax(axis=1) == 0)[ours.verb_classes == 0].sum() for clips in (ours, theirs)]
            assert outcome.num_fewer == right[1] - right[0]
    swapped = class_outcomes(theirs, ours, vocabulary)
    assert [(own.num_gained, own.num_lost) for own in outcomes] == [(other.num_lost, other.num_gained) for other in swapped]


def test_a_loss_is_tested_on_the_clips_that_differ():
    assert ClassOutcome("verb", "put", 20, 0, 5).p_of_loss == pytest.approx(1 / 32)
    assert ClassOutcome("verb", "put", 20, 0, 0).p_of_loss == 1
    assert significant_losses([ClassOutcome("verb", "put", 20, 0, 5)])
    assert not significant_losses([ClassOutcome("verb", "put", 20, 0, 5), ClassOutcome("verb", "take", 20, 5, 5)])


def test_every_class_is_compared_the_commonest_first(make_result):
    ours, theirs = (make_result(model, num_clips=60, skill=skill) for model, skill in (("fine-tuned", 4), ("champion", 1)))
    changes = class_changes(ours, theirs)
    assert [c.target for c in changes] == sorted((c.target for c in changes), key=TARGETS.index)
    for target in TARGETS:
        own = [c for c in changes if c.target == target]
        assert [c.support for c in own] == sorted((c.support for c in own), reverse=True)
        assert [(c.recall_after, c.f1_after) for c in own] == [(m.recall, m.f1) for m in getattr(ours, target).classes]
        assert [(c.precision_before, c.recall_before) for c in own] == [(m.precision, m.recall) for m in getattr(theirs, target).classes]


def test_f1_decides_what_is_worse_not_recall(make_result):
    theirs = make_result(num_clips=60)
    first, *others = theirs.verb.classes
    named_too_often = first.model_copy(update={"recall": first.recall + 0.01, "f1": first.f1 - 0.01})
    ours = theirs.model_copy(update={"verb": theirs.verb.model_copy(update={"classes": (named_too_often, *others)})})
    assert [c.name for c in class_changes(ours, theirs) if c.is_worse] == [first.name]


def test_other_clips_are_refused(make_clips, make_result, vocabulary):
    clips = make_clips(10)
    with pytest.raises(BadInput, match="run `evaluate` again"):
        class_outcomes(clips, replace(clips, uids=clips.uids[::-1]), vocabulary)
    with pytest.raises(BadInput, match="run `evaluate` again"):
        class_changes(make_result(num_clips=60), make_result(num_clips=60, classes=2))
