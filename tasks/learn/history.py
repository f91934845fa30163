"""Record the scores of each epoch, and format them for people."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import floor, log
from typing import Any

ALL_LOGGED = 1000
"""Number of epochs, from the first, that are all logged."""
STEP = 1.01
"""Ratio between two later logged epochs, on the logarithmic axis of long trainings."""


@dataclass(frozen=True)
class Scores:
    """Means over the clips of one pass; top-1 is from 0 to 1.

    If only verbs are trained, noun and action fields are None.
    """

    loss: float
    verb_loss: float
    noun_loss: float | None
    verb_top1: float
    noun_top1: float | None
    action_top1: float | None


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch, counted from 0.

    `val` is None if it was not validated, `learning_rate` is that of the heads.
    """

    epoch: int
    seconds: float
    learning_rate: float
    train: Scores
    val: Scores | None


def is_power_of_two(number: int) -> bool:
    """Check whether `number`, at least 1, is a power of two."""
    return number & (number - 1) == 0


def is_logged(epoch: int) -> bool:
    """Check whether this epoch, from 0, is logged.

    A long training has too many epochs to log all of them.
    """
    number = epoch + 1
    return number <= ALL_LOGGED or is_power_of_two(number) or _place(number) > _place(number - 1)


def _place(number: int) -> int:
    return floor(log(number) / log(STEP))


def to_state(history: Iterable[EpochRecord]) -> list[dict[str, Any]]:
    """Convert records to plain values for a checkpoint."""
    # `asdict` copies each value and takes ten times as long.
    return [{**vars(r), "train": vars(r.train), "val": vars(r.val) if r.val else None} for r in history]


def from_state(state: Iterable[dict[str, Any]]) -> list[EpochRecord]:
    """Read what `to_state` returned."""
    return [EpochRecord(**r | {"train": Scores(**r["train"]), "val": Scores(**r["val"]) if r["val"] else None}) for r in state]


def scores_of(metrics: Mapping[str, float], stage: str) -> Scores:
    """Read the scores of a stage, train or val, from the module's report."""
    return Scores(
        loss=metrics[f"{stage}/loss"],
        verb_loss=metrics[f"{stage}/verb_loss"],
        noun_loss=metrics.get(f"{stage}/noun_loss"),
        verb_top1=metrics[f"{stage}/verb_top1"],
        noun_top1=metrics.get(f"{stage}/noun_top1"),
        action_top1=metrics.get(f"{stage}/action_top1"),
    )


def curves_of(stage: str, scores: Scores) -> dict[str, float]:
    """Name the scores as on the curves of a logger: `train/loss`."""
    return {f"{stage}/{name}": value for name, value in asdict(scores).items() if value is not None}


def in_words(scores: Scores) -> str:
    """Format the scores for a line of the log."""
    if scores.action_top1 is None:
        return f"loss {scores.loss:.3f}, top-1 verb {scores.verb_top1:.1%}"
    return (
        f"loss {scores.loss:.3f} (verb {scores.verb_loss:.3f}, noun {scores.noun_loss:.3f}), "
        f"top-1 verb {scores.verb_top1:.1%}, noun {scores.noun_top1:.1%}, action {scores.action_top1:.1%}"
    )
