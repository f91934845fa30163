from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.mistakes import MAX_LISTED, confusion_of, confusions, worst_misnamed, worst_mistakes, worst_wrong
from tasks.store.records.record import TARGETS
from tests.data.labels.records import dataset_clip
from tests.judge.statistics.clips import about, answers


def test_the_commonest_class_comes_first_what_is_only_predicted_last_and_rare_classes_share_a_row_and_a_column():
    confusion = confusion_of(answers([1, 0, 1, 1], [1, 7, 0, 7]))
    assert (confusion.rows, confusion.columns) == (("n1", "n0"), ("n1", "n0", "n7"))
    assert confusion.counts.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert confusion.support.tolist() == [3, 1]
    confusion = confusion_of(answers([0, 0, 1, 1, 2, 3], [0, 8, 1, 2, 3, 3]), max_classes=2)
    assert (confusion.rows, confusion.columns) == (("n0", "n1", "2 others"), ("n0", "n1", "3 others"))
    assert confusion.counts.tolist() == [[1, 0, 1], [0, 1, 1], [0, 0, 2]]


@settings(max_examples=30)
@given(pairs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1), max_classes=st.integers(1, 15))
def test_every_clip_is_counted_once_and_no_row_is_empty(pairs, max_classes):
    confusion = confusion_of(answers([t for t, _ in pairs], [p for _, p in pairs]), max_classes)
    assert confusion.counts.shape == (len(confusion.rows), len(confusion.columns))
    assert confusion.counts.sum() == len(pairs)
    assert (confusion.support > 0).all()
    assert len(confusion.columns) <= max_classes + 1


def test_the_matrices_of_a_report_hold_every_clip_of_every_network(make_clips, vocabulary):
    scored = {"baseline": make_clips(seed=1), "fine-tuned": make_clips(seed=2)}
    tables = confusions(scored, vocabulary)
    assert [(c.model, c.target) for c in tables] == [(model, target) for model in scored for target in TARGETS]
    assert all(sum(map(sum, c.counts)) == 20 for c in tables)
    for c in tables:
        errors = {(i, j): n for i, row in enumerate(c.counts) for j, n in enumerate(row) if n and c.rows[i] != c.columns[j]}
        assert {(cell.row, cell.column): cell.num_clips for cell in c.wrong} == errors
        assert all(len(cell.uids) == min(cell.num_clips, MAX_LISTED) for cell in c.wrong)
        losses = dict(zip(scored[c.model].uids, scored[c.model].losses.tolist(), strict=True))
        assert all(sorted(cell.uids, key=lambda uid: -losses[uid]) == list(cell.uids) for cell in c.wrong)
    assert all(len(c.counts) == len(c.rows) and {len(row) for row in c.counts} == {len(c.columns)} for c in tables)


@pytest.fixture
def scored(make_clips):
    """What the fine-tuned network and its opponent answered on the same 40 clips, and the clips."""
    ours = make_clips(40, skill=3)
    theirs = about(ours, make_clips(40, seed=1, skill=1))
    pairs = zip(ours.uids, ours.verb_classes.tolist(), ours.noun_classes.tolist(), strict=True)
    return ours, theirs, [dataset_clip(uid, verb=f"verb {verb}", noun=f"noun {noun}") for uid, verb, noun in pairs]


def test_the_worst_of_the_wrong_clips_come_first_with_what_was_said_instead(make_clips, vocabulary):
    clips = make_clips(40, skill=3.0)
    mistakes = worst_misnamed(clips, vocabulary, 4)
    losses = [clips.losses[m.clip] for m in mistakes]
    assert losses == sorted(losses, reverse=True)
    verb_right = clips.verb_logits.argmax(1) == clips.verb_classes
    noun_right = clips.noun_logits.argmax(1) == clips.noun_classes
    wrong = ~(verb_right & noun_right)
    assert min(losses) >= np.sort(clips.losses[wrong])[-4]
    assert {m.target for m in worst_misnamed(clips, vocabulary, 40)} == {"verb", "noun"}
    for m in worst_misnamed(clips, vocabulary, 40):
        assert m.target == ("noun" if verb_right[m.clip] else "verb")
        logits, true = (clips.verb_logits, clips.verb_classes) if m.target == "verb" else (clips.noun_logits, clips.noun_classes)
        assert m.class_id == logits[m.clip].argmax() != true[m.clip]


def test_clips_of_equal_loss_come_in_the_order_of_their_uids(make_clips, vocabulary):
    """As the report shows them, which knows the clips by uid."""
    clips = make_clips(2, classes=1, skill=-5.0)
    same = replace(clips, uids=("b", "a"), verb_logits=clips.verb_logits[[0, 0]], noun_logits=clips.noun_logits[[0, 0]])
    assert worst_wrong(same, vocabulary, 2) == [1, 0]
    assert [m.clip for m in worst_misnamed(same, vocabulary, 1)] == [1]


def test_the_worst_mistakes_are_the_largest_losses_among_the_wrong_and_say_what_was_named(scored, vocabulary):
    ours, theirs, clips = scored
    wrong = np.flatnonzero(~answers_of(ours, vocabulary)["action"].right)
    mistakes = worst_mistakes(ours, theirs, clips, vocabulary, num=5)
    assert len(wrong) > 5
    assert [m.loss for m in mistakes] == sorted(ours.losses[wrong], reverse=True)[:5]
    assert len(worst_mistakes(ours, theirs, clips, vocabulary, num=1000)) == len(wrong)
    (mistake,) = worst_mistakes(ours, theirs, clips[::-1], vocabulary, num=1)
    i = ours.uids.index(mistake.uid)
    assert (mistake.true_verb, mistake.true_noun) == (clips[i].verb, clips[i].noun)
    assert (mistake.clip_uri, mistake.source) == (clips[i].uri, ours.sources[i])
    for whose, scores in (("predicted", ours), ("opponent", theirs)):
        for target in ("verb", "noun"):
            answers = answers_of(scores, vocabulary)[target]
            assert getattr(mistake, f"{whose}_{target}") == answers.names[answers.predicted[i]]


def test_a_network_that_is_always_right_makes_no_mistakes(make_clips, vocabulary):
    clips = make_clips(10, skill=1000)
    assert worst_misnamed(clips, vocabulary, 4) == []
    assert worst_mistakes(clips, clips, [dataset_clip(uid) for uid in clips.uids], vocabulary) == ()


def test_mistakes_on_other_clips_are_refused(scored, vocabulary):
    ours, theirs, clips = scored
    for others, known in ((replace(theirs, uids=theirs.uids[::-1]), clips), (theirs, clips[1:])):
        with pytest.raises(BadInput, match="run `evaluate` again"):
            worst_mistakes(ours, others, known, vocabulary)
