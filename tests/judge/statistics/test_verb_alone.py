"""A dataset whose labels name no object: the noun is given, one target is left, and whatever holds of three holds of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from tasks.judge.gate.gate import judge
from tasks.judge.report.comparison_text import comparison_text, mlflow_note
from tasks.judge.statistics.answers import action_id, answers_of
from tasks.judge.statistics.fusion import fuse
from tasks.judge.statistics.metrics import class_changes, class_outcomes
from tasks.judge.statistics.mistakes import confusions, worst_misnamed
from tasks.judge.statistics.paired import differences, over_guessing
from tasks.judge.statistics.scoring import with_nouns_given
from tasks.options import GateOptions
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.decisions import Attempt
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.pipeline.shelf import words
from tests.scored_clips import summary_of

NONE_ID = 352
WAVES = words({0: "wave", 1: "clap", 2: "наливать"}, {NONE_ID: NO_OBJECT})
MIXED = words({0: "wave", 1: "put", 2: "take"}, {0: NO_OBJECT, 1: "meat", 2: "sauce"})


@pytest.fixture(scope="module")
def scored(make_clips):
    """What two networks answered whose heads know nothing of the noun that is none."""
    clips = {role: make_clips(60, skill=skill, num_sources=12) for role, skill in (("baseline", 0.0), ("fine-tuned", 5.0))}
    return {
        role: with_nouns_given(replace(role_clips, noun_classes=np.full_like(role_clips.noun_classes, NONE_ID)), WAVES)
        for role, role_clips in clips.items()
    }


@pytest.fixture(scope="module")
def results(scored):
    return {role: summary_of(clips, WAVES, model=role) for role, clips in scored.items()}


def test_a_network_that_knows_objects_keeps_its_answers_and_one_of_verbs_alone_answers_its_one_noun(make_clips, vocabulary):
    clips = make_clips(5)
    assert with_nouns_given(clips, vocabulary) is clips
    assert with_nouns_given(clips, MIXED) is clips
    clips = make_clips(60)
    given = with_nouns_given(clips, MIXED, 0)
    assert (given.noun_logits.argmax(axis=1) == 0).all()
    assert given.noun_logits.shape == clips.noun_logits.shape
    assert np.isfinite(given.losses).all() and given.losses.max() < 40
    assert with_nouns_given(clips, WAVES, 0).noun_logits[0].argmax() == clips.noun_classes[0]


def test_an_action_is_its_verb(scored):
    for clips in scored.values():
        answers = answers_of(clips, WAVES)
        verb, noun, action = (answers[target] for target in TARGETS)
        assert noun.right.all()
        assert action.right.tolist() == verb.right.tolist()
        assert action.ranked.tolist() == action_id(verb.ranked, np.int64(NONE_ID)).tolist()
        assert set(action.names.values()) == set(verb.names.values())
        likely = log_softmax(clips.verb_logits.astype(float), axis=1)[np.arange(len(clips.uids)), clips.verb_classes]
        assert clips.losses == pytest.approx(-likely, abs=1e-6)


def test_scores_differences_confusions_the_gate_the_tables_and_the_verdict_are_of_verbs_alone(scored, results):
    ours, theirs = results["fine-tuned"], results["baseline"]
    assert ours.targets == VERB_ALONE
    assert ours.verb == ours.action
    compared = differences(scored["fine-tuned"], {"baseline": scored["baseline"]}, WAVES, num_resamples=200)
    assert [difference.target for difference in compared] == ["verb"]
    assert {change.target for change in class_changes(ours, theirs)} == {"verb"}
    assert {confusion.target for confusion in confusions(scored, WAVES)} == {"verb"}
    assert {misnamed.target for misnamed in worst_misnamed(scored["baseline"], WAVES, 60)} == {"verb"}
    outcomes = class_outcomes(scored["fine-tuned"], scored["baseline"], WAVES)
    assert {outcome.target for outcome in outcomes} == {"verb"}
    guessing = over_guessing(answers_of(scored["fine-tuned"], WAVES)["verb"], scored["fine-tuned"].sources)
    judgement = judge(ours, theirs, compared[0], guessing, outcomes, GateOptions(), Attempt())
    assert judgement.passed
    assert "no verb with 10 clips or more has" in judgement.rules[-1].detail
    assert "of the verbs correctly" in judgement.why
    assert "Better on verbs" in [rule.title for rule in judgement.rules]
    for written in (
        mlflow_note(judgement, "none", "val", val_chose=True),
        comparison_text(list(results.values()), ours, compared, judgement, "none"),
        judgement.reason,
        str(judgement.rules),
    ):
        assert "verb" in written
        assert not {word for word in ("noun", "action", "Action", NO_OBJECT) if word in written}


def test_a_fusion_weighs_the_verbs_and_leaves_the_nouns_alike(scored):
    fusion = fuse(list(scored.values()), [("a", "TSN"), ("b", "TSN")])
    assert [member.noun_weight for member in fusion.members] == pytest.approx([0.5, 0.5])
    assert fusion.members[1].verb_weight > fusion.members[0].verb_weight


def test_among_labels_with_objects_one_without_is_its_verb_and_its_noun_may_be_wrong(make_clips):
    clips = make_clips(200, skill=3.0)
    answers = answers_of(clips, MIXED)
    names = set(answers["action"].names.values())
    assert {"wave", "put meat"} <= names
    assert not [name for name in names if NO_OBJECT in name]
    assert not answers["noun"].right.all()
    assert NO_OBJECT in answers["noun"].names.values()
