from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score, top_k_accuracy_score

from tasks.errors import BadInput
from tasks.judge.report.scores import nameable_in_words, unnamed_in_words
from tasks.judge.statistics.answers import answers_of, verb_and_noun
from tasks.judge.statistics.calibration import calibrate, fit_temperature
from tasks.judge.statistics.metrics import (
    ClassOutcome,
    class_changes,
    class_outcomes,
    closed_set,
    measure,
    nameable_clips,
    nothing_scores,
    significant_losses,
    with_actions,
)
from tasks.judge.statistics.paired import differences
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.predict.probabilities import served
from tasks.store.records.dataset import NO_OBJECT, NOTHING, ClassRef, UnseenClip, Vocabulary
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.record import TARGETS
from tests.judge.report.named import original
from tests.judge.report.runs import answers_of as named_answers
from tests.pipeline.shelf import words
from tests.scored_clips import about, answers, summary_of

# The golden table: top-1, weighted precision, weighted recall, majority class.
ORIGINAL_FIGURES = [
    ("baseline", "verb", (0.1304348, 0.0559006, 0.1304348, 0.3913043)),
    ("baseline", "noun", (0, 0, 0, 0.6521739)),
    ("baseline", "action", (0, 0, 0, 0.3478261)),
    ("fine-tuned", "verb", (0.4347826, 0.4245524, 0.4347826, 0.3913043)),
    ("fine-tuned", "noun", (0.4782609, 0.4986065, 0.4782609, 0.6521739)),
    ("fine-tuned", "action", (0.3043478, 0.1872910, 0.3043478, 0.3478261)),
]


@pytest.mark.parametrize(("network", "target", "figures"), ORIGINAL_FIGURES)
def test_the_original_experiments_answers_give_back_its_figures(network, target, figures):
    metrics = measure(named_answers(original(), target, network), [str(i) for i in range(23)])
    assert (metrics.top1, metrics.precision_weighted, metrics.recall_weighted, metrics.majority_top1) == pytest.approx(figures, abs=5e-8)
    assert metrics.num_clips == 23


def test_clips_of_unseen_actions_count_as_wrong_and_as_clips_of_their_films(make_clips, vocabulary):
    clips = make_clips(skill=6.0)
    unseen = [UnseenClip(uid=str(i), split="val", source=clips.sources[0], action=f"wave {i % 2}") for i in range(3)]
    right = answers_of(clips, vocabulary)["action"].right
    summary = closed_set(clips, unseen, vocabulary)
    assert (summary.num_clips, summary.num_actions) == (3, 2)
    assert summary.top1 == pytest.approx(right.sum() / (len(right) + 3))
    assert summary.top1_interval == top1_interval(np.append(right, [False] * 3), [*clips.sources, *[clips.sources[0]] * 3])
    assert closed_set(clips, [], vocabulary) is None


def test_the_shared_answers_are_those_in_the_tests(shared, request):
    ours = request.path.parent / "original_val_predictions.csv"
    assert ours.read_bytes() == (shared / "golden" / ours.name).read_bytes()


@settings(max_examples=30)
@given(pairs=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=60))
def test_averages_are_scikit_learns(pairs):
    true, predicted = np.array([t for t, _ in pairs]), np.array([p for _, p in pairs])
    metrics = measure(answers(true, predicted), ["a"] * len(pairs))
    weighted = {"average": "weighted", "zero_division": 0}
    macro = {"average": "macro", "zero_division": 0, "labels": np.unique(true)}
    for figure, score, options in (
        (metrics.top1, accuracy_score, {}),
        (metrics.recall_weighted, accuracy_score, {}),
        (metrics.precision_weighted, precision_score, weighted),
        (metrics.precision_macro, precision_score, macro),
        (metrics.recall_macro, recall_score, macro),
        (np.mean([c.f1 for c in metrics.classes]), f1_score, macro),
    ):
        assert figure == pytest.approx(score(true, predicted, **options))
    assert sum(c.support for c in metrics.classes) == len(pairs)
    assert all(c.num_predicted == (predicted == int(c.name[1:])).sum() for c in metrics.classes)


