from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon
from scipy.stats import binomtest

from tasks.judge.statistics.answers import answers_of, verb_and_noun
from tasks.judge.statistics.calibration import fit_temperature
from tasks.judge.statistics.scoring import ScoredClips, with_nouns_given
from tasks.predict.probabilities import MIN_CLIPS, Nothing, Served, distributions, divergences, fit_threshold, lowest_probability, served
from tasks.store.records.dataset import NO_OBJECT, ClassRef, Vocabulary
from tasks.store.records.record import TARGETS, VERB_ALONE

LOGITS = arrays(np.float32, (3, 7), elements=st.floats(-20, 20, width=32))


def two(seed, num_clips=6, scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, (num_clips, 125)).astype(np.float32), rng.normal(0, scale, (num_clips, 352)).astype(np.float32)


@given(LOGITS, LOGITS, st.floats(0.05, 20))
def test_each_row_sums_to_one_and_is_ordered_as_its_logits(verbs, nouns, temperature):
    likely = distributions(verbs, nouns, temperature, temperature)
    assert likely.verbs.sum(axis=1) == pytest.approx(1)
    best = likely.ranked()["verb"]
    assert (np.diff(best.probabilities, axis=1) <= 0).all()
    assert np.take_along_axis(verbs, best.ids, axis=1)[:, 0] == pytest.approx(verbs.max(axis=1))


@given(st.integers(0, 1000), st.floats(0.2, 5), st.floats(0.2, 5))
def test_the_best_actions_are_the_best_of_all_pairs(seed, verb_temperature, noun_temperature):
    likely = distributions(*two(seed, 2), verb_temperature, noun_temperature)
    best = likely.ranked()["action"]
    for i in range(2):
        pairs = np.outer(likely.verbs[i], likely.nouns[i])
        assert best.probabilities[i] == pytest.approx(np.sort(pairs.ravel())[::-1][:5])
        assert [pairs[verb_and_noun(action)] for action in best.ids[i].tolist()] == pytest.approx(best.probabilities[i])


@given(st.integers(0, 1000), st.sets(st.tuples(st.integers(0, 125), st.integers(0, 352)), min_size=1, max_size=9))
def test_of_known_pairs_the_best_are_named_and_an_unknown_one_has_probability_0(seed, pairs):
    verbs, nouns = two(seed, 2)
    likeliest = (int(verbs[0].argmax()), int(nouns[0].argmax()))
    answers = distributions(verbs, nouns, 1, 1, {likeliest, *pairs})
    known = {pair for pair in {likeliest, *pairs} if pair[0] < 125 and pair[1] < 352}  # of others the network has no output
    best = answers.ranked()["action"]
    assert best.ids.shape == (2, 5)
    for i, (verb, noun, probability) in enumerate(zip(*answers.best(), strict=True)):
        likely = sorted((answers.verbs[i, v] * answers.nouns[i, o] for v, o in known), reverse=True)[:5]
        assert best.probabilities[i] == pytest.approx([*likely, *[0] * (5 - len(likely))], rel=1e-9, abs=0)
        named = [verb_and_noun(action) for action in best.ids[i].tolist()]
        assert known.issuperset(named[: len(likely)])
        assert known.isdisjoint(named[len(likely) :])
        assert (named[0], probability) == ((verb, noun), likely[0])


def test_without_temperature_they_are_the_answers_of_the_report(make_clips, vocabulary):
    clips = make_clips(20)
    ranked = distributions(clips.verb_logits, clips.noun_logits, 1, 1).ranked()
    for target, answers in answers_of(clips, vocabulary).items():
        assert ranked[target].ids.tolist() == answers.ranked.tolist()


def test_entropy_is_one_where_nothing_is_known_and_near_zero_where_all_is():
    nothing = distributions(np.zeros((1, 125), np.float32), np.zeros((1, 352), np.float32), 1, 1)
    assert nothing.entropies() == pytest.approx(1)
    certain = distributions(*(100 * np.eye(1, size, dtype=np.float32) for size in (125, 352)), 1, 1)
    assert certain.entropies() == pytest.approx(0)
    assert distributions(*two(0), 1, 1).entropies().max() < distributions(*two(0), 5, 5).entropies().min()


