"""Estimate how much of the trials' score variance each searched option explains.

It also estimates whether chance would explain as much.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator
from optuna.study import Study
from optuna.trial import FrozenTrial, create_trial

from tasks.judge.search.suggest import is_within, quiet
from tasks.store.records.record import Target
from tasks.store.records.search import Importance, ScoredTrial, Value
from tasks.wording import count, listed

MIN_TRIALS = 10
NUM_HALVES, NUM_PERMUTATIONS = 50, 100
NUM_TREES, MAX_DEPTH = 24, 4
"""Shallow trees fit less noise, and are ten times faster."""
LEVEL = 0.95
SEED = 0


def importances(
    trials: Sequence[ScoredTrial], ranges: Mapping[str, BaseDistribution], target: Target
) -> tuple[tuple[Importance, ...], str]:
    """Estimate the importance of each searched option, most important first.

    The text says how much the data can show. The share is that of fANOVA (Hutter, Hoos and Leyton-Brown 2014, An Efficient Approach for
    Assessing Hyperparameter Importance): the variance of a random forest's predictions over the option alone, divided by the variance over
    all. Ranges with a logarithmic scale are measured on it.

    Intervals come from random halves of the trials, whose shares differ about as much as those of other searches of the full size would
    (the delete-half jackknife of Shao and Wu 1989). A bootstrap would repeat trials, which a forest takes for certainty.

    The share by chance is that of permuted scores: its mean plus as many standard deviations as the most extreme option of 95 in 100
    permutations stays below, so that it holds for all options together (Westfall and Young 1993). Beside an option that matters much, others
    stay below it more easily.

    Args:
        trials: of the search. Failed ones, those outside the ranges, and repetitions with more epochs do not count.
        ranges: of the searched options.
        target: the target whose top-1 is explained.

    Returns:
        nothing but the words if fewer than 10 trials count, or all have the same score.
    """
    varied = {name: _scaled(distribution) for name, distribution in ranges.items() if not distribution.single()}
    found = _counted(trials, ranges, varied, target)
    if len(found) < MIN_TRIALS:
        reason = (
            f"Only {count(len(found), 'trial')} can be compared. It takes {MIN_TRIALS} to tell which options matter, and more to be sure."
        )
        return (), reason
    scores = np.array([trial.value for trial in found])
    if np.ptp(scores) == 0:
        return (), f"All {count(len(found), 'trial')} have the same score, so no option made a difference."
    rng = np.random.default_rng(SEED)
    names = tuple(varied)
    with quiet():
        study = _study(found)
        shares = _shares(study, scores, names)
        halves = np.array([_shares(_study([found[i] for i in half]), scores[half], names) for half in _halves(len(found), rng)])
        permuted = np.array([_shares(study, rng.permutation(scores), names) for _ in range(NUM_PERMUTATIONS)])
    low, high = np.quantile(halves, ((1 - LEVEL) / 2, (1 + LEVEL) / 2), axis=0) - halves.mean(axis=0) + shares
    by_chance = _family_wise(permuted)
    rows = [
        Importance(
            option=name,
            share=float(shares[i]),
            interval=(float(max(0, min(low[i], shares[i]))), float(min(1, max(high[i], shares[i])))),
            by_chance=float(by_chance[i]),
        )
        for i, name in enumerate(names)
    ]
    rows.sort(key=lambda one: (-one.share, one.option))
    return tuple(rows), _in_words(rows, len(found))


def _scaled(distribution: BaseDistribution) -> BaseDistribution:
    """Convert a logarithmic range to a linear one of logarithms.

    fANOVA would not do so.
    """
    if isinstance(distribution, (FloatDistribution, IntDistribution)) and distribution.log:
        return FloatDistribution(math.log10(distribution.low), math.log10(distribution.high))
    return distribution


def _counted(
    trials: Sequence[ScoredTrial], ranges: Mapping[str, BaseDistribution], varied: Mapping[str, BaseDistribution], target: Target
) -> list[FrozenTrial]:
    """Convert the trials with a score and values within the ranges to Optuna's.

    Of each recipe, only the first counts.
    """
    first: dict[tuple[Value, ...], FrozenTrial] = {}
    for trial in sorted(trials, key=lambda one: one.number):
        recipe = tuple(trial.values[name] for name in ranges)
        if trial.failure is not None or recipe in first or not is_within(trial.values, ranges):
            continue
        values = {name: _logarithm(trial.values[name]) if varied[name] is not ranges[name] else trial.values[name] for name in varied}
        first[recipe] = create_trial(params=values, distributions=dict(varied), value=trial.scores[target].top1)
    return list(first.values())


def _logarithm(value: Value) -> float:
    return math.log10(float(value))


def _study(trials: Sequence[FrozenTrial]) -> Study:
    study = optuna.create_study()
    study.add_trials(trials)
    return study


def _halves(num_trials: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    return [rng.permutation(num_trials)[: -(-num_trials // 2)] for _ in range(NUM_HALVES)]


def _shares(study: Study, scores: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Compute the share of each option in (number of trials,) scores.

    All are zero if all scores are equal.
    """
    if np.ptp(scores) == 0:
        return np.zeros(len(names))
    evaluator = FanovaImportanceEvaluator(n_trees=NUM_TREES, max_depth=MAX_DEPTH, seed=SEED)
    found = evaluator.evaluate(study, list(names), target=lambda trial: float(scores[trial.number]))
    return np.array([found[name] for name in names])


def _family_wise(permuted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute each option's family-wise 95 % level from permuted scores.

    In 95 of 100 permutations, all options stay below their levels.
    """
    mean, deviation = permuted.mean(axis=0), permuted.std(axis=0, ddof=1)
    extreme = ((permuted - mean) / np.where(deviation > 0, deviation, 1)).max(axis=1)
    levels: NDArray[np.float64] = np.minimum(1, mean + np.quantile(extreme, LEVEL) * deviation)
    return levels


def _in_words(rows: Sequence[Importance], num_trials: int) -> str:
    above = [one.option for one in rows if one.share > one.by_chance]
    if not above:
        return (
            f"No option explains more than chance would: {count(num_trials, 'trial')} with scores as uncertain as these cannot tell which "
            "options matter."
        )
    rest = "" if len(above) == len(rows) else " Of the others the data cannot tell whether they matter."
    return f"{listed(above)} {'explains' if len(above) == 1 else 'explain'} more than chance would.{rest}"
