"""Estimate by power laws how much more training clips would gain.

Legend: p numbers of training clips, d draws, n val clips, s source videos of val, r resamples or curves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit
from scipy.stats import hypergeom

from tasks.judge.statistics.uncertainty import BOOTSTRAP_SEED, TAIL, share_interval, sums_by_source
from tasks.store.records.curves import CurveFit, CurveGain, CurvePoint, TargetCurve
from tasks.store.records.record import Target
from tasks.wording import count

Floats = NDArray[np.float64]
Estimate = tuple[float, tuple[float, float]]
"""A gain and its interval."""

TIMES = (2, 4)
"""Multiples of the training clips that gains are estimated for."""
MIN_CLIPS = 20
"""Minimum number of training clips: below, the smallest share is a single clip."""
MIN_WRONG = 3
"""Minimum number of wrong val clips with all training clips. With fewer, the error that is left is hardly known, and intervals are too narrow."""
NUM_FITTED = 12
"""Number of points of the law that are drawn on either side of all training clips."""
EXPONENTS = np.geomspace(0.05, 1, 12)
"""Candidates for the exponent. Networks show 0.07 to 0.35, and theory expects 0.5 or 1 (Hestness et al. 2017, arXiv 1712.00409)."""
MIN_SHARES = 3
"""Minimum number of shares above always guessing. The law has three parameters."""
FIT_LEVEL = 0.05
"""Share of resamples that may fit the law worse than the curve does, below which the curve is taken not to follow it."""


@dataclass(frozen=True)
class PowerLaws:
    """Errors `floor + scale * share ** -exponent` of r curves, each parameter (r,).

    `share` is the number of clips as a share of all training clips. Neither floor nor scale is negative, so an error never rises with more
    clips, and never falls below the floor.
    """

    floor: Floats
    scale: Floats
    exponent: Floats

    def error(self, share: float) -> Floats:
        """Return the error (r,) at a share of the training clips, which may exceed 1."""
        return self.floor + self.scale * share**-self.exponent

    def gain(self, share: float) -> Floats:
        """Return the error's fall (r,) from all training clips to `share` times as many."""
        return self.scale * (1 - share**-self.exponent)


@dataclass(frozen=True)
class Extrapolation:
    """The fitted law as points to draw, and the gains at `TIMES`."""

    fit: tuple[CurveFit, ...] = ()
    gains: tuple[CurveGain, ...] = ()


