import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.judge.statistics import resampling
from tasks.judge.statistics.resampling import resample

SUMS = st.lists(st.integers(-5, 5), min_size=2, max_size=12)


def test_blocks_change_nothing(monkeypatch):
    sums, num_clips = np.arange(7) - 2, np.full(7, 9)
    whole = resample(sums, num_clips, num_resamples=500, seed=0)
    monkeypatch.setattr(resampling, "MAX_DRAWS_AT_ONCE", 50)
    assert resample(sums, num_clips, num_resamples=500, seed=0) == whole


def test_few_videos_get_students_t():
    """Three videos of ten clips: mean and standard error by hand, t of two degrees of freedom."""
    sums, num_clips = np.array([2, 5, 8]), np.array([10, 10, 10])
    low, high = resample(sums, num_clips, num_resamples=20_000, seed=0).interval
    reach = 4.3027 * np.std([0.2, 0.5, 0.8], ddof=1) / np.sqrt(3)
    np.testing.assert_allclose((low, high), (0.5 - reach, 0.5 + reach), rtol=0.03)


@settings(max_examples=40)
@given(sums=SUMS)
def test_the_p_value_is_below_a_twentieth_where_the_interval_excludes_zero(sums):
    found = resample(np.array(sums), np.full(len(sums), 5), num_resamples=500, seed=0)
    low, high = found.interval
    assert 0 <= found.p_value <= 1
    if found.p_value < 0.045:
        assert low > 0 or high < 0
    # With few resamples, ties keep the p-value of an interval that just excludes zero up to 0.062.
    if found.p_value > 0.07:
        assert low <= 0 <= high


@given(sums=SUMS)
def test_the_other_sign_is_as_sure(sums):
    there, back = (resample(sign * np.array(sums), np.full(len(sums), 5), num_resamples=200, seed=0).p_value for sign in (1, -1))
    assert there == pytest.approx(back)


@pytest.mark.parametrize(
    ("sums", "num_clips", "interval", "p_value"),
    [([2, -1, 3, 0], [4, 9, 5, 2], (-0.4768935, 0.8768935), 0.4219291), ([1, 0, 2], [3, 3, 3], (-0.5051595, 1.1718262), 0.3027084)],
)
def test_limits_are_those_that_the_evidence_was_simulated_with(sums, num_clips, interval, p_value):
    resampled = resample(np.array(sums), np.array(num_clips), num_resamples=500, seed=3)
    assert (*resampled.interval, resampled.p_value) == pytest.approx((*interval, p_value), abs=1e-6)
