"""Clips in which nothing happens: a class of its own that no score of actions counts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.judge.statistics.nothing import nothing_scores, with_actions
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tests.pipeline.shelf import words
from tests.scored_clips import summary_of

NOTHING_ID, NO_OBJECT_ID = 100, 300
WITH_NOTHING = words({0: "take", 1: "put", 2: "move", NOTHING_ID: NOTHING}, {0: "bag", 1: "meat", 2: "sauce", NO_OBJECT_ID: NO_OBJECT})


@pytest.fixture(scope="module")
def mixed(make_clips):
    """`mixed(which, calls)`: clips of which those in `which` show nothing; the network calls those in `calls` nothing, surely."""

    def make(which, calls):
        clips = make_clips(len(which), num_sources=5)
        logits = clips.verb_logits.copy()
        logits[:, NOTHING_ID] = np.where(calls, 50, -50)
        verbs, nouns = np.where(which, NOTHING_ID, clips.verb_classes), np.where(which, NO_OBJECT_ID, clips.noun_classes)
        return replace(clips, verb_classes=verbs, noun_classes=nouns, verb_logits=logits)

    return make


def test_both_kinds_of_mistake_are_counted_by_hand(mixed):
    clips = mixed([True, True, True, False, False, False, False], [True, True, False, True, False, False, False])
    found = nothing_scores(clips, WITH_NOTHING)
    assert (found.num_clips, found.num_recognised, found.recall) == (3, 2, pytest.approx(2 / 3))
    assert (found.num_action_clips, found.num_false_alarms, found.false_alarms) == (4, 1, 0.25)
    assert found.recall_interval == top1_interval(np.array([True, True, False]), clips.sources[:3])
    assert found.false_alarms_interval == top1_interval(np.array([True, False, False, False]), clips.sources[3:])
    assert found.num_sources == len(set(clips.sources[:3]))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=25))
def test_scores_of_actions_are_those_without_the_clips_in_which_nothing_happens(mixed, drawn):
    which, calls = np.array([False, *(is_nothing for is_nothing, _ in drawn)]), np.array([False, *(called for _, called in drawn)])
    clips = mixed(which, calls)
    with_them, without = summary_of(clips, WITH_NOTHING), summary_of(clips.only(~which), WITH_NOTHING)
    own = {"nothing", "latency"}
    assert with_them.model_dump(exclude=own) == without.model_dump(exclude=own)
    assert with_them.num_clips == (~which).sum()
    assert NOTHING not in {one.name for target in ("verb", "action") for one in getattr(with_them, target).classes}
    assert with_them.nothing.num_clips == which.sum()


def test_recognising_nothing_ever_so_often_raises_no_accuracy(mixed):
    which = np.arange(40) >= 4
    always, never = (summary_of(mixed(which, which & says), WITH_NOTHING) for says in (True, False))
    assert (always.nothing.recall, never.nothing.recall) == (1, 0)
    assert always.action == never.action
    assert always.verb == never.verb


def test_without_such_labels_everything_stays_as_it_is(make_clips, vocabulary, make_result):
    clips = make_clips()
    assert with_actions(clips, vocabulary) is clips
    assert nothing_scores(clips, vocabulary) is None
    assert "nothing" not in make_result().model_dump(mode="json")


def test_a_split_without_such_clips_still_has_false_alarms_but_not_of_a_network_without_an_output_for_them(mixed):
    found = nothing_scores(mixed(np.zeros(6, bool), np.arange(6) == 2), WITH_NOTHING)
    assert (found.num_clips, found.recall, found.recall_interval, found.num_false_alarms) == (0, None, None, 1)
    clips = mixed(np.arange(6) < 2, np.ones(6, bool))
    found = nothing_scores(replace(clips, verb_logits=clips.verb_logits[:, :NOTHING_ID]), WITH_NOTHING)
    assert (found.num_recognised, found.num_false_alarms) == (0, 0)
