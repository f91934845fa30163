"""Record the scores of each epoch, and log how long a training will take."""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from tasks.options import RecipeOptions
from tasks.wording import count, duration, percent

log = logging.getLogger(__name__)

ALL_LOGGED = 1000
"""Number of epochs, from the first, that are all logged."""

STEP = 1.01
"""Ratio between two later logged epochs, on the logarithmic axis of long trainings."""

NUM_TIMED = 2
"""Number of batches timed for the first estimate. The very first batch is slower, and skipped."""

MIN_SECONDS = 10.0
"""Minimum time between two log lines; nothing is logged if less time remains."""

SHARE = 0.01
"""Time between two log lines, as a share of the remaining time. A training of days logs every few minutes."""


@dataclass(frozen=True)
class Scores:
    """Means over the clips of one pass; top-1 is from 0 to 1. If only verbs are trained, noun and action fields are None."""

    loss: float
    verb_loss: float
    noun_loss: float | None
    verb_top1: float
    noun_top1: float | None
    action_top1: float | None


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch, counted from 0, with the learning rate of the heads; `val` is None if it was not validated."""

    epoch: int
    seconds: float
    learning_rate: float
    train: Scores
    val: Scores | None


def is_power_of_two(number: int) -> bool:
    """Check whether `number`, at least 1, is a power of two."""
    return number & (number - 1) == 0


def is_logged(epoch: int) -> bool:
    """Check whether this epoch, from 0, is logged: a long training has too many to log all."""
    number = epoch + 1
    return number <= ALL_LOGGED or is_power_of_two(number) or _place(number) > _place(number - 1)


def _place(number: int) -> int:
    return math.floor(math.log(number) / math.log(STEP))


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


def in_words(scores: Scores) -> str:
    """Format the scores for a line of the log."""
    if scores.noun_top1 is None or scores.action_top1 is None:
        return f"loss {scores.loss:.3f}, top-1 verb {percent(scores.verb_top1)}"
    return (
        f"loss {scores.loss:.3f} (verb {scores.verb_loss:.3f}, noun {scores.noun_loss:.3f}), "
        f"top-1 verb {percent(scores.verb_top1)}, noun {percent(scores.noun_top1)}, action {percent(scores.action_top1)}"
    )


@dataclass(eq=False, repr=False)
class RemainingTime(Callback):
    """Logs the estimated total time after the first batches, and regularly the remaining time.

    Batches are estimated by the mean over this process, validations by the last one. Before the first validation, its estimate is the
    forward pass of training times the number of crops, and `num_views`: a validation's views of a clip for each that training shows.
    """

    recipe: RecipeOptions
    num_train: int
    num_val: int
    num_views: int = 1

    def __post_init__(self) -> None:
        self.num_batches = 0
        self.training_seconds = 0.0
        self.forward_seconds = 0.0
        self.validation_seconds: float | None = None
        self.started_at_seconds = 0.0
        self.last_batch_at_seconds = 0.0
        self.logs_at_seconds: float | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start timing when the first batch starts to load."""
        self.last_batch_at_seconds = finished_at(pl_module.device.type)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """Start timing the forward pass."""
        if self._is_timing:
            self.started_at_seconds = finished_at(pl_module.device.type)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Record the time of the forward pass."""
        if self._is_timing:
            self.forward_seconds = finished_at(pl_module.device.type) - self.started_at_seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Record the batch's time, and log the remaining time when it is due."""
        # Synchronise with the GPU only when the time is used.
        is_due = self.logs_at_seconds is not None and monotonic() >= self.logs_at_seconds
        now = finished_at(pl_module.device.type) if is_due or self._is_timing else monotonic()
        if self.num_batches:
            self.training_seconds += now - self.last_batch_at_seconds
        self.last_batch_at_seconds = now
        self.num_batches += 1
        if self.num_batches == 1 + NUM_TIMED or is_due:
            left_seconds = self._left_seconds(trainer, batch_idx + 1)
            if trainer.is_global_zero and left_seconds >= MIN_SECONDS:
                log.info("%s", self._line(trainer, batch_idx + 1, left_seconds))
            self.logs_at_seconds = now + max(MIN_SECONDS, SHARE * left_seconds)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start timing the validation."""
        self.started_at_seconds = finished_at(pl_module.device.type)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the validation's time."""
        self.validation_seconds = finished_at(pl_module.device.type) - self.started_at_seconds

    @property
    def _is_timing(self) -> bool:
        return self.num_batches <= NUM_TIMED

    def _left_seconds(self, trainer: pl.Trainer, num_done: int) -> float:
        """Estimate the remaining time after `num_done` batches of this epoch."""
        epochs = range(trainer.current_epoch, self.recipe.epochs)
        num_validations = sum((epoch + 1) % self.recipe.validate_every == 0 for epoch in epochs)
        one_validation = self.validation_seconds
        if one_validation is None:
            num_clips = min(self.recipe.batch_size, self.num_train)
            one_validation = self.forward_seconds * self.num_val * self.recipe.validation_crops * self.num_views / num_clips
        num_batches = len(epochs) * int(trainer.num_training_batches) - num_done
        return num_batches * self.training_seconds / (self.num_batches - 1) + num_validations * one_validation

    def _line(self, trainer: pl.Trainer, num_done: int, left_seconds: float) -> str:
        if self.logs_at_seconds is None:
            num_epochs = self.recipe.epochs - trainer.current_epoch
            return (
                f"about {duration(round(left_seconds))} for {count(num_epochs, 'epoch')} of {count(self.num_train, 'clip')} and their validations, "
                f"estimated from {NUM_TIMED} batches of {self.training_seconds / NUM_TIMED:.2f} s"
            )
        return (
            f"epoch {trainer.current_epoch + 1}/{self.recipe.epochs}, batch {num_done} of {trainer.num_training_batches}; "
            f"about {duration(round(left_seconds))} left"
        )


def finished_at(device: str) -> float:
    """Return the time after this process's device has finished all queued work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return monotonic()