def num_new_classes(counts: Sequence[int]) -> float:
    """Return how many classes a random half of the clips lacks on average."""
    # `counts` has the clips of each class. A class of k of n clips is missing in half of them with probability C(n - k, n / 2) / C(n, n / 2).
    num_clips = sum(counts)
    return float(hypergeom.pmf(0, num_clips, np.array(counts), num_clips // 2).sum())


def learning_curve(
    right: NDArray[np.bool_],
    num_clips: Sequence[int],
    sources: Sequence[str],
    *,
    target: Target,
    majority_top1: float,
    new_classes: float = 0.0,
    num_resamples: int = 2000,
) -> TargetCurve:
    """Compute a learning curve of one target, and extrapolate it where the data allow.

    Shares that are not better than always guessing are left out: a curve begins where the network learns more than the most frequent class.
    The result does not depend on the order of the val clips.

    Args:
        right: (p, d, n) whether each training answers each val clip correctly; d at least 2.
        num_clips: (p,) training clips, in rising order; the last one is all of them.
        sources: (n,) the source video of each val clip.
        new_classes: how many classes half of the training clips lacks (`num_new_classes`).
    """
    below = np.flatnonzero(right.mean(axis=(1, 2)) <= majority_top1)
    first = int(below[-1]) + 1 if below.size else 0
    above = right[first:], num_clips[first:], sources
    unknown = reason_not_to(right, num_clips, sources)
    if unknown is None and len(num_clips) - first < MIN_SHARES:
        shares = count(len(num_clips) - first, "share")
        unknown = f"Of the training clips, {shares} beat always predicting the most frequent class; it takes {MIN_SHARES}."
    if unknown is None and not follows_law(*above, num_resamples=num_resamples):
        unknown = "The accuracies do not follow a power law, so they cannot be extrapolated."
    extrapolation = Extrapolation() if unknown else extrapolate(*above, num_resamples=num_resamples)
    points = tuple(_point(number, of_share, sources) for number, of_share in zip(num_clips, right, strict=True))
    return TargetCurve(
        target=target,
        majority_top1=majority_top1,
        points=points,
        fit=extrapolation.fit,
        gains=extrapolation.gains,
        unknown=unknown,
        new_classes=new_classes,
    )


def extrapolate(right: NDArray[np.bool_], num_clips: Sequence[int], sources: Sequence[str], *, num_resamples: int) -> Extrapolation:
    """Extrapolate a learning curve by a power law with a floor.

    A bootstrap draws source videos of val and draws of training clips anew, both at once, and fits the law to each resample (the pigeonhole
    bootstrap, Owen 2007, Annals of Applied Statistics 1, 386). Intervals are widened by Student's t with the smaller number of the two, as in
    `resample`. They are limited to what the law allows: no loss, and no more than the error that is left, which on other videos may be larger
    than on these. They hold if the curve follows such a law; `docs/evidence.md` has their simulated coverage. Arguments are as in
    `learning_curve`, where `reason_not_to` finds none.
    """
    top1 = right.mean(axis=(1, 2))
    wrong, sizes = _counts(right, sources)
    shares = np.array(num_clips) / num_clips[-1]
    law = fit_power_laws((1 - top1)[None], shares)
    laws = fit_power_laws(_resampled_errors(wrong, sizes, num_resamples), shares)
    estimates = _gains(law, laws, len(sources), num_units=min(len(sizes), right.shape[1]), left=1 - float(top1[-1]))
    fitted, of_all = {}, 1 - float(law.error(1)[0])
    for share in (*np.geomspace(shares[0], 1, NUM_FITTED)[:-1].tolist(), *estimates):
        number, fitted_top1 = round(share * num_clips[-1]), 1 - float(law.error(share)[0])
        low, high = estimates.get(share, (0.0, (0.0, 0.0)))[1]
        interval = (of_all + low, min(1.0, of_all + high)) if share in estimates else None
        fitted[number] = CurveFit(num_clips=number, top1=fitted_top1, interval=interval)
    gains = (
        CurveGain(times=times, num_clips=times * num_clips[-1], gain=estimates[times][0], interval=estimates[times][1]) for times in TIMES
    )
    return Extrapolation(tuple(fitted.values()), tuple(gains))


def follows_law(right: NDArray[np.bool_], num_clips: Sequence[int], sources: Sequence[str], *, num_resamples: int) -> bool:
    """Check whether the curve fits a power law, at a level of `FIT_LEVEL`.

    False if it fits worse than 95 % of resamples of a curve that follows the law. The resamples are those of `extrapolate`, moved so that the fitted law is their mean.
    """
    shares = np.array(num_clips) / num_clips[-1]
    errors = (1 - right.mean(axis=(1, 2)))[None]
    fitted = _errors_at(fit_power_laws(errors, shares), shares)
    resampled = _resampled_errors(*_counts(right, sources), num_resamples)
    observed, expected = (_squares(at, shares) for at in (errors, np.clip(resampled + fitted - errors, 0, 1)))
    # Rounding must not reject a curve that follows the law exactly.
    return bool((expected >= observed - 1e-12).mean() >= FIT_LEVEL)


def _squares(errors: Floats, shares: Floats) -> Floats:
    """Return the weighted squares (r,) by which errors (r, p) differ from their law."""
    squares: Floats = ((errors - _errors_at(fit_power_laws(errors, shares), shares)) ** 2 * shares).sum(axis=1)
    return squares


def _counts(right: NDArray[np.bool_], sources: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count wrong answers (p, d, s) and val clips (s,) of each source video."""
    wrong = np.array([[sums_by_source(~of_draw, sources)[0] for of_draw in of_share] for of_share in right])
    return wrong, sums_by_source(right[0, 0], sources)[1]


def _errors_at(law: PowerLaws, shares: Floats) -> Floats:
    """Return the errors (r, p) of the laws at each share."""
    return np.stack([law.error(share) for share in shares], axis=1)


def _point(number: int, right: NDArray[np.bool_], sources: Sequence[str]) -> CurvePoint:
    """Average the draws (d, n) of one share."""
    sums, sizes = sums_by_source(right.sum(axis=0), sources)
    top1 = float(right.mean())
    # Of each video's mean, rounded to whole clips.
    low, high = share_interval(np.rint(sums / len(right)).astype(np.int64), sizes)
    return CurvePoint(
        num_clips=number, draws=tuple(float(mean) for mean in right.mean(axis=1)), top1=top1, interval=(min(low, top1), max(high, top1))
    )


def reason_not_to(right: NDArray[np.bool_], num_clips: Sequence[int], sources: Sequence[str]) -> str | None:
    """Say in a sentence why the learning curve cannot be extrapolated; None if it can."""
    if len(set(sources)) < 2:
        return "All val clips are of one source video, which does not show how far a gain would vary with other videos."
    if num_clips[-1] < MIN_CLIPS:
        return f"Shares of {count(num_clips[-1], 'training clip')} are too small to extrapolate; it takes {MIN_CLIPS} clips or more."
    num_wrong = float((~right[-1]).sum(axis=1).mean())
    if num_wrong < MIN_WRONG:
        clips = count(len(sources), "val clip")
        wrong = f"only {num_wrong:.3g} of {clips} are wrong on average" if num_wrong else f"none of {clips} is wrong"
        return f"After training on all clips, {wrong}; it takes {MIN_WRONG} or more to show what more labels would gain."
    return None


def _resampled_errors(wrong: NDArray[np.int64], sizes: NDArray[np.int64], num_resamples: int) -> Floats:
    """Compute the errors (r, p) of resampled videos and draws of `wrong` (p, d, s)."""
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    num_draws, num_sources = wrong.shape[1:]
    draws = rng.multinomial(num_draws, np.full(num_draws, 1 / num_draws), size=num_resamples)
    sources = rng.multinomial(num_sources, np.full(num_sources, 1 / num_sources), size=num_resamples)
    sums = np.stack([((draws @ of_share) * sources).sum(axis=1) for of_share in wrong], axis=1)
    errors: Floats = sums / (num_draws * (sources @ sizes))[:, None]
    return errors


def fit_power_laws(errors: Floats, shares: Floats) -> PowerLaws:
    """Fit each curve by least squares, weighted by the share, over all `EXPONENTS`.

    Small shares weigh less: a few clips vary more from draw to draw, and the law holds only once most classes are seen. For a given exponent,
    floor and scale have a closed form, so that a bootstrap can fit thousands of curves.

    Args:
        errors: (r, p) from 0 to 1.
        shares: (p,) in rising order, the last one 1; p at least 3.
    """
    lowest = np.full(len(errors), np.inf)
    best = np.zeros((3, len(errors)))
    mean_error = np.average(errors, axis=1, weights=shares)
    for exponent in EXPONENTS:
        x = shares**-exponent
        mean_x = np.average(x, weights=shares)
        scale = ((errors - mean_error[:, None]) * (x - mean_x) * shares).sum(1) / ((x - mean_x) ** 2 * shares).sum()
        floor = mean_error - scale * mean_x
        rises, sinks = scale < 0, floor < 0
        scale = np.where(rises, 0, np.where(sinks, (errors * x * shares).sum(1) / (x**2 * shares).sum(), scale))
        floor = np.where(rises, mean_error, np.where(sinks, 0, floor))
        squares = ((errors - floor[:, None] - scale[:, None] * x) ** 2 * shares).sum(1)
        # Rounding must not decide between exponents that fit equally well.
        is_better = squares < lowest - 1e-12
        lowest = np.where(is_better, squares, lowest)
        best = np.where(is_better, np.stack([floor, scale, np.full(len(errors), exponent)]), best)
    return PowerLaws(*best)


def _gains(law: PowerLaws, laws: PowerLaws, num_val_clips: int, *, num_units: int, left: float) -> dict[float, Estimate]:
    """Compute the gains from more clips by rising multiples, from the fitted and resampled laws.

    `num_units` is the number of source videos or draws, whichever is smaller, and `left` the error that is left on these val clips.
    """
    correction = np.sqrt(num_units / (num_units - 1))
    quantile_of_t = stdtrit(num_units - 1, TAIL)
    tail = ndtr(correction * quantile_of_t)
    most = min(1.0, left - quantile_of_t * correction * laws.error(1).std())
    estimates: dict[float, Estimate] = {}
    lowest, highest = 0.0, 0.0
    for times in sorted({*TIMES, *np.geomspace(1, TIMES[-1], NUM_FITTED).tolist()}):
        gain, gains = min(float(law.gain(times)[0]), left), laws.gain(times)
        low, high = np.quantile(gains, (tail, 1 - tail))
        reach = -quantile_of_t * correction * gains.std()
        if reach == 0 and times > 1:
            # No resample differs. What not one of n clips shows may still be true of 1 - 0.025^(1/n) of all.
            high = 1 - TAIL ** (1 / num_val_clips)
        # More clips never gain less, so neither limit may fall.
        lowest, highest = max(lowest, min(low, gain - reach)), min(most, max(highest, high, gain + reach))
        estimates[times] = gain, (float(lowest), float(highest))
    return estimates