def test_top5_is_scikit_learns(make_clips, vocabulary):
    clips = make_clips(200, skill=1.5)
    top5 = measure(answers_of(clips, vocabulary)["noun"], clips.sources).top5
    assert top5 == top_k_accuracy_score(clips.noun_classes, clips.noun_logits, k=5, labels=np.arange(352))
    assert 0.1 < top5 < 0.9


def test_the_majority_class_is_the_first_by_name_of_the_commonest():
    metrics = measure(answers([3, 2, 1, 3, 2], [2, 2, 2, 2, 2]), list("abcde"))
    assert (metrics.majority_class, metrics.majority_top1) == ("n2", 0.4)


def test_a_summary_says_what_was_scored(make_result):
    result = make_result(num_clips=30, num_sources=4)
    assert (result.model, result.split, result.num_clips, result.num_sources) == ("fine-tuned", "val", 30, 4)
    assert result.engine.label == "openvino bfloat16"
    assert result.verb.top1 >= result.action.top1 <= result.noun.top1


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
    scores = nothing_scores(clips, WITH_NOTHING)
    assert (scores.num_clips, scores.num_recognised, scores.recall) == (3, 2, pytest.approx(2 / 3))
    assert (scores.num_action_clips, scores.num_false_alarms, scores.false_alarms) == (4, 1, 0.25)
    assert scores.recall_interval == top1_interval(np.array([True, True, False]), clips.sources[:3])
    assert scores.false_alarms_interval == top1_interval(np.array([True, False, False, False]), clips.sources[3:])
    assert scores.num_sources == len(set(clips.sources[:3]))


@settings(max_examples=12, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=25))
def test_scores_of_actions_are_those_without_the_clips_in_which_nothing_happens(mixed, drawn):
    which, calls = np.array([False, *(is_nothing for is_nothing, _ in drawn)]), np.array([False, *(called for _, called in drawn)])
    clips = mixed(which, calls)
    with_them, without = summary_of(clips, WITH_NOTHING), summary_of(clips.only(~which), WITH_NOTHING)
    own = {"nothing", "latency"}
    assert with_them.model_dump(exclude=own) == without.model_dump(exclude=own)
    assert with_them.num_clips == (~which).sum()
    assert NOTHING not in {own_class.name for target in ("verb", "action") for own_class in getattr(with_them, target).classes}
    assert with_them.nothing.num_clips == which.sum()


def test_without_such_labels_everything_stays_as_it_is(make_clips, vocabulary, make_result):
    clips = make_clips()
    assert with_actions(clips, vocabulary) is clips
    assert nothing_scores(clips, vocabulary) is None
    assert "nothing" not in make_result().model_dump(mode="json")


def test_a_split_without_such_clips_still_has_false_alarms_but_not_of_a_network_without_an_output_for_them(mixed):
    scores = nothing_scores(mixed(np.zeros(6, bool), np.arange(6) == 2), WITH_NOTHING)
    assert (scores.num_clips, scores.recall, scores.recall_interval, scores.num_false_alarms) == (0, None, None, 1)
    clips = mixed(np.arange(6) < 2, np.ones(6, bool))
    scores = nothing_scores(replace(clips, verb_logits=clips.verb_logits[:, :NOTHING_ID]), WITH_NOTHING)
    assert (scores.num_recognised, scores.num_false_alarms) == (0, 0)


NARROW, WIDE = (125, 352), (131, 361)
VOCABULARY = words({1: "put", 9: "move", 130: "knit"}, {20: "bag", 26: "meat", 360: "sock"})

VERBS, NOUNS = np.array([1, 9, 130, 1]), np.array([20, 26, 20, 360])
"""By turns both known, both known, a verb of one's own, a noun of one's own."""


def answered(sizes, skill=3.0, seed=0, num_clips=24):
    """Answer clips by a network with so many outputs; half of the clips have classes beyond EPIC's."""
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
    evaluated = result(clips)
    assert evaluated.loss == pytest.approx(clips.losses[clips.has_outputs].mean())
    assert [ref.name for ref in (*evaluated.unknown_verbs, *evaluated.unknown_nouns)] == ["knit", "sock"]
    assert EvaluateResult.model_validate_json(evaluated.model_dump_json()) == evaluated


