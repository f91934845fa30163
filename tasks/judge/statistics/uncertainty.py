"""Compute confidence intervals of top-1 accuracy with correlated clips per source video.

Legend: n clips, s source videos, p shares of right clips, r correlations.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaln

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
NUM_SHARES, NUM_CORRELATIONS = 100, 32
PRIOR_POWER = 0.25
"""Exponent of the correlation in its prior. With 0, the interval of 20 right clips of four videos would cover the truth too rarely."""
REACH = 6
"""Search range for the true share, in standard errors around the observed one."""


def top1_interval(right: NDArray[np.bool_], sources: Sequence[str]) -> tuple[float, float]:
    """Compute the 95 % interval of top-1 accuracy, allowing for correlated clips of one video.

    A few videos say little about how strongly their clips are correlated: if every clip is right they say nothing, and a bootstrap over
    videos sees no spread at all. So every intra-class correlation is considered, weighted by its likelihood given the videos' shares under a
    beta-binomial distribution. For each, n clips count as n / design effect independent ones (Kish 1965), which have an exact interval
    (Clopper and Pearson 1934); the limits are those of the weighted mixture. `docs/evidence.md` shows the simulated coverage next to that of
    other intervals. With a single video the interval is (0, 1).

    Args:
        right: (n,) whether each clip's answer is right; not empty. The result does not depend on the order of the clips.
        sources: (n,) the source video of each clip.
    """
    return share_interval(*sums_by_source(right, sources))


def share_interval(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> tuple[float, float]:
    """Compute `top1_interval` from counts per video: (s,) right clips and (s,) clips."""
    if len(num_clips) == 1:
        return 0.0, 1.0
    return interval_around(float(num_right.sum() / num_clips.sum()), num_right, num_clips)


def interval_around(share: float, num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> tuple[float, float]:
    """Compute the interval of a share as of `top1_interval`; counts of two videos or more say how alike the clips of a video are."""
    correlations, weights = correlations_of(num_right, num_clips)
    total = num_clips.sum()
    effective = total / (1 + correlations * ((num_clips**2).sum() / total - 1))
    return _lower_limit(share, effective, weights), 1 - _lower_limit(1 - share, effective, weights)


def sums_by_source(values: NDArray[np.bool_] | NDArray[np.int64], sources: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sum integers by source video.

    Args:
        values: (n,) one per clip.
        sources: (n,) the source video of each clip.

    Returns:
        (s,) sums and (s,) clip counts, ordered by source name.
    """
    _, source_of_clip = np.unique(np.asarray(sources), return_inverse=True)
    return np.bincount(source_of_clip, weights=values).astype(np.int64), np.bincount(source_of_clip).astype(np.int64)


def correlations_of(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute a grid (r,) of intra-class correlations and their posterior weights (r,).

    Correlations are between 0 and 1, and the weights sum to 1.

    The prior is uniform for the true share and nearly so for the correlation. The grid is denser near 0, where many clips per video
    tell correlations apart.
    """
    roots = (np.arange(NUM_CORRELATIONS) + 0.5) / NUM_CORRELATIONS
    correlations = roots**2
    prior = roots * correlations**PRIOR_POWER
    shares = _likely_shares(num_right.sum(), num_clips)
    concentration = (1 - correlations) / correlations
    a, b = shares[:, None] * concentration, (1 - shares[:, None]) * concentration
    log_likelihood = np.zeros_like(a)
    # Videos with the same counts have the same likelihood; compute it once.
    for (k, m), times in zip(*np.unique(np.stack([num_right, num_clips], axis=1), axis=0, return_counts=True), strict=True):
        log_likelihood += times * (betaln(k + a, m - k + b) - betaln(a, b))
    weights = (np.exp(log_likelihood - log_likelihood.max()) * prior).sum(axis=0)
    return correlations, weights / weights.sum()


def _likely_shares(num_right: np.int64, num_clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return an even grid (p,) over plausible true shares under full correlation.

    It spans 0 to 1 if there are few videos.
    """
    total = num_clips.sum()
    num_independent = total**2 / (num_clips**2).sum()
    centre = (num_right / total * num_independent + 2) / (num_independent + 4)
    reach = REACH * np.sqrt(centre * (1 - centre) / num_independent)
    low, high = max(0.0, centre - reach), min(1.0, centre + reach)
    shares: NDArray[np.float64] = low + (high - low) * (np.arange(NUM_SHARES) + 0.5) / NUM_SHARES
    return shares


def _lower_limit(share: float, effective: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    if share == 0:
        return 0.0

    def share_below(limit: float) -> float:
        """Return the share of the weighted exact distributions below `limit`, minus the target tail."""
        return float(weights @ betainc(share * effective, (1 - share) * effective + 1, limit)) - TAIL

    return float(brentq(share_below, 0.0, share, xtol=1e-9))