@settings(max_examples=20)
@given(st.integers(0, 100))
def test_divergence_is_scipys_over_all_actions(seed):
    ours, theirs = distributions(*two(seed, 2), 1, 1), distributions(*two(seed + 1, 2), 1, 2)
    divergence = divergences(ours, theirs)
    for i in range(2):
        p, q = (np.outer(likely.verbs[i], likely.nouns[i]).ravel() for likely in (ours, theirs))
        assert divergence[i] == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert divergences(theirs, ours) == pytest.approx(divergence)
    assert divergences(ours, ours) == pytest.approx(0)


def test_a_class_that_one_network_has_no_output_for_is_impossible_to_it():
    small = distributions(100 * np.eye(1, 3, dtype=np.float32), 100 * np.eye(1, 4, dtype=np.float32), 1, 1)
    same = distributions(100 * np.eye(1, 6, dtype=np.float32), 100 * np.eye(1, 7, dtype=np.float32), 1, 1)
    beyond = distributions(100 * np.eye(1, 6, 5, dtype=np.float32), 100 * np.eye(1, 7, dtype=np.float32), 1, 1)
    assert divergences(small, same) == pytest.approx([0], abs=1e-9)
    assert divergences(small, beyond) == divergences(beyond, small) == pytest.approx([1])
    assert small.ranked()["action"].ids[0, 0] == same.ranked()["action"].ids[0, 0]
    assert small.ranked()["action"].ids[0, 0] != beyond.ranked()["action"].ids[0, 0]


def test_temperatures_are_those_of_val(make_clips):
    clips = make_clips(200, skill=3.0)
    fit = served(clips, 10, "pytorch float32", TARGETS)
    assert fit.verb == fit_temperature(clips.verb_logits, clips.verb_classes)
    assert fit.noun == fit_temperature(clips.noun_logits, clips.noun_classes)
    assert fit.is_calibrated
    told = "fitted on 200 val clips (10 crops per frame, pytorch float32)"
    assert (fit.words, fit.crops) == (f"temperatures {fit.verb:.2f} (verbs) and {fit.noun:.2f} (nouns), {told}", 10)
    hotter = served(replace(clips, verb_logits=2 * clips.verb_logits), 10, "pytorch float32", TARGETS)
    assert hotter.verb == pytest.approx(2 * fit.verb, rel=1e-3)


@pytest.mark.parametrize(
    ("num_clips", "skill", "reason"),
    [(3, 50.0, "on 3 val clips, so no temperature"), (200, -3.0, "at the limit of the search")],
    ids=["all right", "all wrong"],
)
def test_answers_that_no_temperature_suits_tell_none(make_clips, num_clips, skill, reason):
    fit = served(make_clips(num_clips, skill=skill), 1, "pytorch float32", TARGETS)
    assert (fit.verb, fit.noun, fit.is_calibrated) == (1, 1, False)
    assert fit.words.startswith("not calibrated: ")
    assert reason in fit.words


def test_given_nouns_have_no_temperature_and_leave_the_verbs_theirs(make_clips, vocabulary):
    clips = make_clips(200, skill=3.0)
    nouns = tuple(ClassRef(id=i, name=NO_OBJECT) for i in range(3))
    given = with_nouns_given(clips, Vocabulary(verbs=vocabulary.verbs, nouns=nouns))
    fit = served(given, 10, "pytorch float32", VERB_ALONE)
    assert (fit.verb, fit.noun, fit.is_calibrated) == (fit_temperature(clips.verb_logits, clips.verb_classes), 1, True)
    assert fit.words == f"temperature {fit.verb:.2f} (verbs), fitted on 200 val clips (10 crops per frame, pytorch float32)"


def limit(right):
    """The lower end of the two-sided interval at 60 % is the one-sided limit at 80 %."""
    return binomtest(int(right.sum()), len(right)).proportion_ci(0.6, method="wilson").low


@given(seed=st.integers(0, 1000), num_clips=st.integers(0, 60), precision=st.sampled_from([0.5, 0.8, 0.95]))
def test_the_threshold_is_the_lowest_that_shows_the_precision(seed, num_clips, precision):
    draws = np.random.default_rng(seed)
    likely, right = draws.integers(1, 12, num_clips) / 12, draws.random(num_clips) < 0.7  # some are equally likely
    lowest = lowest_probability(likely, right, precision)
    fitting = [own for own in set(likely) if (likely >= own).sum() >= MIN_CLIPS and limit(right[likely >= own]) >= precision]
    assert lowest == min(fitting, default=None)


