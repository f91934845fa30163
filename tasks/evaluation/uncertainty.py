"""How far a score would move with other source videos.

Legend: n clips, s source videos, r resamples.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr, stdtrit

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
MAX_DRAWS_AT_ONCE = 1_000_000
BOOTSTRAP_SEED = 0


def top1_interval(
    right: NDArray[np.bool_], sources: Sequence[str], *, num_resamples: int = 2000, seed: int = BOOTSTRAP_SEED
) -> tuple[float, float]:
    """95 % interval of the share of right clips, from a bootstrap over source videos.

    It is `resampled_interval`, and never narrower than the exact interval of as many independent clips (Clopper and Pearson 1934), which
    matters when every clip is right or every clip is wrong. One video says nothing about another: the interval is then (0, 1).

    Args:
        right: (n,) whether each clip's answer is right; not empty.
        sources: (n,) the source video of each clip.
        num_resamples: bootstrap draws.
        seed: of the draws. The order of the clips changes nothing.
    """
    num_right, num_clips = sums_by_source(right, sources)
    if len(num_clips) == 1:
        return 0.0, 1.0
    low, high = resampled_interval(num_right, num_clips, num_resamples=num_resamples, seed=seed)
    exact_low, exact_high = exact_interval(int(right.sum()), right.size)
    return max(0.0, min(low, exact_low)), min(1.0, max(high, exact_high))


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


def resampled_interval(sums: NDArray[np.int64], num_clips: NDArray[np.int64], *, num_resamples: int, seed: int) -> tuple[float, float]:
    """95 % interval of a mean over clips, from drawing source videos, each with all its clips, for clips of one video resemble each other.

    With few videos the percentile interval claims more than the data says, so its quantiles are moved out by Student's t ("expanded
    percentile", Hesterberg 2015, What Teachers Should Know About the Bootstrap, arXiv 1411.5279). That cannot reach beyond the
    lowest and the highest mean of any one video, between which the truth lies in only three of four samples of three videos; so the interval
    is never narrower than Student's t interval with the draws' standard error either. It may exceed what a mean can be: clip it.

    Args:
        sums: (s,) of the values of each video's clips, s at least 2.
        num_clips: (s,) clips of each video.
        num_resamples: draws of s videos out of s.
        seed: of the draws.
    """
    num_sources = len(num_clips)
    means = _resample(sums, num_clips, num_resamples, np.random.default_rng(seed))
    correction = np.sqrt(num_sources / (num_sources - 1))
    quantile_of_t = stdtrit(num_sources - 1, TAIL)
    expanded_tail = ndtr(correction * quantile_of_t)
    low, high = np.quantile(means, (expanded_tail, 1 - expanded_tail))
    centre, reach = sums.sum() / num_clips.sum(), -quantile_of_t * correction * means.std()
    return float(min(low, centre - reach)), float(max(high, centre + reach))


def exact_interval(num_right: int, num_clips: int) -> tuple[float, float]:
    """95 % interval of a share from independent clips (Clopper and Pearson 1934)."""
    num_wrong = num_clips - num_right
    low = float(betaincinv(num_right, num_wrong + 1, TAIL)) if num_right else 0.0
    high = float(betaincinv(num_right + 1, num_wrong, 1 - TAIL)) if num_wrong else 1.0
    return low, high


def _resample(sums: NDArray[np.int64], num_clips: NDArray[np.int64], num_resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(r,) mean of each draw of s videos out of s, in blocks, so that memory does not grow with s times r."""
    num_sources = len(num_clips)
    block = max(1, MAX_DRAWS_AT_ONCE // num_sources)
    means = np.empty(num_resamples)
    for start in range(0, num_resamples, block):
        stop = min(start + block, num_resamples)
        drawn = rng.integers(num_sources, size=(stop - start, num_sources))
        means[start:stop] = sums[drawn].sum(axis=1) / num_clips[drawn].sum(axis=1)
    return means
