"""Compute intervals over source videos, what they can detect, and corrections for many tests.

Legend: n clips, s source videos, p shares of right clips, r correlations or resamples, d draws.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import bdtr, betainc, betaincinv, betaln, ndtr, ndtri, stdtr, stdtrit

from tasks.store.records.record import Target
from tasks.wording import count

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
NUM_SHARES, NUM_CORRELATIONS = 100, 32
PRIOR_POWER = 0.25
"""Exponent of the correlation in its prior. With 0, the interval of 20 right clips of four videos would cover the truth too rarely."""
FAMILY_LEVEL = 0.05
"""Share of families of tests in which any result may be called significant by chance."""
REACH = 6
"""Search range for the true share, in standard errors around the observed share."""
MAX_DRAWS_AT_ONCE = 1_000_000
BOOTSTRAP_SEED = 0
TARGET_POWER = 0.8
CORRELATION = 0.2
"""Intra-class correlation of the clips of one video. An assumption, because there is no network yet."""
NUM_DRAWS, MIN_DRAWS = 4000, 400
MAX_DRAWN_VIDEOS = 1_000_000
"""Over all draws; bounds time and memory for thousands of videos, down to `MIN_DRAWS` draws."""
NUM_DIFFICULTIES = 200
"""Number of difficulty levels, from the hardest video to the easiest."""


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
    """Compute a share's interval as `top1_interval` does, by counts of two videos or more."""
    correlations, weights = correlations_of(num_right, num_clips)
    total = num_clips.sum()
    effective = total / (1 + correlations * ((num_clips**2).sum() / total - 1))
    return _lower_limit(share, effective, weights), 1 - _lower_limit(1 - share, effective, weights)


