"""What more labels would gain: the points, the limits of the gains, and when nothing is said."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.judge.statistics.learning_curve import EXPONENTS, TIMES, extrapolate, fit_power_laws, learning_curve, num_new_classes
from tests.simulations.labels import TRUTHS, answers

SIZES = [5, 10, 25, 50]


def sources_of(num_clips, num_films):
    return [f"film {clip % num_films}" for clip in range(num_clips)]


def curve(right, sizes=SIZES, num_films=3, **choice):
    return learning_curve(
        right, sizes, sources_of(right.shape[2], num_films), target="action", majority_top1=0.4, num_resamples=100, **choice
    )


@st.composite
def trainings(draw):
    num_films = draw(st.integers(2, 6))
    num_clips = draw(st.integers(num_films, 30))
    levels = draw(st.lists(st.floats(0, 1), min_size=4, max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    right = rng.random((4, 5, num_clips)) < np.array(levels)[:, None, None]
    return right, sources_of(num_clips, num_films)


@settings(max_examples=25)
@given(trainings())
def test_a_gain_is_no_loss_no_more_than_the_error_left_and_grows_with_the_clips(drawn):
    right, sources = drawn
    estimate = extrapolate(right, SIZES, sources, num_resamples=50)
    left = 1 - right[-1].mean()
    twice, four = estimate.gains
    assert (twice.times, four.times) == TIMES
    assert (twice.num_clips, four.num_clips) == (100, 200)
    for more in (twice, four):
        assert 0 <= more.interval[0] <= more.gain + 1e-12
        assert more.gain <= min(more.interval[1], left) + 1e-12
        assert more.interval[1] <= 1
    assert twice.gain <= four.gain + 1e-12
    assert twice.interval[0] <= four.interval[0] + 1e-12
    assert twice.interval[1] <= four.interval[1] + 1e-12
    numbers = [point.num_clips for point in estimate.fit]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (5, 200)
    assert [point.num_clips >= 50 for point in estimate.fit] == [point.interval is not None for point in estimate.fit]
    assert (np.diff([point.top1 for point in estimate.fit]) >= -1e-12).all()


@settings(max_examples=15)
@given(trainings(), st.randoms(use_true_random=False))
def test_the_order_of_the_val_clips_changes_nothing(drawn, random):
    right, sources = drawn
    order = list(range(len(sources)))
    random.shuffle(order)
    limits = [
        [limit for more in extrapolate(of, SIZES, by, num_resamples=50).gains for limit in (more.gain, *more.interval)]
        for of, by in ((right, sources), (right[:, :, order], [sources[i] for i in order]))
    ]
    assert limits[0] == pytest.approx(limits[1])


def test_points_have_the_mean_of_their_draws_and_the_interval_of_its_counts():
    right = np.zeros((4, 5, 30), bool)
    right[-1, :, :15] = True
    right[-1, 0, :] = True
    last = curve(right).points[-1]
    assert last.draws == (1.0, 0.5, 0.5, 0.5, 0.5)
    assert last.top1 == pytest.approx(0.6)
    assert last.interval[0] < 0.6 < last.interval[1]


def test_a_steep_curve_promises_more_than_a_flat_one_and_more_films_tell_more():
    def mean_of(name, num_films):
        """The gain and the width of its interval, over ten curves."""
        rng, truth = np.random.default_rng(0), next(truth for truth in TRUTHS if truth.name == name)
        sources = [str(film) for film in range(num_films) for _ in range(5)]
        gains = [extrapolate(answers(rng, truth, num_films), SIZES, sources, num_resamples=100).gains[0] for _ in range(10)]
        return np.mean([gain.gain for gain in gains]), np.mean([gain.interval[1] - gain.interval[0] for gain in gains])

    steep, flat = mean_of("usual", 40), mean_of("flat", 40)
    assert steep[0] > flat[0] + 0.02
    for name, many in (("usual", steep), ("flat", flat)):
        assert many[1] < mean_of(name, 3)[1]


def test_clips_that_are_answered_alike_by_all_trainings_are_no_proof_of_no_gain():
    right = np.zeros((4, 5, 12), bool)
    right[:, :, :6] = True
    (gain, _) = extrapolate(right, SIZES, sources_of(12, 2), num_resamples=50).gains
    assert gain.gain == 0
    assert gain.interval == (0, pytest.approx(1 - 0.025 ** (1 / 12)))


@pytest.mark.parametrize(
    ("told", "sizes", "num_films", "is_right"),
    [
        ("one source video", SIZES, 1, False),
        ("Shares of 19 training clips are too small", [2, 4, 10, 19], 3, False),
        ("all clips, none of 12 val clips is wrong; it takes 3 or more", SIZES, 3, True),
    ],
)
def test_data_that_cannot_tell_are_told_in_one_sentence_without_numbers(told, sizes, num_films, is_right):
    right = np.zeros((4, 5, 12), bool)
    right[1:, :, :6] = True
    if is_right:
        right[-1] = True
    judged = curve(right, sizes, num_films)
    assert told in judged.unknown
    assert judged.unknown.endswith(".")
    assert (judged.fit, judged.gains) == ((), ())
    assert [point.num_clips for point in judged.points] == sizes


def leveled(levels, num_clips=60):
    """Answers (p, d, n), the same in all draws, right at these shares."""
    return np.stack([np.tile(np.arange(num_clips) % 20 < round(20 * level), (5, 1)) for level in levels])


@pytest.mark.parametrize(
    ("levels", "first_fitted", "unknown"),
    [
        ((0.45, 0.6, 0.7, 0.75), 5, None),
        ((0.4, 0.6, 0.7, 0.75), 10, None),
        ((0.4, 0.35, 0.7, 0.75), None, "2 shares beat always predicting"),
        ((0.4, 0.35, 0.3, 0.25), None, "0 shares beat"),
        ((0.85, 0.45, 0.85, 0.45), None, "do not follow a power law"),
    ],
)
def test_a_curve_begins_above_always_guessing_and_must_follow_its_law(levels, first_fitted, unknown):
    drawn = curve(leveled(levels), num_films=6)
    assert (drawn.fit[0].num_clips if drawn.fit else None) == first_fitted
    assert drawn.unknown is None if unknown is None else unknown in drawn.unknown
    assert [point.num_clips for point in drawn.points] == SIZES, "all shares are shown"


@pytest.mark.parametrize(("counts", "expected"), [([20, 20], 0), ([1, 1, 18], 1), ([2, 2], 2 / 6)])
def test_new_classes_are_those_that_half_of_the_clips_lacks(counts, expected):
    assert num_new_classes(counts) == pytest.approx(expected, abs=0.01)


SHARES = np.array([0.1, 0.2, 0.5, 1.0])


@pytest.mark.parametrize("exponent", EXPONENTS[[1, 5, 8, 11]])
@pytest.mark.parametrize(("floor", "scale"), [(0, 0.05), (0.02, 0.05), (0.3, 0), (0.1, 0.01)])
def test_a_true_law_is_found(exponent, floor, scale):
    law = fit_power_laws((floor + scale * SHARES**-exponent)[None], SHARES)
    assert law.error(4)[0] == pytest.approx(floor + scale * 4**-exponent, abs=1e-6)
    assert law.gain(2)[0] == pytest.approx(scale * (1 - 2**-exponent), abs=1e-6)


@given(arrays(float, (3, 4), elements=st.floats(0, 1)))
def test_errors_fall_and_stay_between_the_floor_and_what_they_were(observed):
    laws = fit_power_laws(observed, SHARES)
    assert (laws.floor >= 0).all()
    assert (laws.scale >= 0).all()
    steps = np.array([laws.error(share) for share in (0.1, 0.5, 1, 2, 4, 1000)])
    assert (np.diff(steps, axis=0) <= 1e-12).all()
    assert (steps >= laws.floor - 1e-12).all()
    assert np.allclose(laws.error(1) - laws.error(2), laws.gain(2))
    # Each further doubling gains less than the one before.
    assert (laws.gain(4) - laws.gain(2) <= laws.gain(2) + 1e-12).all()
    assert np.allclose(laws.error(2), [fit_power_laws(errors[None], SHARES).error(2)[0] for errors in observed]), "each is fitted by itself"


@settings(max_examples=30)
@given(arrays(float, 4, elements=st.floats(0, 1)))
def test_no_other_law_of_the_candidates_fits_better(observed):
    law = fit_power_laws(observed[None], SHARES)

    def misfit(floor, scale, exponent):
        return (SHARES * (observed - floor - scale * SHARES**-exponent) ** 2).sum()

    best = misfit(law.floor[0], law.scale[0], law.exponent[0])
    rng = np.random.default_rng(0)
    for _ in range(200):
        assert best <= misfit(rng.uniform(0, 1), rng.uniform(0, 0.5), rng.choice(EXPONENTS)) + 1e-9
