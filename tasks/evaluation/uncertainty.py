"""How far a score would move with other source videos.

Legend: s source videos, r resamples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, stdtrit

LEVEL = 0.95
MAX_DRAWS_AT_ONCE = 1_000_000


def top1_interval(right: NDArray[np.bool_], sources: Sequence[str], *, num_resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the share of right clips, from a bootstrap over source videos.

    Clips of one video resemble each other, so videos are drawn, with all their clips, and not clips. Two things keep it from claiming more than
    the data says. With few videos the percentile interval is too narrow, so its quantiles are moved out by Student's t ("expanded percentile",
    Hesterberg 2015, What Teachers Should Know About the Bootstrap). And it is never narrower than the exact interval of as many
    independent clips (Clopper and Pearson 1934), which matters when every clip is right or every clip is wrong. One video says nothing about
    another: the interval is then (0, 1).

    Args:
        right: (n,) whether each clip's answer is right; not empty.
        sources: (n,) the source video of each clip.
        num_resamples: bootstrap draws.
        seed: of the draws. The order of the clips changes nothing.
    """
    _, source_of_clip = np.unique(np.asarray(sources), return_inverse=True)
    num_clips = np.bincount(source_of_clip).astype(np.int64)
    num_right = np.bincount(source_of_clip, weights=right).astype(np.int64)
    num_sources = len(num_clips)
    if num_sources == 1:
        return 0.0, 1.0
    shares = _resample(num_right, num_clips, num_resamples, np.random.default_rng(seed))
    tail = (1 - LEVEL) / 2
    expanded_tail = ndtr(np.sqrt(num_sources / (num_sources - 1)) * stdtrit(num_sources - 1, tail))
    low, high = np.quantile(shares, (expanded_tail, 1 - expanded_tail))
    exact_low, exact_high = _clopper_pearson(int(right.sum()), right.size, tail)
    return float(min(low, exact_low)), float(max(high, exact_high))


def _resample(
    num_right: NDArray[np.int64], num_clips: NDArray[np.int64], num_resamples: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """(r,) share of right clips in each draw of s videos out of s, in blocks, so that memory does not grow with s times r."""
    num_sources = len(num_clips)
    block = max(1, MAX_DRAWS_AT_ONCE // num_sources)
    shares = np.empty(num_resamples)
    for start in range(0, num_resamples, block):
        stop = min(start + block, num_resamples)
        drawn = rng.integers(num_sources, size=(stop - start, num_sources))
        shares[start:stop] = num_right[drawn].sum(axis=1) / num_clips[drawn].sum(axis=1)
    return shares


def _clopper_pearson(num_right: int, num_clips: int, tail: float) -> tuple[float, float]:
    num_wrong = num_clips - num_right
    low = float(betaincinv(num_right, num_wrong + 1, tail)) if num_right else 0.0
    high = float(betaincinv(num_right + 1, num_wrong, 1 - tail)) if num_wrong else 1.0
    return low, high
