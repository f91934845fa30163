"""Estimate what a finished search shows: which options mattered, and the luck of its best.

Legend: k trials, n clips, s source videos, r resamples.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from tasks.judge.search.suggest import is_within, quiet
from tasks.judge.statistics.seeds import recipe_change
from tasks.judge.statistics.uncertainty import sums_by_source
from tasks.store.records.record import Target
from tasks.store.records.search import Importance, ScoredTrial, SelectionBias
from tasks.wording import count

MIN_TRIALS = 10
NUM_TREES, MAX_DEPTH = 24, 4
"""Shallow trees fit less noise, and are ten times faster."""

SEED = 0
NUM_RESAMPLES = 2000


def importances(
    trials: Sequence[ScoredTrial], ranges: Mapping[str, BaseDistribution], target: Target
) -> tuple[tuple[Importance, ...], str]:
    """Divide the differences between these trials among the searched options, most important first.

    The share is that of fANOVA (Hutter, Hoos and Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance): the
    variance of a random forest's predictions over the option alone, divided by the variance over all. Ranges with a logarithmic scale are
    measured on it.

    Args:
        trials: of the search. Failed trials, and those outside the ranges, do not count.

    Returns:
        the shares and how to read them; the words alone if fewer than 10 trials count, or all have the same score.
    """
    counted = [trial for trial in trials if trial.failure is None and is_within(trial.values, ranges)]
    if len(counted) < MIN_TRIALS:
        return (), f"Only {count(len(counted), 'trial')} can be compared. It takes {MIN_TRIALS} to tell which options matter."
    if len({trial.scores[target].top1 for trial in counted}) == 1:
        return (), f"All {count(len(counted), 'trial')} have the same score, so no option made a difference."
    scaled = {name: _scaled(distribution) for name, distribution in ranges.items() if not distribution.single()}
    with quiet():
        study = optuna.create_study()
        for trial in counted:
            logarithmic = {name: math.log10(float(trial.values[name])) for name in scaled if scaled[name] is not ranges[name]}
            params = {name: trial.values[name] for name in scaled} | logarithmic
            study.add_trial(create_trial(params=params, distributions=scaled, value=trial.scores[target].top1))
        evaluator = FanovaImportanceEvaluator(n_trees=NUM_TREES, max_depth=MAX_DEPTH, seed=SEED)
        shares = get_param_importances(study, evaluator=evaluator, normalize=False)
    words = f"These shares are of this search's {count(len(counted), 'trial')} alone. Chance can give one option more than half."
    return tuple(Importance(option=name, share=share) for name, share in shares.items()), words


def _scaled(distribution: BaseDistribution) -> BaseDistribution:
    """Convert a logarithmic range to a linear one of logarithms; fANOVA would not do so."""
    if isinstance(distribution, (FloatDistribution, IntDistribution)) and distribution.log:
        return FloatDistribution(math.log10(distribution.low), math.log10(distribution.high))
    return distribution


def selection_bias(right: Sequence[str], sources: Sequence[str], winner: int) -> SelectionBias:
    """Estimate the selection bias by resampling source videos, with the same videos for all trials.

    Trials are right and wrong on the same clips, so their scores rise and fall together; only what moves them apart lets a lucky trial win.
    `best_of_equal` is the mean of the largest deviation of a resampled score from the trial's mean.

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
    # Neither is below 0 except by rounding.
    optimism, lead = (max(0.0, float(drawn.mean())) for drawn in (deviations[np.arange(len(best)), best], deviations.max(axis=1)))
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
    """Resample the videos; return (r, k) deviations of each trial's score from its mean over the resamples.

    That mean is not the trial's own score: a resample with many videos of few clips counts as much as any.
    """
    per_trial = [sums_by_source(row, sources) for row in answers]
    num_clips = per_trial[0][1]
    sums = np.stack([of_trial for of_trial, _ in per_trial], axis=1)
    num_sources = len(num_clips)
    drawn = np.random.default_rng(SEED).multinomial(num_sources, np.full(num_sources, 1 / num_sources), size=NUM_RESAMPLES)
    means = (drawn @ sums) / (drawn @ num_clips)[:, None]
    # A bootstrap of s videos varies too little, by (s - 1) / s.
    spread: NDArray[np.float64] = (means - means.mean(axis=0)) * np.sqrt(num_sources / (num_sources - 1))
    return spread


def _drawn_together(scores: NDArray[np.float64], deviations: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shrink (k,) scores towards their mean, to the variance that chance leaves unexplained."""
    if len(scores) < 2 or scores.var() == 0:
        return scores
    variance = scores.var(ddof=1)
    by_chance = deviations.var(axis=1, ddof=1).mean()
    shrunk: NDArray[np.float64] = scores.mean() + np.sqrt(max(0.0, 1 - by_chance / variance)) * (scores - scores.mean())
    return shrunk
