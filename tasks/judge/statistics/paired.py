"""Compare two networks on the same clips, with intervals and corrected p-values.

Legend: n clips, q points of a quantile grid.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv
from scipy.stats import binomtest

from tasks.errors import BadInput
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import TAIL, resample, sums_by_source
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import PairedDifference
from tasks.store.records.experiments import DifferingClip

Opponent = Literal["baseline", "champion", "previous", "reference"]

NUM_GRID_POINTS = 1000
"""Quantiles on either side of zero, over which the exact interval's distribution is averaged."""

SMALLEST = 1e-300
"""Replaces a value that is too close to zero to tell its sign. It is small, but safe to divide by."""

MAX_CLIPS_NEEDED = 10_000_000
"""Beyond so many, nobody labels more clips to tell two networks apart."""

LEVEL = 0.05
"""Family-wise error rate. The share of families of tests in which any result is called significant by chance."""


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
    """Compute the top-1 difference `ours` - `theirs` with a 95 % interval.

    Tests it by the exact McNemar test. `paired_change` says how.

    Args:
        ours, theirs: answers of the two networks for the same n clips in the same order, n at least 1.
        sources: (n,) the source video of each clip.

    Raises:
        BadInput: the targets or the true classes differ.
    """
    if ours.target != theirs.target or not np.array_equal(ours.true, theirs.true) or len(sources) != len(ours.true):
        raise BadInput(f"the new network and the {opponent} have answers for different clips; run `evaluate` again for both")
    change = paired_change(ours.right, theirs.right, sources, num_resamples=num_resamples)
    return PairedDifference(
        target=ours.target,
        opponent=opponent,
        num_clips=len(sources),
        **vars(change),
        num_clips_needed=clips_needed(change.difference, change.interval, len(sources)),
    )


def over_guessing(answers: Answers, sources: Sequence[str], *, num_resamples: int = 2000) -> PairedChange:
    """Compare a network's right answers with those of always predicting the most frequent class.

    That class is the most frequent of these same clips (ties go to the first by name), which can only favour guessing.

    Args:
        answers: of n clips, n at least 1.
        sources: (n,) the source video of each clip.
    """
    ids, counts = np.unique(answers.true, return_counts=True)
    majority = min(zip(ids.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], answers.names[pair[0]]))[0]
    return paired_change(answers.right, answers.true == majority, sources, num_resamples=num_resamples)


def differing(ours: Answers, theirs: Answers, uids: Sequence[str]) -> tuple[DifferingClip, ...]:
    """List the clips with different answers.

    Those that one of the two gets right come first, else in order.

    Args:
        ours, theirs: answers of the second and of the first network for the same n clips in the same order.
        uids: (n,) the clips.
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

    It has an interval and tests. The interval resamples source videos (`resample`), and is at least as wide as the exact one for the same
    number of independent clips (`exact_difference`), so it contains zero whenever McNemar's test is not significant. With a single video it
    is (-1, 1). McNemar's test is the two-sided binomial test on the clips that exactly one of the two has. It assumes independent clips, so
    the interval may contain zero although the test is significant. `p_value` belongs to the interval: the largest p of the tests it is
    built from. The result does not depend on the order of the clips.

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
    """Estimate how many clips the interval needs to exclude zero.

    The difference is assumed to stay the same. Assumes further clips from similar videos, with the same number per video. An interval
    shrinks with the square root of the number of clips: n (reach / difference)^2, where `reach` is its extent from the difference towards
    zero. The interval is widened for correlated clips and few videos, so the estimate tends to be too high. None if it already excludes
    zero, or if the difference is zero.
    """
    low, high = interval
    if difference == 0 or low > 0 or high < 0:
        return None
    reach = difference - low if difference > 0 else high - difference
    return max(num_clips + 1, math.ceil(num_clips * (reach / difference) ** 2))


def clips_within(change: PairedChange, num_clips: int, margin: float) -> int | None:
    """Estimate the number of clips that show a difference not below minus `margin`.

    It is more than `num_clips`. Assumes the same shares of gained and lost clips, and clips as correlated as these: the exact limit of
    independent clips finds the number, times the squared ratio of the interval's reach to that limit's. None if the difference itself is not
    above minus the margin, or so close to it that more than `MAX_CLIPS_NEEDED` would be needed.
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
    """Evaluate the beta CDF; a = 0 puts all mass at 0, b = 0 at 1."""
    if a == 0:
        return np.ones_like(x)
    if b == 0:
        return (x >= 1).astype(np.float64)
    cdf: NDArray[np.float64] = betainc(a, b, np.clip(x, 0, 1))
    return cdf


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979, A simple sequentially rejective multiple test procedure).

    Calling adjusted p-values below 0.05 significant keeps the family-wise error rate at 5 % at most, whether or not the tests are independent.

    Returns:
        the adjusted p-values, in the order of `p_values`.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def significant(p_values: Sequence[float], min_p_values: Sequence[float], level: float) -> list[bool]:
    """Find the significant tests on small counts, with Tarone's correction (1990).

    Keeps the family-wise error rate at `level` at most. Tests with counts too small to be significant at all are not counted, so they do
    not weaken the others.

    Args:
        min_p_values: the smallest p-value that each test's counts allow.
    """
    num_tests = next((num for num in range(1, len(p_values) + 1) if sum(p <= level / num for p in min_p_values) <= num), len(p_values))
    return [p * num_tests <= level for p in p_values]
