"""Compare a recipe, trained with several seeds, with one network on the same clips.

Legend: k seeds, n clips, s source videos.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import stdtrit
from scipy.stats import binomtest

from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.paired import Opponent, PairedChange, clips_needed, exact_difference, paired_change
from tasks.judge.statistics.uncertainty import TAIL, resample, sums_by_source
from tasks.store.records.evaluation import PairedDifference

LEAST_P_VALUE = 1e-9


def recipe_change(
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    sources: Sequence[str],
    *,
    num_resamples: int = 2000,
    tail: float = TAIL,
    theirs_varies: bool = False,
) -> PairedChange:
    """Compute the mean difference of k networks of one recipe from another network.

    The interval is that of `paired_change` for the mean, and at least as wide as two Student's t intervals together: over source videos with s - 1
    degrees of freedom, and over seeds with k - 1. Their reaches add in squares (Zou and Donner 2008, Construction of confidence limits about
    effect measures, Statistics in Medicine 27, 1693). One t interval for the sum of both variances, with Satterthwaite's degrees of freedom, is too
    narrow where few seeds agree by luck (docs/evidence.md). The variance within both is counted twice. The exact test takes the mean counts, rounded
    to the wider side. With one seed this is `paired_change`.

    Args:
        ours: (k, n) whether each clip counts, by seed.
        theirs: (n,) likewise, for the other network.
        sources: (n,) the source video of each clip.
        num_resamples, tail: as in `paired_change`.
        theirs_varies: whether the other network stands for its recipe, and varies with its seed as much.

    Returns:
        the mean difference; gained and lost clips are summed over the seeds.
    """
    num_seeds, num_clips = ours.shape
    if num_seeds == 1:
        return paired_change(ours[0], theirs, sources, num_resamples=num_resamples, tail=tail)
    gains = ours.astype(np.int64) - theirs.astype(np.int64)
    num_gained, num_lost = int((gains > 0).sum()), int((gains < 0).sum())
    sums, clips_of_source = sums_by_source(gains.sum(axis=0), sources)
    difference = (num_gained - num_lost) / gains.size
    more, fewer = math.floor(max(num_gained, num_lost) / num_seeds), math.ceil(min(num_gained, num_lost) / num_seeds)
    mcnemar_p = float(binomtest(more, more + fewer).pvalue) if more > fewer else 1.0
    low, high, p_value = -1.0, 1.0, 1.0
    if len(clips_of_source) > 1:
        resampled = resample(sums, clips_of_source * num_seeds, num_resamples=num_resamples, tail=tail)
        errors = _errors(gains, sources, theirs_varies=theirs_varies)
        reach = _reach(tail, errors)
        exact_low = exact_difference(math.floor(num_gained / num_seeds), math.ceil(num_lost / num_seeds), num_clips, tail)[0]
        exact_high = exact_difference(math.ceil(num_gained / num_seeds), math.floor(num_lost / num_seeds), num_clips, tail)[1]
        low = max(low, min(resampled.interval[0], exact_low, difference - reach))
        high = min(high, max(resampled.interval[1], exact_high, difference + reach))
        p_value = max(resampled.p_value, mcnemar_p, _p_value(difference, errors))
    return PairedChange(
        difference=difference,
        interval=(low, high),
        num_sources=len(clips_of_source),
        num_gained=num_gained,
        num_lost=num_lost,
        mcnemar_p=mcnemar_p,
        p_value=p_value,
    )


def recipe_difference(
    ours: Sequence[Answers], theirs: Answers, sources: Sequence[str], *, opponent: Opponent, num_resamples: int = 2000, tail: float = TAIL
) -> PairedDifference:
    """Compute the mean top-1 difference of a recipe's networks from another network, as `recipe_change` does.

    Args:
        ours, theirs: answers of the networks, by seed, and of the other one for the same n clips in the same order.
        sources: (n,) the source video of each clip.
        opponent: the role of the other network.
        num_resamples, tail: as in `recipe_change`.
    """
    right = np.stack([answers.right for answers in ours])
    change = recipe_change(right, theirs.right, sources, num_resamples=num_resamples, tail=tail)
    return PairedDifference(
        target=theirs.target,
        opponent=opponent,
        num_clips=len(sources),
        num_seeds=len(ours),
        **vars(change),
        # More clips do not make seeds agree.
        num_clips_needed=None if len(ours) > 1 else clips_needed(change.difference, change.interval, len(sources)),
    )


def _errors(gains: NDArray[np.int64], sources: Sequence[str], *, theirs_varies: bool) -> tuple[tuple[float, int], ...]:
    """Compute the standard errors of the mean of (k, n) gains over source videos and over seeds, each with its degrees of freedom."""
    num_seeds = len(gains)
    by_seed = [sums_by_source(row, sources) for row in gains]
    sums, clips_of_source = np.stack([sums for sums, _ in by_seed]), by_seed[0][1]
    left = sums - gains.mean() * clips_of_source
    of_sources, of_seeds, within = (_standard_error(part, gains.size) for part in (left.sum(axis=0), left.sum(axis=1), left))
    # The noise of the other network's own answers is in that over sources.
    of_theirs = num_seeds * max(0.0, of_seeds**2 - within**2) if theirs_varies else 0.0
    return (of_sources, len(clips_of_source) - 1), (math.sqrt(of_seeds**2 + of_theirs), num_seeds - 1)


def _standard_error(sums: NDArray[np.float64], num_answers: int) -> float:
    """Compute the standard error of the mean of so many answers from the centred sums of its groups."""
    return math.sqrt((sums**2).sum() * sums.size / (sums.size - 1)) / num_answers


def _reach(tail: float, errors: Sequence[tuple[float, int]]) -> float:
    """Compute how far the interval reaches to one side, from standard errors and their degrees of freedom."""
    return math.hypot(*(float(stdtrit(freedom, tail)) * error for error, freedom in errors))


def _p_value(difference: float, errors: Sequence[tuple[float, int]]) -> float:
    """Find the two-sided level at which the interval begins to include zero; at least `LEAST_P_VALUE`."""

    def spare(tail: float) -> float:
        return _reach(tail, errors) - abs(difference)

    if spare(LEAST_P_VALUE / 2) <= 0:
        return LEAST_P_VALUE if difference else 1.0
    return 2 * float(brentq(spare, LEAST_P_VALUE / 2, 0.5))
