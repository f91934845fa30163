"""Networks of different sizes on the same clips: what one has no output for is impossible to it, and a class means the same to all."""

from dataclasses import replace

import numpy as np
import pytest

from tasks.judge.gate.gate import judge
from tasks.judge.report.comparison_text import markdown, text
from tasks.judge.report.nameable_scores import nameable_in_words, unnamed_in_words
from tasks.judge.statistics.answers import answers_of, verb_and_noun
from tasks.judge.statistics.calibration import calibrate, fit_temperature
from tasks.judge.statistics.nameable import nameable_clips
from tasks.judge.statistics.paired import differences
from tasks.judge.statistics.scores_file import from_parquet, to_parquet
from tasks.judge.statistics.scoring import ScoredClips
from tasks.options import GateOptions
from tasks.predict.temperatures import served
from tasks.store.records.dataset import ClassRef, Vocabulary
from tasks.store.records.evaluation import Attempt, EvaluateResult
from tasks.store.records.record import TARGETS
from tests.pipeline.shelf import words
from tests.scored_clips import summary_of

NARROW, WIDE = (125, 352), (131, 361)
VOCABULARY = words({1: "put", 9: "move", 130: "knit"}, {20: "bag", 26: "meat", 360: "sock"})
VERBS, NOUNS = np.array([1, 9, 130, 1]), np.array([20, 26, 20, 360])
"""By turns both known, both known, a verb of one's own, a noun of one's own."""


def answered(sizes, skill=3.0, seed=0, num_clips=24):
    """What a network with so many outputs says of clips half of which have classes beyond EPIC's."""
    rng = np.random.default_rng(seed)
    truth = [np.resize(classes, num_clips).astype(np.int64) for classes in (VERBS, NOUNS)]
    logits = [rng.normal(size=(num_clips, size)).astype(np.float32) for size in sizes]
    for own, true in zip(logits, truth, strict=True):
        has_output = np.flatnonzero(true < own.shape[1])
        own[has_output, true[has_output]] += skill
    uids, sources = zip(*((f"clip-{i}", f"film-{i // 4}") for i in range(num_clips)), strict=True)
    return ScoredClips(uids, sources, *truth, *logits)


def result(clips, model="fine-tuned", vocabulary=VOCABULARY, **known):
    return summary_of(clips, vocabulary, model, **known)


def test_a_class_without_an_output_is_never_named_and_has_no_finite_loss():
    clips = answered(NARROW)
    assert clips.has_outputs.tolist() == [True, True, False, False] * 6
    assert np.isfinite(clips.losses).tolist() == clips.has_outputs.tolist()
    answers = answers_of(clips, VOCABULARY)
    beyond = {"verb": VERBS >= 125, "noun": NOUNS >= 352, "action": (VERBS >= 125) | (NOUNS >= 352)}
    for target, impossible in beyond.items():
        among_best = (answers[target].ranked == answers[target].true[:, None]).any(axis=1)
        assert not among_best[np.resize(impossible, 24)].any()
    found = result(clips)
    assert found.loss == pytest.approx(clips.losses[clips.has_outputs].mean())
    assert [ref.name for ref in (*found.unknown_verbs, *found.unknown_nouns)] == ["knit", "sock"]
    assert EvaluateResult.model_validate_json(found.model_dump_json()) == found


def test_answers_without_any_output_for_them_have_no_loss_and_no_temperature():
    clips = answered(NARROW).only(~answered(NARROW).has_outputs)
    found = result(clips)
    assert (found.loss, found.action.top1, found.action.top5) == (None, 0, 0)
    assert EvaluateResult.model_validate_json(found.model_dump_json()) == found
    assert {one.temperature for one in calibrate(clips, clips, model="baseline", split="val")} == {None}
    assert "cannot name the classes of any val clip" in served(clips, 1, "pytorch", TARGETS).words


def test_a_parquet_file_keeps_what_a_narrower_network_answered():
    clips = answered(NARROW)
    again = from_parquet(to_parquet(clips, VOCABULARY), "s3://retake/x")
    np.testing.assert_array_equal(again.verb_logits, clips.verb_logits)
    np.testing.assert_array_equal(again.losses, clips.losses)


def test_temperatures_come_from_the_clips_whose_classes_have_outputs():
    clips = answered(NARROW)
    known = clips.only(clips.has_outputs)
    verb, noun, action = calibrate(clips, clips, model="champion", split="test")
    assert verb.temperature == fit_temperature(known.verb_logits, known.verb_classes)
    assert noun.temperature == fit_temperature(known.noun_logits, known.noun_classes)
    # The error is that on all clips: sure of what is wrong.
    assert sum(one.num_clips for one in action.bins) == len(clips.uids)
    assert served(clips, 1, "pytorch", TARGETS).verb in (1.0, verb.temperature)


