"""How long a training takes: told once its first batches are timed, and kept current."""

import logging
from time import monotonic

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from tasks.model.epochs import duration
from tasks.options import RecipeOptions

log = logging.getLogger(__name__)

NUM_TIMED = 2
"""Batches that the first estimate rests on, after one that is left out, for the first is slower than all others."""
LEAST_SECONDS = 10.0
"""Between two lines. Where less is left, nothing is said."""
SHARE = 0.01
"""Of the time that is left, between two lines: a training of days says so every few minutes."""


class Pace(Callback):
    """Says how long the whole training takes, and from time to time how much of that is left.

    A batch takes what the batches of this process took on the mean. A validation takes what the last one took, and before the first one as
    many forward passes of training as it looks at crops.
    """

    def __init__(self, recipe: RecipeOptions, num_train: int, num_val: int) -> None:
        self.recipe = recipe
        self.num_train = num_train
        self.num_val = num_val
        self.num_batches = 0
        self.training_seconds = 0.0
        self.forward_seconds = 0.0
        self.validation_seconds: float | None = None
        self.started_at_seconds = 0.0
        self.noted_at_seconds = 0.0
        self.tells_at_seconds: float | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note when the first batch begins to be loaded."""
        self.noted_at_seconds = _now(pl_module)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """Note when a batch begins to be seen."""
        if self._is_timing:
            self.started_at_seconds = _now(pl_module)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Note what seeing it took."""
        if self._is_timing:
            self.forward_seconds = _now(pl_module) - self.started_at_seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Note what the batch took, and say what is left where it is time to."""
        # A GPU is still at work on it, and is waited for where a figure rests on that.
        is_due = self.tells_at_seconds is not None and monotonic() >= self.tells_at_seconds
        now = _now(pl_module) if is_due or self._is_timing else monotonic()
        if self.num_batches:
            self.training_seconds += now - self.noted_at_seconds
        self.noted_at_seconds = now
        self.num_batches += 1
        if self.num_batches == 1 + NUM_TIMED or is_due:
            left_seconds = self._left_seconds(trainer, batch_idx + 1)
            if trainer.is_global_zero and left_seconds >= LEAST_SECONDS:
                log.info("%s", self._line(trainer, batch_idx + 1, left_seconds))
            self.tells_at_seconds = now + max(LEAST_SECONDS, SHARE * left_seconds)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note when it begins."""
        self.started_at_seconds = _now(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what it took."""
        self.validation_seconds = _now(pl_module) - self.started_at_seconds

    @property
    def _is_timing(self) -> bool:
        return self.num_batches <= NUM_TIMED

    def _left_seconds(self, trainer: pl.Trainer, num_done: int) -> float:
        """What the rest takes, after `num_done` batches of this epoch."""
        epochs = range(trainer.current_epoch, self.recipe.epochs)
        num_validations = sum((epoch + 1) % self.recipe.validate_every == 0 for epoch in epochs)
        one_validation = self.validation_seconds
        if one_validation is None:
            num_clips = min(self.recipe.batch_size, self.num_train)
            one_validation = self.forward_seconds * self.num_val * self.recipe.validation_crops / num_clips
        num_batches = len(epochs) * int(trainer.num_training_batches) - num_done
        return num_batches * self.training_seconds / (self.num_batches - 1) + num_validations * one_validation

    def _line(self, trainer: pl.Trainer, num_done: int, left_seconds: float) -> str:
        if self.tells_at_seconds is None:
            num_epochs = self.recipe.epochs - trainer.current_epoch
            return (
                f"about {duration(left_seconds)} for {num_epochs} epochs of {self.num_train} clips and their validations, "
                f"by {NUM_TIMED} timed batches of {self.training_seconds / NUM_TIMED:.2f} s"
            )
        return (
            f"epoch {trainer.current_epoch + 1}/{self.recipe.epochs}, batch {num_done} of {trainer.num_training_batches}; "
            f"about {duration(left_seconds)} left"
        )


def _now(module: pl.LightningModule) -> float:
    """The time once the device has done all that it was given."""
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
    return monotonic()
