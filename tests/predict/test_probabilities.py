import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import jensenshannon

from tasks.judge.statistics.answers import answers_of, verb_and_noun
from tasks.predict.probabilities import distributions, divergences

LOGITS = arrays(np.float32, (3, 7), elements=st.floats(-20, 20, width=32))


def two(seed, num_clips=6, scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, scale, (num_clips, 125)).astype(np.float32), rng.normal(0, scale, (num_clips, 352)).astype(np.float32)


@given(LOGITS, LOGITS, st.floats(0.05, 20))
def test_each_row_sums_to_one_and_is_ordered_as_its_logits(verbs, nouns, temperature):
    found = distributions(verbs, nouns, temperature, temperature)
    assert found.verbs.sum(axis=1) == pytest.approx(1)
    best = found.ranked()["verb"]
    assert (np.diff(best.probabilities, axis=1) <= 0).all()
    assert np.take_along_axis(verbs, best.ids, axis=1)[:, 0] == pytest.approx(verbs.max(axis=1))


@given(st.integers(0, 1000), st.floats(0.2, 5), st.floats(0.2, 5))
def test_the_best_actions_are_the_best_of_all_pairs(seed, verb_temperature, noun_temperature):
    found = distributions(*two(seed, 2), verb_temperature, noun_temperature)
    best = found.ranked()["action"]
    for i in range(2):
        pairs = np.outer(found.verbs[i], found.nouns[i])
        assert best.probabilities[i] == pytest.approx(np.sort(pairs.ravel())[::-1][:5])
        assert [pairs[verb_and_noun(action)] for action in best.ids[i].tolist()] == pytest.approx(best.probabilities[i])


@given(st.integers(0, 1000), st.sets(st.tuples(st.integers(0, 125), st.integers(0, 352)), min_size=1, max_size=9))
def test_of_known_pairs_the_best_are_named_and_an_unknown_one_has_probability_0(seed, pairs):
    verbs, nouns = two(seed, 2)
    likeliest = (int(verbs[0].argmax()), int(nouns[0].argmax()))
    found = distributions(verbs, nouns, 1, 1, {likeliest, *pairs})
    known = {pair for pair in {likeliest, *pairs} if pair[0] < 125 and pair[1] < 352}  # of others the network has no output
    best = found.ranked()["action"]
    assert best.ids.shape == (2, 5)
    for i, (verb, noun, probability) in enumerate(zip(*found.best(), strict=True)):
        likely = sorted((found.verbs[i, v] * found.nouns[i, o] for v, o in known), reverse=True)[:5]
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
    found = divergences(ours, theirs)
    for i in range(2):
        p, q = (np.outer(one.verbs[i], one.nouns[i]).ravel() for one in (ours, theirs))
        assert found[i] == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert divergences(theirs, ours) == pytest.approx(found)
    assert divergences(ours, ours) == pytest.approx(0)


def test_what_has_nothing_in_common_is_one_bit_apart():
    one, other = (distributions(*(100 * np.roll(np.eye(1, n, dtype=np.float32), by, axis=1) for n in (125, 352)), 1, 1) for by in (0, 1))
    assert divergences(one, other) == pytest.approx(1)


def test_a_class_that_one_network_has_no_output_for_is_impossible_to_it():
    small = distributions(100 * np.eye(1, 3, dtype=np.float32), 100 * np.eye(1, 4, dtype=np.float32), 1, 1)
    same = distributions(100 * np.eye(1, 6, dtype=np.float32), 100 * np.eye(1, 7, dtype=np.float32), 1, 1)
    beyond = distributions(100 * np.eye(1, 6, 5, dtype=np.float32), 100 * np.eye(1, 7, dtype=np.float32), 1, 1)
    assert divergences(small, same) == pytest.approx([0], abs=1e-9)
    assert divergences(small, beyond) == divergences(beyond, small) == pytest.approx([1])
    assert small.ranked()["action"].ids[0, 0] == same.ranked()["action"].ids[0, 0]
    assert small.ranked()["action"].ids[0, 0] != beyond.ranked()["action"].ids[0, 0]
