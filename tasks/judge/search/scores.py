"""Score trials from their right and wrong answers, and find the best.

Legend: n clips.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.uncertainty import top1_interval
from tasks.options import SearchOptions
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, Top1, TrialScore, Value


def right_of(scores: Sequence[TrialScore], target: Target) -> NDArray[np.bool_]:
    """Return whether each clip's answer is right (n,), fold by fold."""
    return np.array([digit == "1" for score in scores for digit in score.right[target]], dtype=np.bool_)


def top1_of(scores: Sequence[TrialScore], clips: Sequence[Sequence[DatasetClip]]) -> dict[Target, Top1]:
    """Compute top-1 of each target over the clips of all folds.

    It has a 95 % interval over source videos.
    """
    sources = [clip.source for fold in clips for clip in fold]
    found = {target: right_of(scores, target) for target in scores[0].right}
    return {target: Top1(top1=float(right.mean()), interval=top1_interval(right, sources)) for target, right in found.items()}


def scored(trial: ScoredTrial, scores: Sequence[TrialScore], clips: Sequence[Sequence[DatasetClip]], target: Target) -> ScoredTrial:
    """Add the scores of a trial's trainings, one per fold, to the trial.

    Args:
        trial: the trial, without scores.
        scores: of its trainings, in the order of the folds.
        clips: the validation clips of each fold, in the order of the dataset.
        target: the one that decides.
    """
    sizes = np.array([len(fold) for fold in clips])
    return trial.model_copy(
        update={
            "run_keys": tuple(score.run_key for score in scores),
            "num_epochs": max(score.epochs[-1].epoch + 1 for score in scores),
            "seconds": round(sum(score.seconds for score in scores), 3),
            "loss": float(np.average([score.loss for score in scores], weights=sizes)),
            "scores": top1_of(scores, clips),
            "fold_top1": tuple(float(right_of([score], target).mean()) for score in scores) if len(scores) > 1 else (),
        }
    )


def best_first(trials: Sequence[ScoredTrial], target: Target) -> list[ScoredTrial]:
    """Sort finished trials by top-1; the lower loss, then the earlier trial decides a tie."""
    finished = [trial for trial in trials if trial.failure is None]
    return sorted(finished, key=lambda one: (-one.scores[target].top1, one.loss, one.number))


def finalists(trials: Sequence[ScoredTrial], chosen: SearchOptions) -> list[ScoredTrial]:
    """List the trials that may win.

    With successive halving, these are the trials of the last rung, which were trained longest.
    """
    last = max((trial.round for trial in trials if trial.failure is None), default=0)
    return [trial for trial in trials if trial.round == last or not chosen.halving]


def longest_of_each(trials: Sequence[ScoredTrial]) -> list[ScoredTrial]:
    """List the longest training of each recipe, by number.

    With successive halving, it is that of its last rung.
    """
    finished = sorted((trial for trial in trials if trial.failure is None), key=lambda one: one.round)
    return sorted({tuple(sorted(trial.values.items())): trial for trial in finished}.values(), key=lambda one: one.number)


def num_hours(trials: Iterable[ScoredTrial]) -> float:
    """Sum the hours of training on all GPUs together.

    Trainings that were found are not counted.
    """
    return sum(trial.seconds for trial in trials if not trial.was_found) / 3600


def values_in_words(values: Mapping[str, Value]) -> str:
    """Format searched values as people write options: `dropout=0.25, schedule=cosine`."""
    return ", ".join(f"{name}={value:.3g}" if isinstance(value, float) else f"{name}={value}" for name, value in values.items())