@pytest.mark.parametrize("sizes", [NARROW, (140, 400)], ids=["narrower", "wider"])
def test_actions_are_compared_by_verb_and_noun_whatever_the_number_of_outputs(sizes):
    ours, theirs = answered(WIDE, skill=12), answered(sizes, skill=12)
    our_answers, their_answers = (answers_of(clips, VOCABULARY)["action"] for clips in (ours, theirs))
    np.testing.assert_array_equal(our_answers.true, their_answers.true)
    assert [verb_and_noun(action) for action in our_answers.true.tolist()] == list(
        zip(ours.verb_classes.tolist(), ours.noun_classes.tolist(), strict=True)
    )
    np.testing.assert_array_equal(their_answers.right, theirs.has_outputs)
    of_action = next(d for d in differences(ours, {"champion": theirs}, VOCABULARY, num_resamples=200) if d.target == "action")
    lost = int((~theirs.has_outputs).sum())
    assert (of_action.num_gained, of_action.num_lost, of_action.difference) == (lost, 0, lost / 24)


@pytest.fixture
def networks():
    """A challenger that can name all, a champion that EPIC's classes limit, and a baseline that was never told of `move`."""
    scored = {"baseline": answered(WIDE, 1.0, seed=1), "champion": answered(NARROW, 2.0, seed=2), "fine-tuned": answered(WIDE, 4.0, seed=3)}
    known = {"baseline": {"known_verbs": {1, 130}, "known_nouns": {20, 26, 360}}}
    return [result(clips, model, **known.get(model, {})) for model, clips in scored.items()], scored


def test_the_clips_that_every_network_can_name_are_compared_beside_all(networks):
    results, scored = networks
    found = nameable_clips(results, scored, VOCABULARY, num_resamples=200)
    assert [(one.model, one.num_clips, one.classes) for one in found.unnamed] == [
        ("baseline", 6, ("verb move",)),
        ("champion", 12, ("verb knit", "noun sock")),
    ]
    assert (found.split, found.num_all_clips, found.num_clips, found.num_sources) == ("val", 24, 6, 6)
    first = np.resize([True, False, False, False], 24)
    left = {model: clips.only(first) for model, clips in scored.items()}
    for score in found.scores:
        right = answers_of(left[score.model], VOCABULARY)[score.target].right
        assert score.top1 == right.mean()
    assert found.differences == differences(
        left["fine-tuned"], {"baseline": left["baseline"], "champion": left["champion"]}, VOCABULARY, num_resamples=200
    )
    gains = differences(scored["fine-tuned"], {"champion": scored["champion"]}, VOCABULARY, num_resamples=200)
    decisive = next(gain for gain in gains if gain.target == "action")
    judgement = judge(results[2], results[1], decisive, [], GateOptions(min_gate_clips=1), Attempt(number=1, num_others_on_dataset=0))
    assert decisive.num_clips == 24
    for write in (markdown, text):
        assert "cannot name" in " ".join(write(results, gains, judgement, "b", found).split())
        assert "cannot name" not in " ".join(write(results, gains, judgement, "b").split())
    assert unnamed_in_words(found) == (
        "6 of 24 val clips belong to classes that the baseline cannot name: verb 'move'. "
        "12 of 24 val clips belong to classes that the champion cannot name: verb 'knit' and noun 'sock'."
    )


def test_an_action_without_an_object_is_said_in_words(networks):
    _, scored = networks
    words = Vocabulary(verbs=VOCABULARY.verbs, nouns=(*VOCABULARY.nouns[:2], ClassRef(id=360, name="(none)")))
    pair = {model: scored[model] for model in ("champion", "fine-tuned")}
    found = nameable_clips([result(clips, model, words) for model, clips in pair.items()], pair, words, num_resamples=50)
    assert unnamed_in_words(found).endswith("that the champion cannot name: verb 'knit' and no object.")


def test_where_every_network_can_name_every_clip_there_is_nothing_to_say(networks):
    _, scored = networks
    wide = {model: clips for model, clips in scored.items() if model != "champion"}
    assert nameable_clips([result(clips, model) for model, clips in wide.items()], wide, VOCABULARY) is None


def test_no_clip_may_be_left_that_every_network_can_name(networks):
    _, scored = networks
    results = [result(scored["champion"], "champion", known_verbs={9}, known_nouns={20}), result(scored["fine-tuned"])]
    pair = {model: scored[model] for model in ("champion", "fine-tuned")}
    found = nameable_clips(results, pair, VOCABULARY)
    assert (found.num_clips, found.scores, found.differences) == (0, (), ())
    assert nameable_in_words(found) == "No clip is left that every network can name. The gate decides on all clips."


def test_without_objects_nobody_asks_for_nouns():
    without = Vocabulary(verbs=VOCABULARY.verbs, nouns=(ClassRef(id=360, name="(none)"),))
    clips = replace(answered(NARROW), noun_classes=np.full(24, 360))
    assert result(clips, vocabulary=without).unknown_nouns == ()
