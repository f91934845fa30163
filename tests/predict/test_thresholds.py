from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tasks.judge.statistics.scoring import ScoredClips
from tasks.predict.intervals import Interval, reported
from tasks.predict.temperatures import Served
from tasks.predict.thresholds import MIN_CLIPS, fit_threshold, lowest_probability
from tasks.store.records.record import TARGETS, VERB_ALONE


def probabilities(draws, num_clips):
    """Some of them equal."""
    return draws.integers(1, 12, num_clips) / 12


def limit(right):
    """The lower end of the two-sided interval at 60 % is the one-sided limit at 80 %."""
    return binomtest(int(right.sum()), len(right)).proportion_ci(0.6, method="wilson").low


@given(seed=st.integers(0, 1000), num_clips=st.integers(0, 60), precision=st.sampled_from([0.5, 0.8, 0.95]))
def test_the_threshold_is_the_lowest_that_shows_the_precision(seed, num_clips, precision):
    draws = np.random.default_rng(seed)
    likely, right = probabilities(draws, num_clips), draws.random(num_clips) < 0.7
    found = lowest_probability(likely, right, precision)
    fitting = [one for one in set(likely) if (likely >= one).sum() >= MIN_CLIPS and limit(right[likely >= one]) >= precision]
    assert found == min(fitting, default=None)


def test_a_lucky_val_is_no_proof():
    """Eight of ten right are 80 % on val, and on other clips less as often as more."""
    likely = np.linspace(0.9, 0.1, 20)
    assert lowest_probability(likely, np.arange(20) < 8, 0.8) is None
    assert lowest_probability(likely, np.arange(20) < 10, 0.8) == pytest.approx(likely[10])


def val(num_clips, num_right):
    """Clips of which the first are right; the surer, the earlier."""
    verbs, nouns = np.zeros((num_clips, 3), np.float32), np.zeros((num_clips, 2), np.float32)
    verbs[:, 1] = nouns[:, 1] = np.linspace(4, 1, num_clips)
    classes = np.where(np.arange(num_clips) < num_right, 1, 0)
    return ScoredClips(tuple(map(str, range(num_clips))), ("s",) * num_clips, classes, np.ones(num_clips, np.int64), verbs, nouns)


def fitted(clips, precision=0.8, targets=TARGETS, **known):
    return fit_threshold(clips, Served(1, 1, "", 1), precision, targets, crops=10, **known)


def test_what_it_says_is_what_it_found():
    found = fitted(val(20, 15))
    assert found.words.endswith(
        "because 88.2 % of the 17 val clips predicted so (10 crops per frame) were right, a share whose lower limit is 80.1 %, and at least 80.0 % "
        "was asked for; the threshold was chosen on the same clips, fewer than 45, so on others fewer may be right"
    )
    assert fitted(val(60, 45)).words.endswith("the threshold was chosen on the same clips")
    clip = val(20, 15).only(np.arange(20) == 16)
    verb, noun = (np.exp(one[0, 1]) / np.exp(one[0]).sum() for one in (clip.verb_logits, clip.noun_logits))
    assert found.probability == pytest.approx(verb * noun)
    assert fitted(val(20, 15), targets=VERB_ALONE).probability == pytest.approx(verb)


def test_where_val_never_reaches_the_precision_nothing_is_reported_and_it_says_why():
    found = fitted(val(40, 5))
    assert (found.probability, found.reports) == (None, False)
    assert found.words == (
        "none, because no probability separates 10 or more of the 40 val clips (10 crops per frame) that show a precision of 80.0 %; a lower "
        "interval_precision may, or more val clips"
    )


def test_where_val_has_too_few_clips_everything_is_reported_and_it_says_why():
    found = fitted(val(MIN_CLIPS - 1, MIN_CLIPS - 1))
    assert (found.probability, found.reports) == (None, True)
    assert found.words == "of any probability: 9 val clips (10 crops per frame) are too few to choose a threshold, which takes 10"


@given(
    num_clips=st.integers(0, 40),
    num_right=st.integers(0, 40),
    precisions=st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)),
    seed=st.integers(0, 99),
)
def test_a_higher_precision_never_adds_an_interval(num_clips, num_right, precisions, seed):
    clips = val(num_clips, num_right)
    clips = replace(clips, verb_classes=np.random.default_rng(seed).permutation(clips.verb_classes))
    found = tuple(Interval(float(i), i + 1.0, 0, 0, i / 50) for i in range(51))
    low, high = (fitted(clips, precision) for precision in sorted(precisions))
    kept = [set(reported(found, one.probability)) if one.reports else set() for one in (low, high)]
    assert kept[1] <= kept[0]


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
    found = fitted(called_nothing, 0.7, targets=targets, nothing_verb=2)
    assert found == fitted(called_nothing.only(~surest), 0.7, targets=targets, nothing_verb=2)
    assert "because 81.8 % of the 22 val clips predicted so" in found.words, "18 are right, and 4 that show nothing are called an action"
    assert fitted(called_nothing, 0.7, targets=targets).words != found.words
    assert fitted(called_nothing.only(np.arange(30) < 17), targets=targets, nothing_verb=2).words.startswith(
        "of any probability: 9 val clips on which it named an action (10 crops per frame) are too few"
    )
