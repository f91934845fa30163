"""How far a share of right clips would move with other source videos.

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
"""Of a correlation, to which it is likely beforehand; with 0 the interval of 20 right clips of four videos would hold the truth too seldom."""
REACH = 6
"""Standard errors on either side of the share, within which its true value is looked for."""


def top1_interval(right: NDArray[np.bool_], sources: Sequence[str]) -> tuple[float, float]:
    """95 % interval of the share of right clips, of which those of one video resemble each other.

    Clips of one video are right or wrong together to a degree that few videos tell little of: where every clip is right they tell nothing,
    and a bootstrap over videos then sees no spread at all. So every intra-class correlation is thought possible, as far as it suits the
    videos' own shares under a beta-binomial distribution. Under each, n clips are worth n / design effect independent ones (Kish 1965),
    which have an exact interval (Clopper and Pearson 1934); the limits are those of all of these together, weighed. `docs/evidence.md` has
    the coverage that was simulated, beside that of other intervals. One video says nothing about another: the interval is then (0, 1).

    Args:
        right: (n,) whether each clip's answer is right; not empty. The order of the clips changes nothing.
        sources: (n,) the source video of each clip.
    """
    return share_interval(*sums_by_source(right, sources))


def share_interval(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> tuple[float, float]:
    """`top1_interval` from sums: (s,) right clips and (s,) clips of each video."""
    if len(num_clips) == 1:
        return 0.0, 1.0
    correlations, weights = correlations_of(num_right, num_clips)
    total = num_clips.sum()
    effective = total / (1 + correlations * ((num_clips**2).sum() / total - 1))
    share = num_right.sum() / total
    return _lower_limit(share, effective, weights), 1 - _lower_limit(1 - share, effective, weights)


def sums_by_source(values: NDArray[np.bool_] | NDArray[np.int64], sources: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Add up whole numbers by source video.

    Args:
        values: (n,) one number a clip.
        sources: (n,) the source video of each clip.

    Returns:
        (s,) sums and (s,) numbers of clips, by the sources' names.
    """
    _, source_of_clip = np.unique(np.asarray(sources), return_inverse=True)
    return np.bincount(source_of_clip, weights=values).astype(np.int64), np.bincount(source_of_clip).astype(np.int64)


def correlations_of(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(r,) intra-class correlations from 0 to 1, and (r,) how well each suits the videos: weights that sum to 1.

    Before the videos are seen each true share is as likely as any other, and a correlation nearly so. There are more correlations near 0,
    where many clips of each video tell them apart.
    """
    roots = (np.arange(NUM_CORRELATIONS) + 0.5) / NUM_CORRELATIONS
    correlations = roots**2
    prior = roots * correlations**PRIOR_POWER
    shares = _likely_shares(num_right.sum(), num_clips)
    concentration = (1 - correlations) / correlations
    a, b = shares[:, None] * concentration, (1 - shares[:, None]) * concentration
    log_likelihood = np.zeros_like(a)
    # Videos of the same two numbers are counted, not computed again.
    for (k, m), times in zip(*np.unique(np.stack([num_right, num_clips], axis=1), axis=0, return_counts=True), strict=True):
        log_likelihood += times * (betaln(k + a, m - k + b) - betaln(a, b))
    weights = (np.exp(log_likelihood - log_likelihood.max()) * prior).sum(axis=0)
    return correlations, weights / weights.sum()


def _likely_shares(num_right: np.int64, num_clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """(p,) evenly spread where the true share may lie if the videos' clips are right or wrong together; all between 0 and 1 if they are few."""
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
        """How much of the exact distributions lies below `limit`, less the tail that is wanted."""
        return float(weights @ betainc(share * effective, (1 - share) * effective + 1, limit)) - TAIL

    return float(brentq(share_below, 0.0, share, xtol=1e-9))
