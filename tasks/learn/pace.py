"""Log the estimated duration of a training, and the remaining time regularly.

The estimate comes after its first batches.
"""

import logging
from time import monotonic

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from tasks.options import RecipeOptions
from tasks.wording import count, duration

log = logging.getLogger(__name__)

NUM_TIMED = 2
"""Number of batches timed for the first estimate. The very first batch is slower, and skipped."""
MIN_SECONDS = 10.0
"""Minimum time between two log lines; nothing is logged if less time remains."""
SHARE = 0.01
"""Time between two log lines, as a share of the remaining time. A training of days logs every few minutes."""


class Pace(Callback):
    """Logs the estimated total time, and regularly the remaining time.

    Batches are estimated by the mean over this process, validations by the last one. Before the first validation, its estimate is the
    forward pass of training times the number of crops, and `num_views`: a validation's views of a clip for each that training shows.
    """

    def __init__(self, recipe: RecipeOptions, num_train: int, num_val: int, num_views: int = 1) -> None:
        self.recipe = recipe
        self.num_train = num_train
        self.num_val = num_val
        self.num_views = num_views
        self.num_batches = 0
        self.training_seconds = 0.0
        self.forward_seconds = 0.0
        self.validation_seconds: float | None = None
        self.started_at_seconds = 0.0
        self.last_batch_at_seconds = 0.0
        self.logs_at_seconds: float | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start timing when the first batch starts to load."""
        self.last_batch_at_seconds = _now(pl_module)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """Start timing the forward pass."""
        if self._is_timing:
            self.started_at_seconds = _now(pl_module)

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        """Record the time of the forward pass."""
        if self._is_timing:
            self.forward_seconds = _now(pl_module) - self.started_at_seconds

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        """Record the batch's time, and log the remaining time when it is due."""
        # Synchronise with the GPU only when the time is used.
        is_due = self.logs_at_seconds is not None and monotonic() >= self.logs_at_seconds
        now = _now(pl_module) if is_due or self._is_timing else monotonic()
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
        self.started_at_seconds = _now(pl_module)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the validation's time."""
        self.validation_seconds = _now(pl_module) - self.started_at_seconds

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


def _now(module: pl.LightningModule) -> float:
    """Return the time after the device has finished all queued work."""
    if module.device.type == "cuda":
        torch.cuda.synchronize(module.device)
    return monotonic()
