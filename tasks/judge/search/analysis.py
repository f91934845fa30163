"""Estimate what a finished search shows: which options mattered, and the luck of its best.

Legend: k trials, n clips, s source videos, r resamples.
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
from tasks.judge.statistics.seeds import recipe_change
from tasks.judge.statistics.uncertainty import LEVEL, sums_by_source
from tasks.store.records.record import Target
from tasks.store.records.search import Importance, ScoredTrial, SelectionBias, Value
from tasks.wording import count, listed

MIN_TRIALS = 10
NUM_HALVES, NUM_PERMUTATIONS = 50, 100

NUM_TREES, MAX_DEPTH = 24, 4
"""Shallow trees fit less noise, and are ten times faster."""

SEED = 0
NUM_RESAMPLES = 2000


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
        trials: of the search. Failed trials, those outside the ranges, and repetitions with more epochs do not count.

    Returns:
        nothing but the words if fewer than 10 trials count, or all have the same score.
    """
    varied = {name: _scaled(distribution) for name, distribution in ranges.items() if not distribution.single()}
    counted = _counted(trials, ranges, varied, target)
    if len(counted) < MIN_TRIALS:
        reason = (
            f"Only {count(len(counted), 'trial')} can be compared. It takes {MIN_TRIALS} to tell which options matter, and more to be sure."
        )
        return (), reason
    scores = np.array([trial.value for trial in counted])
    if np.ptp(scores) == 0:
        return (), f"All {count(len(counted), 'trial')} have the same score, so no option made a difference."
    rng = np.random.default_rng(SEED)
    names = tuple(varied)
    with quiet():
        study = _study(counted)
        shares = _shares(study, scores, names)
        drawn = [rng.permutation(len(counted))[: -(-len(counted) // 2)] for _ in range(NUM_HALVES)]
        halves = np.array([_shares(_study([counted[i] for i in half]), scores[half], names) for half in drawn])
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
    rows.sort(key=lambda row: (-row.share, row.option))
    return tuple(rows), _in_words(rows, len(counted))


def _scaled(distribution: BaseDistribution) -> BaseDistribution:
    """Convert a logarithmic range to a linear one of logarithms; fANOVA would not do so."""
    if isinstance(distribution, (FloatDistribution, IntDistribution)) and distribution.log:
        return FloatDistribution(math.log10(distribution.low), math.log10(distribution.high))
    return distribution


def _counted(
    trials: Sequence[ScoredTrial], ranges: Mapping[str, BaseDistribution], varied: Mapping[str, BaseDistribution], target: Target
) -> list[FrozenTrial]:
    """Convert the scored trials within the ranges to Optuna's, only the first of each recipe."""
    first: dict[tuple[Value, ...], FrozenTrial] = {}
    for trial in sorted(trials, key=lambda scored: scored.number):
        recipe = tuple(trial.values[name] for name in ranges)
        if trial.failure is not None or recipe in first or not is_within(trial.values, ranges):
            continue
        logarithmic = {name: math.log10(float(trial.values[name])) for name in varied if varied[name] is not ranges[name]}
        values = {name: trial.values[name] for name in varied} | logarithmic
        first[recipe] = create_trial(params=values, distributions=dict(varied), value=trial.scores[target].top1)
    return list(first.values())


def _study(trials: Sequence[FrozenTrial]) -> Study:
    study = optuna.create_study()
    study.add_trials(trials)
    return study


def _shares(study: Study, scores: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Compute each option's share in (number of trials,) scores; zeros if all scores are equal."""
    if np.ptp(scores) == 0:
        return np.zeros(len(names))
    evaluator = FanovaImportanceEvaluator(n_trees=NUM_TREES, max_depth=MAX_DEPTH, seed=SEED)
    shares = evaluator.evaluate(study, list(names), target=lambda trial: float(scores[trial.number]))
    return np.array([shares[name] for name in names])


def _family_wise(permuted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the options' levels that 95 of 100 permutations keep below for all options at once."""
    mean, deviation = permuted.mean(axis=0), permuted.std(axis=0, ddof=1)
    extreme = ((permuted - mean) / np.where(deviation > 0, deviation, 1)).max(axis=1)
    levels: NDArray[np.float64] = np.minimum(1, mean + np.quantile(extreme, LEVEL) * deviation)
    return levels


def _in_words(rows: Sequence[Importance], num_trials: int) -> str:
    above = [row.option for row in rows if row.share > row.by_chance]
    if not above:
        return (
            f"No option explains more than chance would: {count(num_trials, 'trial')} with scores as uncertain as these cannot tell which "
            "options matter."
        )
    rest = "" if len(above) == len(rows) else " Of the others the data cannot tell whether they matter."
    return f"{listed(above)} {'explains' if len(above) == 1 else 'explain'} more than chance would.{rest}"


def selection_bias(right: Sequence[str], sources: Sequence[str], winner: int) -> SelectionBias:
    """Estimate the selection bias by resampling source videos, with the same videos for all trials.

    Trials are right and wrong on the same clips, so their scores rise and fall together; only what moves them apart lets a lucky trial win.
    `best_of_equal` is the mean of the largest deviation of a resampled score from the trial's own score.

    The optimism is what a resample adds to the score of the trial that wins on it (Efron and Gong 1983). The observed scores already differ
    by chance, so a resample around them would keep the lucky winner in front and find seven tenths of the optimism. So they are first
    shrunk towards their mean, until they differ as much as the true scores do: by their variance less the variance of the resamples.

    The corrected score is that of the winner's network on other videos of this kind, if no trial chose its epoch on these clips. Luck of its
    training seed is another matter.

    Args:
        right: (k,) per trial, one digit per clip in the same order: 1 if the answer is right.
        sources: (n,) the source video of each clip; a single one does not show how far scores vary.
    """
    answers = np.array([[digit == "1" for digit in digits] for digits in right])
    if len(set(sources)) < 2:
        return SelectionBias(num_trials=len(right), best_of_equal=None, optimism=None, corrected=None)
    scores: NDArray[np.float64] = answers.mean(axis=1)
    deviations = _deviations(answers, sources)
    best = (_drawn_together(scores, deviations) + deviations).argmax(axis=1)
    optimism = float(deviations[np.arange(len(best)), best].mean())
    lead = float(deviations.max(axis=1).mean())
    return SelectionBias(num_trials=len(right), best_of_equal=lead, optimism=optimism, corrected=float(scores[winner]) - optimism)


def gain_over_form(seeds: Sequence[str], form: str, sources: Sequence[str]) -> tuple[float, tuple[float, float]] | None:
    """Estimate by how much the winner's recipe, with seeds that chose nothing, beats the recipe of the form.

    The mean of the seeds less the form's single training, on the same clips, with the 95 % interval of `recipe_change`, over source videos and
    seeds. The form's training is taken to vary with its seed as much.

    Args:
        seeds: per seed, one digit per clip in the same order: 1 if the answer is right.
        form: the digits of the form's recipe.
        sources: (n,) the source video of each clip.

    Returns:
        None with fewer than two seeds, or a single source video.
    """
    if len(seeds) < 2 or len(set(sources)) < 2:
        return None
    own, *others = (np.array([digit == "1" for digit in digits]) for digits in (form, *seeds))
    change = recipe_change(np.stack(others), own, sources, theirs_varies=True)
    return change.difference, change.interval


def _deviations(answers: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    """Resample the videos; return (r, k) differences of scores from the trial's own score."""
    per_trial = [sums_by_source(row, sources) for row in answers]
    num_clips = per_trial[0][1]
    sums = np.stack([of_trial for of_trial, _ in per_trial], axis=1)
    num_sources = len(num_clips)
    drawn = np.random.default_rng(SEED).multinomial(num_sources, np.full(num_sources, 1 / num_sources), size=NUM_RESAMPLES)
    means = (drawn @ sums) / (drawn @ num_clips)[:, None]
    # A bootstrap of s videos varies too little, by (s - 1) / s.
    spread: NDArray[np.float64] = (means - answers.mean(axis=1)) * np.sqrt(num_sources / (num_sources - 1))
    return spread


def _drawn_together(scores: NDArray[np.float64], deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink (k,) scores towards their mean, to the variance that chance leaves unexplained."""
    if len(scores) < 2 or scores.var() == 0:
        return scores
    variance = scores.var(ddof=1)
    by_chance = deviations.var(axis=1, ddof=1).mean()
    shrunk: NDArray[np.float64] = scores.mean() + np.sqrt(max(0.0, 1 - by_chance / variance)) * (scores - scores.mean())
    return shrunk
