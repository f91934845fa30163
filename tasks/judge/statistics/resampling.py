"""Bootstrap a mean over clips by resampling source videos.

Legend: s source videos, r resamples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from tasks.judge.statistics.uncertainty import TAIL

MAX_DRAWS_AT_ONCE = 1_000_000
BOOTSTRAP_SEED = 0


@dataclass(frozen=True)
class Resampled:
    """95 % interval of a mean, and two-sided p-value for a mean of zero.

    The interval may exceed the range of the mean.
    """

    interval: tuple[float, float]
    p_value: float


def resample(sums: NDArray[np.int64], num_clips: NDArray[np.int64], *, num_resamples: int, seed: int) -> Resampled:
    """Resample whole source videos, because clips of one video are correlated.

    With few videos the percentile interval is too narrow, so its quantiles are moved outwards by Student's t ("expanded percentile",
    Hesterberg 2015, What Teachers Should Know About the Bootstrap, arXiv 1411.5279). It still cannot reach beyond the lowest and highest
    mean of a single video, which cover the truth in only three of four samples of three videos; so the interval is also at least as wide as
    Student's t interval with the draws' standard error. The p-value is the larger one of the two.

    Args:
        sums: (s,) sum of the values of each video's clips, s at least 2.
        num_clips: (s,) clips of each video.
        num_resamples: draws of s videos out of s.
        seed: of the draws.
    """
    num_sources = len(num_clips)
    means = _draw(sums, num_clips, num_resamples, np.random.default_rng(seed))
    centre = sums.sum() / num_clips.sum()
    interval = expanded_interval(means, centre, num_sources)
    if centre == 0:
        return Resampled(interval, 1.0)
    correction = np.sqrt(num_sources / (num_sources - 1))
    error = correction * means.std()
    share_beyond = float((means * np.sign(centre) <= 0).mean())
    tails = ndtri(share_beyond) / correction, -abs(centre) / error if error else -np.inf
    return Resampled(interval, 2 * float(stdtr(num_sources - 1, max(tails))) if max(tails) < 0 else 1.0)


def expanded_interval(draws: NDArray[np.float64], centre: float, num_sources: int) -> tuple[float, float]:
    """Compute the 95 % interval of a statistic from its resamples (r,), as `resample` describes; `centre` is its value."""
    correction = np.sqrt(num_sources / (num_sources - 1))
    quantile_of_t = stdtrit(num_sources - 1, TAIL)
    expanded_tail = ndtr(correction * quantile_of_t)
    low, high = np.quantile(draws, (expanded_tail, 1 - expanded_tail))
    error = correction * draws.std()
    return float(min(low, centre + quantile_of_t * error)), float(max(high, centre - quantile_of_t * error))


def _draw(sums: NDArray[np.int64], num_clips: NDArray[np.int64], num_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Compute the mean (r,) of each resample, in blocks that bound memory use."""
    num_sources = len(num_clips)
    block = max(1, MAX_DRAWS_AT_ONCE // num_sources)
    means = np.empty(num_resamples)
    for start in range(0, num_resamples, block):
        stop = min(start + block, num_resamples)
        drawn = rng.integers(num_sources, size=(stop - start, num_sources))
        means[start:stop] = sums[drawn].sum(axis=1) / num_clips[drawn].sum(axis=1)
    return means