def val(num_clips, num_right):
    """Clips of which the first are right; the surer, the earlier."""
    verbs, nouns = np.zeros((num_clips, 3), np.float32), np.zeros((num_clips, 2), np.float32)
    verbs[:, 1] = nouns[:, 1] = np.linspace(4, 1, num_clips)
    classes = np.where(np.arange(num_clips) < num_right, 1, 0)
    return ScoredClips(tuple(map(str, range(num_clips))), ("s",) * num_clips, classes, np.ones(num_clips, np.int64), verbs, nouns)


def fitted(clips, precision=0.8, targets=TARGETS, **known):
    return fit_threshold(clips, Served(1, 1, "", 1), precision, targets, crops=10, **known)


def test_the_words_on_a_threshold_tell_how_it_was_chosen():
    fit = fitted(val(20, 15))
    for said in (
        "because 88.2 % of the 17 val clips predicted so (10 crops per frame) were right, a share whose lower limit is 80.1 %, and at least 80.0 %",
        "chosen on the same clips, fewer than 45, so on others fewer may be right; each of them shows an action, so it counts no false alarm",
    ):
        assert said in fit.words
    assert "the threshold was chosen on the same clips; each of them shows an action" in fitted(val(60, 45)).words
    clip = val(20, 15).only(np.arange(20) == 16)
    verb, noun = (np.exp(logits[0, 1]) / np.exp(logits[0]).sum() for logits in (clip.verb_logits, clip.noun_logits))
    assert fit.probability == pytest.approx(verb * noun)
    assert fitted(val(20, 15), targets=VERB_ALONE).probability == pytest.approx(verb)


@pytest.mark.parametrize(
    ("num_clips", "num_right", "reports", "words"),
    [
        (40, 5, False, "none, because no probability separates 10 or more of the 40 val clips (10 crops per frame) that show a"),
        (9, 9, True, "of any probability: 9 val clips (10 crops per frame) are too few to choose a threshold, which takes 10"),
        (1, 1, True, "of any probability: 1 val clip (10 crops per frame) is too few"),
    ],
)
def test_without_a_threshold_nothing_or_everything_is_reported_and_it_says_why(num_clips, num_right, reports, words):
    fit = fitted(val(num_clips, num_right))
    assert (fit.probability, fit.reports) == (None, reports)
    assert fit.words.startswith(words)


def test_a_threshold_is_that_of_known_pairs():
    clips = val(20, 20)
    all_pairs, known = fitted(clips), fitted(clips, pairs=((1, 1), (2, 1)))
    assert (known.probability, known.words) == (all_pairs.probability, all_pairs.words)
    assert not fitted(clips, pairs=((0, 1), (2, 1))).reports
    assert fitted(clips, targets=VERB_ALONE, pairs=((0, 1),)) == fitted(clips, targets=VERB_ALONE)


@pytest.mark.parametrize("targets", [TARGETS, VERB_ALONE])
def test_clips_predicted_as_nothing_count_in_no_precision_but_those_that_show_nothing_do(targets):
    surest, wrong = np.arange(30) < 8, (np.arange(30) >= 8) & (np.arange(30) < 12)
    clips = val(30, 30)
    verbs = clips.verb_logits.copy()
    verbs[surest] = [0, 0, 9]
    called_nothing = replace(clips, verb_logits=verbs, verb_classes=np.where(surest | wrong, 2, clips.verb_classes))
    fit = fitted(called_nothing, 0.7, targets=targets, nothing=Nothing(2, 6))
    assert fit.probability == fitted(called_nothing.only(~surest), 0.7, targets=targets, nothing=Nothing(2, 6)).probability
    assert fit.words.endswith("; of 12 val clips in which nothing happens it reports an action in 4, 3.3 false alarms a minute")
    assert "because 81.8 % of the 22 val clips predicted so" in fit.words, "18 are right, and 4 that show nothing are called an action"
    assert fitted(called_nothing, 0.7, targets=targets).words != fit.words
    few = fitted(called_nothing.only(np.arange(30) < 17), targets=targets, nothing=Nothing(2, 6))
    assert few.words.startswith("of any probability: 9 val clips on which it named an action (10 crops per frame) are too few")
