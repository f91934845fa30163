"""The law of errors over numbers of clips: found where it is true, and never beyond what an error can be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.judge.statistics.power_law import EXPONENTS, fit_power_laws

SHARES = np.array([0.1, 0.2, 0.5, 1.0])
errors = arrays(float, (3, 4), elements=st.floats(0, 1))


@pytest.mark.parametrize("exponent", EXPONENTS[[1, 5, 8, 11]])
@pytest.mark.parametrize(("floor", "scale"), [(0, 0.05), (0.02, 0.05), (0.3, 0), (0.1, 0.01)])
def test_a_true_law_is_found(exponent, floor, scale):
    found = fit_power_laws((floor + scale * SHARES**-exponent)[None], SHARES)
    assert found.error(4)[0] == pytest.approx(floor + scale * 4**-exponent, abs=1e-6)
    assert found.gain(2)[0] == pytest.approx(scale * (1 - 2**-exponent), abs=1e-6)


@given(errors)
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


@settings(max_examples=20)
@given(errors)
def test_each_curve_is_fitted_by_itself(observed):
    together = fit_power_laws(observed, SHARES).error(2)
    alone = [fit_power_laws(one[None], SHARES).error(2)[0] for one in observed]
    assert np.allclose(together, alone)


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
