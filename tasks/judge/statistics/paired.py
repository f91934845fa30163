"""Compare a network, or a recipe's seeds, with another network on the same clips.

Legend: k seeds, n clips, s source videos, q points of a quantile grid.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, stdtrit
from scipy.stats import binomtest

from tasks.errors import BadInput
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import TAIL, resample, sums_by_source
from tasks.store.records.comparison import DifferingClip
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import PairedDifference

Opponent = Literal["baseline", "champion", "previous", "reference"]

NUM_GRID_POINTS = 1000
"""Quantiles on either side of zero, over which the exact interval's distribution is averaged."""
SMALLEST = 1e-300
"""Replaces a value that is too close to zero to tell its sign. It is small, but safe to divide by."""
MAX_CLIPS_NEEDED = 10_000_000
"""Beyond so many, nobody labels more clips to tell two networks apart."""
LEAST_P_VALUE = 1e-9
"""The lowest that `recipe_change` reports."""


@dataclass(frozen=True)
class PairedChange:
    """Difference of two shares of the same clips, with interval and p-values."""

    difference: float
    interval: tuple[float, float]
    num_sources: int
    num_gained: int
    num_lost: int
    mcnemar_p: float
    p_value: float


def differences(
    ours: ScoredClips, opponents: Mapping[Opponent, ScoredClips], vocabulary: Vocabulary, *, num_resamples: int = 2000
) -> tuple[PairedDifference, ...]:
    """Compare the new network with every opponent on every target of the vocabulary.

    Raises:
        BadInput: an opponent was scored on different clips, or in a different order.
    """
    our_answers = answers_of(ours, vocabulary)
    compared = []
    for opponent, theirs in opponents.items():
        if (theirs.uids, theirs.sources) != (ours.uids, ours.sources):
            raise BadInput(f"the new network and the {opponent} were not scored on the same clips; run `evaluate` again for both")
        their_answers = answers_of(theirs, vocabulary)
        compared += [
            paired_difference(our_answers[target], their_answers[target], ours.sources, opponent=opponent, num_resamples=num_resamples)
            for target in vocabulary.targets
        ]
    return tuple(compared)


def paired_difference(
    ours: Answers, theirs: Answers, sources: Sequence[str], *, opponent: Opponent, num_resamples: int = 2000
) -> PairedDifference:
    """Compute the top-1 difference `ours` - `theirs`, as `recipe_difference` does of one seed."""
    return recipe_difference([ours], theirs, sources, opponent=opponent, num_resamples=num_resamples)


def over_guessing(answers: Answers, sources: Sequence[str], *, num_resamples: int = 2000) -> PairedChange:
    """Compare a network's right answers with those of always predicting the most frequent class.

    It is the most frequent of these same clips (ties go to the first by name), which can only favour guessing.
    """
    ids, counts = np.unique(answers.true, return_counts=True)
    majority = min(zip(ids.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], answers.names[pair[0]]))[0]
    return paired_change(answers.right, answers.true == majority, sources, num_resamples=num_resamples)


def differing(ours: Answers, theirs: Answers, uids: Sequence[str]) -> tuple[DifferingClip, ...]:
    """List the clips with different answers, first those that one of the two gets right.

    `ours` are the answers of the second network, `theirs` of the first.
    """
    names = theirs.names | ours.names
    clips = [
        DifferingClip(
            uid=uids[i], label=names[int(ours.true[i])], first=names[int(theirs.predicted[i])], second=names[int(ours.predicted[i])]
        )
        for i in np.flatnonzero(ours.predicted != theirs.predicted).tolist()
    ]
    return tuple(sorted(clips, key=lambda clip: not clip.is_decided))


