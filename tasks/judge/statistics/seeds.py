"""Compare a recipe, trained with several seeds, with one network on the same clips.

Legend: k seeds, n clips, s source videos.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import binomtest

from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.paired import Opponent, PairedChange, clips_needed, exact_difference, paired_change
from tasks.judge.statistics.uncertainty import BOOTSTRAP_SEED, TAIL, resample, sums_by_source
from tasks.store.records.evaluation import PairedDifference


def recipe_change(
    ours: NDArray[np.bool_],
    theirs: NDArray[np.bool_],
    sources: Sequence[str],
    *,
    num_resamples: int = 2000,
    seed: int = BOOTSTRAP_SEED,
    tail: float = TAIL,
    theirs_varies: bool = False,
) -> PairedChange:
    """Compute the mean difference of k networks of one recipe from another network.

    The interval is that of `paired_change` for the mean, and at least as wide as Student's t interval with two variances: over source videos,
    and over seeds. They are crossed, as every network sees every clip, so the variance within both is counted once (Cameron, Gelbach and Miller
    2011, Robust inference with multiway clustering, Journal of Business & Economic Statistics 29, 238). Degrees of freedom are Satterthwaite's (1946,
    An approximate distribution of estimates of variance components). A bootstrap of k seeds finds too little of their variance, by (k - 1) / k; here
    it is divided by k - 1. The exact test takes the mean counts, rounded to the wider side. With one seed this is `paired_change`.

    Args:
        ours: (k, n) whether each clip counts, by seed.
        theirs: (n,) likewise, for the other network.
        sources: (n,) the source video of each clip.
        num_resamples, seed, tail: as in `paired_change`.
        theirs_varies: whether the other network stands for its recipe, and varies with its seed as much.

    Returns:
        the mean difference; gained and lost clips are summed over the seeds.
    """
    num_seeds, num_clips = ours.shape
    if num_seeds == 1:
        return paired_change(ours[0], theirs, sources, num_resamples=num_resamples, seed=seed, tail=tail)
    gains = ours.astype(np.int64) - theirs.astype(np.int64)
    num_gained, num_lost = int((gains > 0).sum()), int((gains < 0).sum())
    sums, clips_of_source = sums_by_source(gains.sum(axis=0), sources)
    difference = (num_gained - num_lost) / gains.size
    more, fewer = math.floor(max(num_gained, num_lost) / num_seeds), math.ceil(min(num_gained, num_lost) / num_seeds)
    mcnemar_p = float(binomtest(more, more + fewer).pvalue) if more > fewer else 1.0
    low, high, p_value = -1.0, 1.0, 1.0
    if len(clips_of_source) > 1:
        resampled = resample(sums, clips_of_source * num_seeds, num_resamples=num_resamples, seed=seed, tail=tail)
        error, freedom = _error(gains, sources, theirs_varies=theirs_varies)
        reach = -stdtrit(freedom, tail) * error
        exact_low = exact_difference(math.floor(num_gained / num_seeds), math.ceil(num_lost / num_seeds), num_clips, tail)[0]
        exact_high = exact_difference(math.ceil(num_gained / num_seeds), math.floor(num_lost / num_seeds), num_clips, tail)[1]
        low = max(low, min(resampled.interval[0], exact_low, difference - reach))
        high = min(high, max(resampled.interval[1], exact_high, difference + reach))
        by_t = 2 * float(stdtr(freedom, -abs(difference) / error)) if error else float(difference == 0)
        p_value = max(resampled.p_value, mcnemar_p, by_t)
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
        num_sources=change.num_sources,
        num_seeds=len(ours),
        difference=change.difference,
        interval=change.interval,
        num_gained=change.num_gained,
        num_lost=change.num_lost,
        mcnemar_p=change.mcnemar_p,
        p_value=change.p_value,
        num_clips_needed=clips_needed(change.difference, change.interval, len(sources)),
    )


def _error(gains: NDArray[np.int64], sources: Sequence[str], *, theirs_varies: bool) -> tuple[float, float]:
    """Compute the standard error of the mean of (k, n) gains over source videos and seeds, and its degrees of freedom."""
    num_seeds, mean = len(gains), gains.mean()
    of_seeds = [sums_by_source(row, sources) for row in gains]
    clips_of_source = of_seeds[0][1]
    num_sources = len(clips_of_source)
    cells = np.stack([sums for sums, _ in of_seeds]) - mean * clips_of_source
    by_source, by_seed, within = (
        float((sums**2).sum()) * sums.size / (sums.size - 1) / gains.size**2 for sums in (cells.sum(axis=0), cells.sum(axis=1), cells)
    )
    between_seeds = max(0.0, by_seed - within) * (1 + num_seeds * theirs_varies)
    variance = by_source + between_seeds
    if not variance:
        return 0.0, num_sources - 1
    freedom = variance**2 / (by_source**2 / (num_sources - 1) + between_seeds**2 / (num_seeds - 1))
    return math.sqrt(variance), freedom
