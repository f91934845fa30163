"""Score a search's trials, find the best, estimate its luck, and rank the options.

Legend: k trials, n clips, s source videos, r resamples.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.paired import recipe_change
from tasks.judge.statistics.uncertainty import sums_by_source, top1_interval
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.record import Target
from tasks.store.records.search import Importance, ScoredTrial, Search, SelectionBias, Top1, TrialScore, Value
from tasks.wording import count

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

SEED = 0
NUM_RESAMPLES = 2000
MIN_TRIALS = 10
"""Minimum number of trials to tell which options mattered."""
NUM_TREES, MAX_DEPTH = 24, 4
"""Shallow trees fit less noise, and are ten times faster."""


def right_of(scores: Sequence[TrialScore], target: Target) -> NDArray[np.bool_]:
    """Return whether each clip's answer is right (n,), fold by fold."""
    return np.array([digit == "1" for score in scores for digit in score.right[target]], dtype=np.bool_)


def scored(trial: ScoredTrial, scores: Sequence[TrialScore], clips: Sequence[Sequence[DatasetClip]], target: Target) -> ScoredTrial:
    """Add the scores of a trial's trainings, one per fold, to the trial.

    Args:
        scores: of its trainings, in the order of the folds.
        clips: the validation clips of each fold, in the order of the dataset.
    """
    sizes, sources = np.array([len(fold) for fold in clips]), [clip.source for fold in clips for clip in fold]
    by_target = {target: right_of(scores, target) for target in scores[0].right}
    return trial.model_copy(
        update={
            "run_keys": tuple(score.run_key for score in scores),
            "num_epochs": max(score.epochs[-1].epoch + 1 for score in scores),
            "seconds": round(sum(score.seconds for score in scores), 3),
            "loss": float(np.average([score.loss for score in scores], weights=sizes)),
            "scores": {
                target: Top1(top1=float(right.mean()), interval=top1_interval(right, sources)) for target, right in by_target.items()
            },
            "fold_top1": tuple(float(right_of([score], target).mean()) for score in scores) if len(scores) > 1 else (),
        }
    )


def best_first(trials: Sequence[ScoredTrial], target: Target) -> list[ScoredTrial]:
    """Sort finished trials by top-1; the lower loss, then the earlier trial decides a tie."""
    finished = [trial for trial in trials if trial.failure is None]
    return sorted(finished, key=lambda trial: (-trial.scores[target].top1, trial.loss, trial.number))


def num_hours(trials: Iterable[ScoredTrial]) -> float:
    """Sum the hours of training on all GPUs together, without trainings that were found."""
    return sum(trial.seconds for trial in trials if not trial.was_found) / 3600


def values_in_words(values: Mapping[str, Value]) -> str:
    """Format searched values as people write options: `dropout=0.25, schedule=cosine`."""
    return ", ".join(f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items())


def decisive(search: Search) -> Target:
    """Return the target whose top-1 decides."""
    return search.targets[-1]


def ranked(search: Search) -> list[ScoredTrial]:
    """Sort the trials with a score, the winner first."""
    return best_first(search.trials, decisive(search))


def failed(search: Search) -> list[ScoredTrial]:
    """List the trials without a score, by number."""
    return [trial for trial in search.trials if trial.failure is not None]


def winner_of(search: Search) -> ScoredTrial:
    """Return the trial that won."""
    return next(trial for trial in search.trials if trial.number == search.winner)


def form_recipe(search: Search) -> ScoredTrial | None:
    """Find the trial that has the recipe of the form; None without a score."""
    own = search.plan.train.model_dump(mode="json")
    return next(
        (trial for trial in search.trials if trial.failure is None and all(value == own[name] for name, value in trial.values.items())),
        None,
    )


def deciding_top1(trial: ScoredTrial, search: Search) -> float:
    """Return the deciding top-1 of a trial that has a score."""
    return trial.scores[decisive(search)].top1


def spelled(value: Value) -> str:
    """Format a value as in the form's ranges, numbers with three digits."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def searched(search: Search) -> tuple[str, ...]:
    """List the searched options, in the order of the form."""
    return tuple(dict.fromkeys(search.plan.search.search))


def range_of(name: str, search: Search) -> str:
    """Return a searched option's range as the form gave it: `1e-5..1e-1 log`; empty if none."""
    lines = [line.partition("=") for line in search.plan.search.ranges]
    return next((text.strip() for option, _, text in reversed(lines) if option.strip() == name), "")


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
    """Estimate by how much the winner's recipe beats the recipe of the form.

    The gain is the mean of the seeds less the form's single training, whose score is taken to vary with its seed as much. It has the 95 %
    interval of `recipe_change`. None with fewer than two seeds, or a single source video.

    Args:
        seeds: per seed that chose nothing, one digit per clip in the same order: 1 if the answer is right.
        form: the digits of the form's recipe.
        sources: (n,) the source video of each clip.
    """
    if len(seeds) < 2 or len(set(sources)) < 2:
        return None
    own, *others = (np.array([digit == "1" for digit in digits]) for digits in (form, *seeds))
    change = recipe_change(np.stack(others), own, sources, theirs_varies=True)
    return change.difference, change.interval


def importances(
    trials: Sequence[ScoredTrial], ranges: "Mapping[str, BaseDistribution]", target: Target
) -> tuple[tuple[Importance, ...], str]:
    """Divide the differences between these trials among the searched options, most important first.

    The share is that of fANOVA (Hutter, Hoos and Leyton-Brown 2014, An Efficient Approach for Assessing Hyperparameter Importance): the
    variance of a random forest's predictions over the option alone, divided by the variance over all. Ranges with a logarithmic scale are
    measured on it. Failed trials, and those outside the ranges, do not count.

    Returns:
        the shares and how to read them; the words alone if fewer than 10 trials count, or all have the same score.
    """
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    from tasks.judge.search.suggest import is_within, quiet

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
            study.add_trial(optuna.trial.create_trial(params=params, distributions=scaled, value=trial.scores[target].top1))
        evaluator = FanovaImportanceEvaluator(n_trees=NUM_TREES, max_depth=MAX_DEPTH, seed=0)
        shares = get_param_importances(study, evaluator=evaluator, normalize=False)
    words = f"These shares are of this search's {count(len(counted), 'trial')} alone. Chance can give one option more than half."
    return tuple(Importance(option=name, share=share) for name, share in shares.items()), words


def _deviations(answers: NDArray[np.bool_], sources: Sequence[str]) -> NDArray[np.float64]:
    """Resample the videos and return deviations (r, k) of the trials' scores from their means."""
    per_trial = [sums_by_source(row, sources) for row in answers]
    num_clips = per_trial[0][1]
    sums = np.stack([of_trial for of_trial, _ in per_trial], axis=1)
    num_sources = len(num_clips)
    drawn = np.random.default_rng(SEED).multinomial(num_sources, np.full(num_sources, 1 / num_sources), size=NUM_RESAMPLES)
    means = (drawn @ sums) / (drawn @ num_clips)[:, None]
    # A mean of resamples is not the trial's own score: a resample with many videos of few clips counts as much as any.
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


def _scaled(distribution: "BaseDistribution") -> "BaseDistribution":
    """Convert a logarithmic range to a linear one of logarithms; fANOVA would not do so."""
    from optuna.distributions import FloatDistribution, IntDistribution

    if isinstance(distribution, (FloatDistribution, IntDistribution)) and distribution.log:
        return FloatDistribution(math.log10(distribution.low), math.log10(distribution.high))
    return distribution
