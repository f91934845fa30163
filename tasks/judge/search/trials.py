"""Score trials from their right and wrong answers, and find the best.

Legend: n clips.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, Search, Top1, TrialScore, Value


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
    """Sum the hours of training on all GPUs together; trainings that were found are not counted."""
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
    """Find the trial that has the recipe of the form.

    None if it has no score.
    """
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