def paired_change(
    ours: NDArray[np.bool_], theirs: NDArray[np.bool_], sources: Sequence[str], *, num_resamples: int = 2000, tail: float = TAIL
) -> PairedChange:
    """Compute the difference of two shares of the same clips, `ours` - `theirs`.

    The interval resamples source videos (`resample`), and is at least as wide as the exact one for the same number of independent clips
    (`exact_difference`), so it contains zero whenever McNemar's test is not significant. With a single video it is (-1, 1). McNemar's test is
    the two-sided binomial test on the clips that exactly one of the two has. It assumes independent clips, so the interval may contain zero
    although the test is significant. `p_value` belongs to the interval: the largest p of the tests it is built from. The order of the clips
    changes nothing.

    Args:
        ours, theirs: (n,) whether each clip counts, n at least 1.
        sources: (n,) the source video of each clip.
        tail: the interval's chance to miss on one side; its intervals are nested.
    """
    gains = ours.astype(np.int64) - theirs.astype(np.int64)
    num_clips, num_gained, num_lost = len(gains), int((gains > 0).sum()), int((gains < 0).sum())
    sums, clips_of_source = sums_by_source(gains, sources)
    mcnemar_p = float(binomtest(num_gained, num_gained + num_lost).pvalue) if num_gained + num_lost else 1.0
    low, high, p_value = -1.0, 1.0, 1.0
    if len(clips_of_source) > 1:
        resampled = resample(sums, clips_of_source, num_resamples=num_resamples, tail=tail)
        exact = exact_difference(num_gained, num_lost, num_clips, tail)
        low, high = max(low, min(resampled.interval[0], exact[0])), min(high, max(resampled.interval[1], exact[1]))
        p_value = max(resampled.p_value, mcnemar_p)
    return PairedChange(
        difference=(num_gained - num_lost) / num_clips,
        interval=(low, high),
        num_sources=len(clips_of_source),
        num_gained=num_gained,
        num_lost=num_lost,
        mcnemar_p=mcnemar_p,
        p_value=p_value,
    )


@lru_cache(maxsize=4096)
def exact_difference(num_gained: int, num_lost: int, num_clips: int, tail: float = TAIL) -> tuple[float, float]:
    """Compute the exact interval of the difference of two paired proportions.

    Assumes independent pairs; excludes zero exactly when McNemar's test is significant. From Fay and Lumbard 2021, Confidence intervals for
    difference in proportions for matched pairs compatible with exact McNemar or sign tests (Statistics in Medicine 40, 1147): the share of
    discordant pairs, and the share of gains among these, each follow the beta distributions of Clopper and Pearson's limits; their product,
    taken on the conservative side, gives the limits of the difference.
    """
    low = _lower_limit(num_gained, num_lost, num_clips, tail)
    return low, -_lower_limit(num_lost, num_gained, num_clips, tail)


def clips_needed(difference: float, interval: tuple[float, float], num_clips: int) -> int | None:
    """Estimate how many clips the interval needs to exclude zero; None if it does already.

    Assumes the same difference on further clips from similar videos, with the same number per video. An interval shrinks with the square root
    of the number of clips: n (reach / difference)^2, where `reach` is its extent from the difference towards zero. It is widened for
    correlated clips and few videos, so the estimate tends to be too high. None also if the difference is zero.
    """
    low, high = interval
    if difference == 0 or low > 0 or high < 0:
        return None
    reach = difference - low if difference > 0 else high - difference
    return max(num_clips + 1, math.ceil(num_clips * (reach / difference) ** 2))


def clips_within(change: PairedChange, num_clips: int, margin: float) -> int | None:
    """Estimate the number of clips, above `num_clips`, that show a difference not below minus `margin`.

    Assumes the same shares of gained and lost clips, and clips as correlated as these: the exact limit of independent clips gives the number,
    times the squared ratio of the interval's reach to that limit's. None if the difference itself is not above minus the margin, or so close
    to it that more than `MAX_CLIPS_NEEDED` would be needed.
    """
    if change.difference <= -margin:
        return None

    def limit(number: int) -> float:
        gained, lost = (round(own * number / num_clips) for own in (change.num_gained, change.num_lost))
        return exact_difference(gained, lost, number)[0]

    # Rounded counts make the limit jump, so a few per cent more clips are taken each time.
    number = num_clips
    while limit(number) < -margin:
        number = math.ceil(1.05 * number)
        if number > MAX_CLIPS_NEEDED:
            return None
    # A single source video has the widest interval whatever its clips are, and says nothing of others.
    reaches = [change.difference - low for low in (change.interval[0], limit(num_clips))]
    ratio = (reaches[0] / reaches[1]) ** 2 if change.num_sources > 1 else 1
    return max(num_clips + 1, math.ceil(number * ratio))