def sums_by_source(values: NDArray[np.bool_] | NDArray[np.int64], sources: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sum integers (n,) by source video: sums (s,) and clip counts (s,), by name."""
    _, source_of_clip = np.unique(np.asarray(sources), return_inverse=True)
    return np.bincount(source_of_clip, weights=values).astype(np.int64), np.bincount(source_of_clip).astype(np.int64)


def correlations_of(num_right: NDArray[np.int64], num_clips: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute a grid (r,) of intra-class correlations and their posterior weights (r,), with sum 1.

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
    """Return an even grid (p,) of plausible shares; with few videos, of all shares."""
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


@dataclass(frozen=True)
class Resampled:
    """Interval of a mean, which may exceed its range, and p-value for zero."""

    interval: tuple[float, float]
    p_value: float


def resample(sums: NDArray[np.int64], num_clips: NDArray[np.int64], *, num_resamples: int, tail: float = TAIL) -> Resampled:
    """Resample whole source videos, because clips of one video are correlated.

    With few videos the percentile interval is too narrow, so its quantiles are moved outwards by Student's t ("expanded percentile",
    Hesterberg 2015, What Teachers Should Know About the Bootstrap, arXiv 1411.5279). It still cannot reach beyond the lowest and highest
    mean of a single video, which cover the truth in only three of four samples of three videos; so the interval is also at least as wide as
    Student's t interval with the draws' standard error. The p-value is the larger one of the two. Below the tail that the draws can show,
    the interval holds all of them, and Student's t decides.

    Args:
        sums: (s,) sum of the values of each video's clips, s at least 2.
        num_clips: (s,) clips of each video.
        num_resamples: draws of s videos out of s.
        tail: the interval's chance to miss on one side.
    """
    num_sources = len(num_clips)
    means = _draw(sums, num_clips, num_resamples)
    centre = sums.sum() / num_clips.sum()
    interval = expanded_interval(means, centre, num_sources, tail)
    if centre == 0:
        return Resampled(interval, 1.0)
    correction = np.sqrt(num_sources / (num_sources - 1))
    error = correction * means.std()
    share_beyond = float((means * np.sign(centre) <= 0).mean())
    tails = ndtri(share_beyond) / correction, -abs(centre) / error if error else -np.inf
    return Resampled(interval, 2 * float(stdtr(num_sources - 1, max(tails))) if max(tails) < 0 else 1.0)


def expanded_interval(draws: NDArray[np.float64], centre: float, num_sources: int, tail: float = TAIL) -> tuple[float, float]:
    """Compute the interval of a statistic, `centre`, from its resamples (r,) as in `resample`."""
    correction = np.sqrt(num_sources / (num_sources - 1))
    quantile_of_t = stdtrit(num_sources - 1, tail)
    expanded_tail = ndtr(correction * quantile_of_t)
    low, high = np.quantile(draws, (expanded_tail, 1 - expanded_tail))
    error = correction * draws.std()
    return float(min(low, centre + quantile_of_t * error)), float(max(high, centre - quantile_of_t * error))


def resampled_counts(num_sources: int, num_resamples: int, width: int) -> Iterator[NDArray[np.int64]]:
    """Draw how often source videos count in each resample (r, s).

    Yields blocks of at most `MAX_DRAWS_AT_ONCE` / `width` resamples, to bound memory.
    """
    rng, block = np.random.default_rng(BOOTSTRAP_SEED), max(1, MAX_DRAWS_AT_ONCE // width)
    for start in range(0, num_resamples, block):
        yield rng.multinomial(num_sources, np.full(num_sources, 1 / num_sources), size=min(block, num_resamples - start))


def _draw(sums: NDArray[np.int64], num_clips: NDArray[np.int64], num_resamples: int) -> NDArray[np.float64]:
    """Compute the mean (r,) of each resample, in blocks that bound memory use."""
    num_sources, rng = len(num_clips), np.random.default_rng(BOOTSTRAP_SEED)
    block = max(1, MAX_DRAWS_AT_ONCE // num_sources)
    means = np.empty(num_resamples)
    for start in range(0, num_resamples, block):
        stop = min(start + block, num_resamples)
        drawn = rng.integers(num_sources, size=(stop - start, num_sources))
        means[start:stop] = sums[drawn].sum(axis=1) / num_clips[drawn].sum(axis=1)
    return means


def detectable_points(num_clips: Sequence[int], tail: float = TAIL) -> int | None:
    """Find the smallest true difference that the gate's interval detects four times out of five.

    Simulates two networks that answer at random; a video is equally hard for both, with an intra-class correlation of 0.2. Their accuracies
    lie symmetrically around one half, where differences are hardest to detect.

    Args:
        num_clips: (s,) clips of each source video of the deciding split.
        tail: the interval's chance to miss on one side.

    Returns:
        whole percentage points; None if no difference is detected that often.
    """
    clips = np.array(num_clips)
    if len(clips) < 2:
        return None
    low, high = 0, 100
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle, clips, tail) >= TARGET_POWER else (middle, high)
    return high if power(high, clips, tail) >= TARGET_POWER else None


def power(points: float, num_clips: NDArray[np.int64], tail: float = TAIL) -> float:
    """Simulate how often the interval of a true difference of `points` lies above zero."""
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    shape = (min(NUM_DRAWS, max(MIN_DRAWS, MAX_DRAWN_VIDEOS // len(num_clips))), len(num_clips))
    difficulty = rng.integers(NUM_DIFFICULTIES, size=shape)
    ours, theirs = (_shares_right((1 + sign * points / 100) / 2)[difficulty] for sign in (1, -1))
    gained = rng.binomial(num_clips, ours * (1 - theirs))
    # Drawn from the clips that are not gained, with the conditional probability.
    lost = rng.binomial(num_clips - gained, theirs * (1 - ours) / np.maximum(1 - ours * (1 - theirs), 1e-12))
    return float(_shows_gain(gained, lost, num_clips, tail).mean())


def power_in_words(num_clips: Sequence[int], split: str, target: Target, tail: float = TAIL) -> str:
    """Word the difference that so many clips detect four times out of five.

    Such as `with these 15 val clips …, a difference of 63 points … is detected four times out of five`.
    """
    sample = f"with these {count(sum(num_clips), f'{split} clip')} of {count(len(num_clips), 'source video')}"
    points = detectable_points(num_clips, tail)
    if points is None:
        return f"{sample}, no difference between two networks is detected four times out of five; add videos before training for long"
    return f"{sample}, a difference of {points} points on {target}s is detected four times out of five"


def _shares_right(mean: float) -> NDArray[np.float64]:
    """Return accuracies per difficulty, hardest first: quantiles of a beta distribution with this mean."""
    if mean >= 1 or mean <= 0:
        return np.full(NUM_DIFFICULTIES, mean)
    concentration = (1 - CORRELATION) / CORRELATION
    quantiles = (np.arange(NUM_DIFFICULTIES) + 0.5) / NUM_DIFFICULTIES
    shares: NDArray[np.float64] = betaincinv(mean * concentration, (1 - mean) * concentration, quantiles)
    return shares


def _shows_gain(gained: NDArray[np.int64], lost: NDArray[np.int64], num_clips: NDArray[np.int64], tail: float) -> NDArray[np.bool_]:
    """Check per draw (d,) whether both Student's t and McNemar's test show a gain."""
    num_sources, total = len(num_clips), num_clips.sum()
    gains = gained - lost
    mean = gains.sum(axis=1) / total
    error = np.sqrt(((gains - mean[:, None] * num_clips) ** 2).sum(axis=1) * num_sources / (num_sources - 1)) / total
    num_gained, num_lost = gained.sum(axis=1), lost.sum(axis=1)
    by_chance = bdtr(num_lost, num_gained + num_lost, 0.5)
    shown: NDArray[np.bool_] = (mean + stdtrit(num_sources - 1, tail) * error > 0) & (by_chance < tail)
    return shown


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number (Holm 1979, A simple sequentially rejective multiple test procedure).

    Calling adjusted p-values below 0.05 significant keeps the family-wise error rate at 5 % at most, whether or not the tests are independent.
    The results are in the order of `p_values`.
    """
    adjusted = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def significant(p_values: Sequence[float], min_p_values: Sequence[float]) -> list[bool]:
    """Find the significant tests on small counts, with Tarone's correction (1990).

    Keeps the family-wise error rate at `FAMILY_LEVEL` at most. Tests with counts too small to be significant at all are not counted, so they do
    not weaken the others.

    Args:
        min_p_values: the smallest p-value that each test's counts allow.
    """
    num_tests = next(
        (num for num in range(1, len(p_values) + 1) if sum(p <= FAMILY_LEVEL / num for p in min_p_values) <= num), len(p_values)
    )
    return [p * num_tests <= FAMILY_LEVEL for p in p_values]
