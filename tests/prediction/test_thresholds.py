import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.evaluation.scoring import ScoredClips
from tasks.prediction.temperatures import Served
from tasks.prediction.thresholds import MIN_CLIPS, fit_threshold, lowest_probability
from tasks.results.record import TARGETS, VERB_ALONE


def probabilities(draws, num_clips):
    """Some of them equal."""
    return draws.integers(1, 12, num_clips) / 12


@given(seed=st.integers(0, 1000), num_clips=st.integers(0, 60), precision=st.sampled_from([0.5, 0.8, 0.95]))
def test_the_threshold_is_the_lowest_that_keeps_the_precision(seed, num_clips, precision):
    draws = np.random.default_rng(seed)
    likely, right = probabilities(draws, num_clips), draws.random(num_clips) < 0.7
    found = lowest_probability(likely, right, precision)
    fitting = [one for one in set(likely) if (likely >= one).sum() >= MIN_CLIPS and right[likely >= one].mean() >= precision]
    assert found == min(fitting, default=None)


def val(num_clips, num_right):
    """Clips of which the first are right; the surer, the earlier."""
    verbs, nouns = np.zeros((num_clips, 3), np.float32), np.zeros((num_clips, 2), np.float32)
    verbs[:, 1] = nouns[:, 1] = np.linspace(4, 1, num_clips)
    classes = np.where(np.arange(num_clips) < num_right, 1, 0)
    return ScoredClips(tuple(map(str, range(num_clips))), ("s",) * num_clips, classes, np.ones(num_clips, np.int64), verbs, nouns)


def test_what_it_says_is_what_it_found():
    found = fit_threshold(val(20, 15), Served(1, 1, "", 1), 0.8, TARGETS)
    assert found.words.endswith("because 83.3 % of the 18 val clips predicted so were right, and at least 80.0 % was asked for")
    clip = val(20, 15).only(np.arange(20) == 17)
    verb, noun = (np.exp(one[0, 1]) / np.exp(one[0]).sum() for one in (clip.verb_logits, clip.noun_logits))
    assert found.probability == pytest.approx(verb * noun)
    assert fit_threshold(val(20, 15), Served(1, 1, "", 1), 0.8, VERB_ALONE).probability == pytest.approx(verb)


@pytest.mark.parametrize(("num_clips", "num_right"), [(MIN_CLIPS - 1, MIN_CLIPS - 1), (40, 5)], ids=["few clips", "few right ones"])
def test_where_val_supports_no_threshold_there_is_none_and_it_says_why(num_clips, num_right):
    found = fit_threshold(val(num_clips, num_right), Served(1, 1, "", 1), 0.8, TARGETS)
    assert found.probability is None
    assert found.words == f"of any probability: no probability separates 10 or more of the {num_clips} val clips of which 80.0 % were right"