def _lower_limit(num_gained: int, num_lost: int, num_clips: int, tail: float) -> float:
    num_discordant = num_gained + num_lost
    # Computed exactly, not on the grid: the share of the distribution at or below zero, McNemar's one-sided p-value.
    share_lost = float(_beta_cdf(num_gained, num_lost + 1, np.array([0.5]))[0])
    midpoints = (np.arange(NUM_GRID_POINTS) + 0.5) / NUM_GRID_POINTS
    down = np.minimum(_directions(num_gained, num_lost, share_lost * midpoints), -SMALLEST)
    up = np.maximum(_directions(num_gained, num_lost, share_lost + (1 - share_lost) * midpoints), SMALLEST)

    def share_below(limit: float) -> float:
        """Return the share of the distribution at or below `limit`, minus the target tail."""
        if limit < 0:
            below = share_lost * (1 - _beta_cdf(num_discordant + 1, num_clips - num_discordant, limit / down)).mean()
        else:
            below = share_lost + (1 - share_lost) * _beta_cdf(num_discordant, num_clips - num_discordant + 1, limit / up).mean()
        return float(below) - tail

    if share_lost < tail:
        # The limit is above zero, however close; keep the solver's tolerance from rounding it to zero.
        return max(float(brentq(share_below, 0.0, 1.0, xtol=1e-9)), SMALLEST)
    if share_below(-1.0) >= 0:
        return -1.0
    return float(brentq(share_below, -1.0, 0.0, xtol=1e-9))


def _directions(num_gained: int, num_lost: int, quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return per quantile (q,) gains minus losses, as a share of discordant pairs."""
    gained: NDArray[np.float64] = betaincinv(num_gained, num_lost + 1, quantiles) if num_gained else np.zeros_like(quantiles)
    return 2 * gained - 1


def _beta_cdf(a: int, b: int, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate the beta CDF, also with all mass at 0 or at 1."""
    if a == 0:
        return np.ones_like(x)
    if b == 0:
        return (x >= 1).astype(np.float64)
    cdf: NDArray[np.float64] = betainc(a, b, np.clip(x, 0, 1))
    return cdf


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
        tail: the interval's chance to miss on one side.
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
        ours, theirs: answers of the networks, by seed, and of the other one for the same n clips in the same order, n at least 1.
        sources: (n,) the source video of each clip.

    Raises:
        BadInput: the targets or the true classes differ.
    """
    if len(sources) != len(theirs.true) or any(
        answers.target != theirs.target or not np.array_equal(answers.true, theirs.true) for answers in ours
    ):
        raise BadInput(f"the new network and the {opponent} have answers for different clips; run `evaluate` again for both")
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
    """Compute standard errors of the mean of gains (k, n), with degrees of freedom."""
    num_seeds = len(gains)
    by_seed = [sums_by_source(row, sources) for row in gains]
    sums, clips_of_source = np.stack([sums for sums, _ in by_seed]), by_seed[0][1]
    left = sums - gains.mean() * clips_of_source
    of_sources, of_seeds, within = (_standard_error(part, gains.size) for part in (left.sum(axis=0), left.sum(axis=1), left))
    # The noise of the other network's own answers is in that over sources.
    of_theirs = num_seeds * max(0.0, of_seeds**2 - within**2) if theirs_varies else 0.0
    # Over source videos, and over seeds.
    return (of_sources, len(clips_of_source) - 1), (math.sqrt(of_seeds**2 + of_theirs), num_seeds - 1)


def _standard_error(sums: NDArray[np.float64], num_answers: int) -> float:
    """Compute the standard error of a mean of answers, from their groups' centred sums."""
    return math.sqrt((sums**2).sum() * sums.size / (sums.size - 1)) / num_answers


def _reach(tail: float, errors: Sequence[tuple[float, int]]) -> float:
    """Compute how far an interval reaches, by standard errors with their degrees of freedom."""
    return math.hypot(*(float(stdtrit(freedom, tail)) * error for error, freedom in errors))


def _p_value(difference: float, errors: Sequence[tuple[float, int]]) -> float:
    """Find the two-sided level at which the interval begins to include zero; at least `LEAST_P_VALUE`."""

    def spare(tail: float) -> float:
        return _reach(tail, errors) - abs(difference)

    if spare(LEAST_P_VALUE / 2) <= 0:
        return LEAST_P_VALUE if difference else 1.0
    return 2 * float(brentq(spare, LEAST_P_VALUE / 2, 0.5))
