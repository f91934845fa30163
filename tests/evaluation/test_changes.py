from dataclasses import replace

import numpy as np
import pytest

from tasks.errors import BadInput
from tasks.evaluation.answers import answers_of
from tasks.evaluation.changes import class_changes, worst_mistakes
from tasks.results.dataset import DatasetClip
from tasks.results.record import TARGETS


def dataset_clip(uid, split="val", source="a", verb_class=0, noun_class=20):
    return DatasetClip(
        uid=uid,
        split=split,
        source=source,
        names=(),
        video="v",
        uri=f"s3://retake/clips/{uid}.mp4",
        sha256=uid,
        start_seconds=0,
        stop_seconds=8,
        num_frames=240,
        width=320,
        height=180,
        verb=f"verb {verb_class}",
        noun=f"noun {noun_class}",
        verb_class=verb_class,
        noun_class=noun_class,
        origin="test",
    )


@pytest.fixture
def scored(make_clips):
    """What the fine-tuned network and its opponent answered on the same 40 clips, and the clips."""
    ours = make_clips(40, skill=3)
    theirs = replace(make_clips(40, seed=1, skill=1), **{f: getattr(ours, f) for f in ("uids", "sources", "verb_classes", "noun_classes")})
    pairs = zip(ours.uids, ours.verb_classes.tolist(), ours.noun_classes.tolist(), strict=True)
    return ours, theirs, [dataset_clip(uid, verb_class=verb, noun_class=noun) for uid, verb, noun in pairs]


def test_every_class_is_compared_the_commonest_first(make_result):
    ours, theirs = (make_result(model, num_clips=60, skill=skill) for model, skill in (("fine-tuned", 4), ("champion", 1)))
    changes = class_changes(ours, theirs)
    assert [c.target for c in changes] == sorted((c.target for c in changes), key=TARGETS.index)
    for target in TARGETS:
        own = [c for c in changes if c.target == target]
        assert [c.support for c in own] == sorted((c.support for c in own), reverse=True)
        assert [(c.recall_after, c.f1_after) for c in own] == [(m.recall, m.f1) for m in getattr(ours, target).classes]
        assert [(c.precision_before, c.recall_before) for c in own] == [(m.precision, m.recall) for m in getattr(theirs, target).classes]


def test_what_got_worse_is_marked_and_swapping_turns_it(make_result):
    ours, theirs = (make_result(model, num_clips=60, skill=skill) for model, skill in (("fine-tuned", 1.5), ("champion", 1.4)))
    changes, swapped = class_changes(ours, theirs), class_changes(theirs, ours)
    assert {(c.is_worse, s.is_worse) for c, s in zip(changes, swapped, strict=True)} >= {(False, True)}
    assert all(c.is_worse == (c.f1_after < c.f1_before) for c in changes)
    assert not any(c.is_worse for c in class_changes(ours, ours))


def test_f1_decides_what_is_worse_not_recall(make_result):
    theirs = make_result(num_clips=60)
    first, *others = theirs.verb.classes
    named_too_often = first.model_copy(update={"recall": first.recall + 0.01, "f1": first.f1 - 0.01})
    ours = theirs.model_copy(update={"verb": theirs.verb.model_copy(update={"classes": (named_too_often, *others)})})
    assert [c.name for c in class_changes(ours, theirs) if c.is_worse] == [first.name]


def test_classes_of_other_clips_are_refused(make_result):
    with pytest.raises(BadInput, match="run `evaluate` again"):
        class_changes(make_result(num_clips=60), make_result(num_clips=60, classes=2))


def test_the_worst_mistakes_are_the_largest_losses_among_the_wrong(scored, vocabulary):
    ours, theirs, clips = scored
    wrong = np.flatnonzero(~answers_of(ours, vocabulary)["action"].right)
    mistakes = worst_mistakes(ours, theirs, clips, vocabulary, num=5)
    assert len(wrong) > 5
    assert [m.loss for m in mistakes] == sorted(ours.losses[wrong], reverse=True)[:5]
    assert len(worst_mistakes(ours, theirs, clips, vocabulary, num=1000)) == len(wrong)


def test_a_mistake_says_what_was_named(scored, vocabulary):
    ours, theirs, clips = scored
    (mistake,) = worst_mistakes(ours, theirs, clips[::-1], vocabulary, num=1)
    i = ours.uids.index(mistake.uid)
    assert (mistake.true_verb, mistake.true_noun) == (clips[i].verb, clips[i].noun)
    assert (mistake.clip_uri, mistake.source) == (clips[i].uri, ours.sources[i])
    for whose, scores in (("predicted", ours), ("opponent", theirs)):
        for target in ("verb", "noun"):
            answers = answers_of(scores, vocabulary)[target]
            assert getattr(mistake, f"{whose}_{target}") == answers.names[answers.predicted[i]]


def test_right_answers_are_no_mistakes(make_clips, vocabulary):
    clips = make_clips(10, skill=100)
    assert worst_mistakes(clips, clips, [dataset_clip(uid) for uid in clips.uids], vocabulary) == ()


def test_mistakes_on_other_clips_are_refused(scored, vocabulary):
    ours, theirs, clips = scored
    for others, known in ((replace(theirs, uids=theirs.uids[::-1]), clips), (theirs, clips[1:])):
        with pytest.raises(BadInput, match="run `evaluate` again"):
            worst_mistakes(ours, others, known, vocabulary)