def test_answers_without_any_output_for_them_have_no_loss_and_no_temperature():
    clips = answered(NARROW).only(~answered(NARROW).has_outputs)
    evaluated = result(clips)
    assert (evaluated.loss, evaluated.action.top1, evaluated.action.top5) == (None, 0, 0)
    assert {calibration.temperature for calibration in calibrate(clips, clips, model="baseline", split="val")} == {None}
    assert "cannot name the classes of any val clip" in served(clips, 1, "pytorch", TARGETS).words


def test_temperatures_come_from_the_clips_whose_classes_have_outputs():
    clips = answered(NARROW)
    known = clips.only(clips.has_outputs)
    verb, noun, action = calibrate(clips, clips, model="champion", split="test")
    assert verb.temperature == fit_temperature(known.verb_logits, known.verb_classes)
    assert noun.temperature == fit_temperature(known.noun_logits, known.noun_classes)
    # The error is that on all clips: sure of what is wrong.
    assert sum(bar.num_clips for bar in action.bins) == len(clips.uids)
    assert served(clips, 1, "pytorch", TARGETS).verb in (1.0, verb.temperature)


@pytest.mark.parametrize("sizes", [NARROW, (140, 400)], ids=["narrower", "wider"])
def test_actions_are_compared_by_verb_and_noun_whatever_the_number_of_outputs(sizes):
    ours, theirs = answered(WIDE, skill=12), answered(sizes, skill=12)
    our_answers, their_answers = (answers_of(clips, VOCABULARY)["action"] for clips in (ours, theirs))
    np.testing.assert_array_equal(our_answers.true, their_answers.true)
    pairs = list(zip(ours.verb_classes.tolist(), ours.noun_classes.tolist(), strict=True))
    assert [verb_and_noun(action) for action in our_answers.true.tolist()] == pairs
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
    comparison = nameable_clips(results, scored, VOCABULARY, num_resamples=200)
    assert (comparison.split, comparison.num_all_clips, comparison.num_clips, comparison.num_sources) == ("val", 24, 6, 6)
    first = np.resize([True, False, False, False], 24)
    left = {model: clips.only(first) for model, clips in scored.items()}
    for score in comparison.scores:
        right = answers_of(left[score.model], VOCABULARY)[score.target].right
        assert score.top1 == right.mean()
    tuned = left.pop("fine-tuned")
    assert comparison.differences == differences(tuned, left, VOCABULARY, num_resamples=200)
    assert unnamed_in_words(comparison) == (
        "6 of 24 val clips belong to classes that the baseline cannot name: verb 'move'. "
        "12 of 24 val clips belong to classes that the champion cannot name: verb 'knit' and noun 'sock'."
    )


def test_an_action_without_an_object_is_said_in_words_and_without_objects_nobody_asks_for_nouns(networks):
    _, scored = networks
    words = Vocabulary(verbs=VOCABULARY.verbs, nouns=(*VOCABULARY.nouns[:2], ClassRef(id=360, name="(none)")))
    pair = {model: scored[model] for model in ("champion", "fine-tuned")}
    comparison = nameable_clips([result(clips, model, words) for model, clips in pair.items()], pair, words, num_resamples=50)
    assert unnamed_in_words(comparison).endswith("that the champion cannot name: verb 'knit' and no object.")
    without = Vocabulary(verbs=VOCABULARY.verbs, nouns=(ClassRef(id=360, name="(none)"),))
    assert result(replace(answered(NARROW), noun_classes=np.full(24, 360)), vocabulary=without).unknown_nouns == ()


def test_where_every_network_can_name_every_clip_there_is_nothing_to_say_and_no_clip_may_be_left(networks):
    _, scored = networks
    wide = {model: clips for model, clips in scored.items() if model != "champion"}
    assert nameable_clips([result(clips, model) for model, clips in wide.items()], wide, VOCABULARY) is None
    results = [result(scored["champion"], "champion", known_verbs={9}, known_nouns={20}), result(scored["fine-tuned"])]
    comparison = nameable_clips(results, {model: scored[model] for model in ("champion", "fine-tuned")}, VOCABULARY)
    assert (comparison.num_clips, comparison.scores, comparison.differences) == (0, (), ())
    assert nameable_in_words(comparison) == "No clip is left that every network can name. The gate decides on all clips."


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
