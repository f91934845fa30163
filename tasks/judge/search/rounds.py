"""Plan the rounds of a search.

A plan has the number of trials, the rungs of successive halving, the time budget, and the batches.
"""

from collections.abc import Sequence

from tasks.errors import BadConfiguration
from tasks.judge.search.scores import best_first, num_hours
from tasks.judge.search.space import Space
from tasks.keys import content_key
from tasks.options import SearchOptions, TrainOptions
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, Trial

HALVING_FACTOR = 3
"""One in three trials of a rung is promoted, with three times as many epochs."""

ROUNDING = 1e-6
"""Keeps a trial that the budget covers exactly."""

MAX_HEADS, MIN_HEADS = 64, 8
"""Number of trials of heads per task. Starting a task takes several seconds, and eight train side by side in one."""

EPOCHS_PER_BATCH = 4000
"""Epochs of heads per task, all trials together: of long trainings, fewer share the retries and the time limit of a task."""


def history_digest(earlier: Sequence[ScoredTrial]) -> str:
    """Hash what suggestions follow from: earlier recipes, scores and times, and which trials failed, for whatever reason."""
    # Later than the other options, and equal in all trials; the digests of older searches stay.
    dumped = [one.model_dump(mode="json", exclude={"options": {"views_seed"}}) for one in earlier]
    return content_key({"trials": [dump | {"failure": one.failure is not None} for dump, one in zip(dumped, earlier, strict=True)]})


def num_suggested(chosen: SearchOptions, number: int, earlier: Sequence[ScoredTrial]) -> int:
    """Compute the number of trials of round `number`, from 1.

    An even share of all, or as many as the time budget allows. Later rounds make up for trials that earlier rounds could not suggest. The
    budget counts the time of the search's own trainings, on all GPUs together.
    """
    wanted = -(-(chosen.num_trials - len(earlier)) // (chosen.rounds - number + 1))
    spent_hours, num_own = num_hours(earlier), sum(not trial.was_found for trial in earlier)
    if not chosen.budget_hours or not spent_hours:
        return wanted
    affordable = (chosen.budget_hours - spent_hours) / (spent_hours / num_own)
    return max(0, min(wanted, int(affordable + ROUNDING)))


def num_left(chosen: SearchOptions, number: int, trials: Sequence[ScoredTrial]) -> int:
    """Count the trials left after round `number`, if no budget ends the search."""
    if not chosen.halving:
        return max(0, chosen.num_trials - len(trials))
    size, left = sum(trial.round == number for trial in trials), 0
    for _ in range(number, chosen.rounds):
        size = num_promoted(size)
        left += size
    return left


def num_promoted(num_trials: int) -> int:
    """Count the trials of a rung that are promoted to the next."""
    return max(1, num_trials // HALVING_FACTOR)


def rung_epochs(chosen: SearchOptions, epochs: int, number: int) -> int:
    """Return the epochs of rung `number`, from 1; the last rung has all `epochs`."""
    return max(1, round(epochs * float(HALVING_FACTOR) ** (number - chosen.rounds)))


def require_resumable(chosen: SearchOptions, space: Space) -> None:
    """Reject options that successive halving would compare unfairly.

    Raises:
        BadConfiguration: a learning rate would depend on the total number of epochs, or rungs would be equally long.
    """
    if not chosen.halving:
        return
    schedules = space.grid().get("schedule", [space.base.schedule])
    if "cosine" in schedules:
        raise BadConfiguration(
            "halving: schedule cosine falls to 0 at the end of the training, so a rung could not go on with it and would not be comparable "
            "with longer ones; choose constant, step or plateau, or turn halving off"
        )
    rungs = [rung_epochs(chosen, space.base.epochs, number) for number in range(1, chosen.rounds + 1)]
    if len(set(rungs)) < len(rungs):
        raise BadConfiguration(
            f"halving: {chosen.rounds} rounds need rungs of {HALVING_FACTOR} times as many epochs each, and {space.base.epochs} epochs give "
            f"{', '.join(map(str, rungs))}; raise epochs or lower rounds"
        )


def promote(
    chosen: SearchOptions, epochs: int, number: int, last_rung: Sequence[ScoredTrial], target: Target
) -> list[tuple[ScoredTrial, TrainOptions]]:
    """Choose the trials to promote to rung `number`, best first.

    `epochs` is the length of the whole training; the trials have their options on the rung.
    """
    longer = rung_epochs(chosen, epochs, number)
    kept = best_first(last_rung, target)[: num_promoted(len(last_rung))]
    return [(trial, trial.options.model_copy(update={"epochs": longer})) for trial in kept]


def batches_of(trials: Sequence[Trial]) -> list[tuple[Trial, ...]]:
    """Divide the trials of a round into one batch per task.

    A batch has several head trainings, fewer if they are long, or one of a backbone.
    """
    heads = [trial for trial in trials if trial.options.trainable == "heads"]
    longest = max((trial.options.epochs for trial in heads), default=1)
    size = min(MAX_HEADS, max(MIN_HEADS, EPOCHS_PER_BATCH // longest))
    cut = [tuple(heads[start : start + size]) for start in range(0, len(heads), size)]
    return cut + [(trial,) for trial in trials if trial.options.trainable != "heads"]
