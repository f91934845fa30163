import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.predict.intervals import Interval, cut_into_cells, intervals, reported
from tasks.predict.probabilities import Distributions

CLIP, STRIDE = 8.0, 2.0


@st.composite
def films(draw):
    """The windows of a film, in which some may be missing, with a rest at the end that is shorter; and probabilities of verbs and nouns."""
    starts = np.arange(draw(st.integers(1, 12))) * STRIDE
    kept = np.array(draw(st.lists(st.booleans(), min_size=len(starts), max_size=len(starts))))
    kept[0] = True
    starts = starts[kept]
    stops = starts + CLIP
    if draw(st.booleans()):
        starts, stops = np.append(starts, stops[-1]), np.append(stops, stops[-1] + 3)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    verbs, nouns = (rng.dirichlet(np.full(size, 0.3), len(starts)) for size in (3, 2))
    return starts, stops, Distributions(verbs, nouns)


@given(films())
def test_intervals_are_in_order_lie_in_windows_and_do_not_overlap(film):
    starts, stops, likely = film
    merged = intervals(starts, stops, likely)
    for each in merged:
        assert each.start_seconds < each.stop_seconds
        assert 0 < each.probability <= 1 + 1e-9
        for second in np.arange(each.start_seconds, each.stop_seconds, 0.5):
            assert ((starts <= second) & (second < stops)).any(), "an interval has no part that no window covers"
    for each, after in itertools.pairwise(merged):
        assert each.stop_seconds <= after.start_seconds
        touches = each.stop_seconds == after.start_seconds
        assert not touches or (each.verb_class, each.noun_class) != (after.verb_class, after.noun_class)
    covered = np.unique([second for a, b in zip(starts, stops, strict=True) for second in np.arange(a, b, 0.5)])
    assert sum(each.stop_seconds - each.start_seconds for each in merged) == pytest.approx(0.5 * len(covered))


@given(films(), st.floats(0, 1), st.floats(0, 1))
def test_a_higher_threshold_never_adds_an_interval(film, threshold, other):
    merged = intervals(*film)
    low, high = sorted((threshold, other))
    assert set(reported(merged, high)) <= set(reported(merged, low)) <= set(reported(merged, None)) == set(merged)


@given(films())
def test_smoothed_probabilities_sum_to_one_lie_between_those_of_the_windows_and_stay_where_all_agree(film):
    starts, stops, likely = film
    smooth = cut_into_cells(starts, stops).smooth(likely.verbs)
    np.testing.assert_allclose(smooth.sum(axis=1), 1)
    assert (smooth >= likely.verbs.min(axis=0) - 1e-12).all()
    assert (smooth <= likely.verbs.max(axis=0) + 1e-12).all()


def test_an_action_of_some_seconds_is_found_where_it_is():
    starts = np.arange(0, 25, STRIDE)
    middles = starts + CLIP / 2
    is_second = (middles > 12) & (middles < 24)
    verbs = np.where(is_second[:, None], [[0.1, 0.9]], [[0.8, 0.2]])
    merged = intervals(starts, starts + CLIP, Distributions(verbs, np.ones((len(starts), 1))))
    assert [(each.start_seconds, each.stop_seconds, each.verb_class) for each in merged] == [(0, 12, 0), (12, 24, 1), (24, 32, 0)]


def test_windows_a_clip_apart_are_the_clips_with_their_own_probabilities():
    verbs = np.array([[0.7, 0.3], [0.9, 0.1], [0.2, 0.8]])
    merged = intervals(np.array([0.0, 8, 16]), np.array([8.0, 16, 20]), Distributions(verbs, np.ones((3, 1))))
    assert merged == (Interval(0, 16, 0, 0, pytest.approx(0.8)), Interval(16, 20, 1, 0, 0.8))


def test_an_interval_is_the_likeliest_known_pair():
    pair = np.array([[0.6, 0.4]] * 2)
    likely = Distributions(pair, pair, np.array([[0, 1], [1, 0], [1, 1]]))
    assert intervals(np.array([0.0, 8]), np.array([8.0, 16]), likely) == (Interval(0, 16, 0, 1, pytest.approx(0.24)),)


def test_a_film_without_windows_has_no_intervals():
    assert intervals(np.empty(0), np.empty(0), Distributions(np.empty((0, 2)), np.empty((0, 2)))) == ()


def test_a_window_counts_the_more_the_nearer_its_middle_is():
    parts = cut_into_cells(np.array([0.0, 2, 4]), np.array([8.0, 10, 12]))
    assert list(zip(parts.starts, parts.stops, strict=True)) == [(0, 2), (2, 4), (4, 8), (8, 10), (10, 12)]
    assert [weights.tolist() for weights in parts.weights[2:3]] == [[0.25, 0.5, 0.25]]
