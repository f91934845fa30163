"""Seed each epoch, then record it, write its checkpoints, log a line and call the step back."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor

from tasks.disk import full_disk, no_room
from tasks.model.averaging import Averaging
from tasks.model.checkpoints import save
from tasks.model.class_names import ClassNames
from tasks.model.network import Network
from tasks.model.schedules import highest_rate
from tasks.wording import duration

log = logging.getLogger(__name__)

BEST = "best.pt"
LAST = "last.ckpt"

Keeps = Literal["each epoch", "at the end", "never"]
"""When the last checkpoint is written."""


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


@dataclass(frozen=True)
class EpochFiles:
    """Files after an epoch, from which a run can be resumed.

    They suffice in any folder, on any machine and with any number of processes. `best` is None until an epoch has a validation loss, and
    always if the best heads are stored in `last` until training ends.
    """

    record: EpochRecord
    last: Path
    best: Path | None
    best_is_new: bool


class EpochKeeper(Callback):
    """Keeps the history, the checkpoint with the lowest validation loss, and the last checkpoint.

    Replaces Lightning's ModelCheckpoint, which restores the best score only when resuming in the same folder, and cannot call the step once
    both files are written. Every process keeps the same history; only the first writes files, logs and calls the step.

    With `averaging` the best checkpoint has the averaged weights, which are the validated ones. With `head_alone` the best heads are stored
    in the last checkpoint, and `write_best` writes the network at the end: the frozen backbone is much larger than the heads, and writing
    it takes longer than an epoch. Unless it `keeps` a checkpoint of each epoch, it neither logs epochs nor calls the step; in that case only
    heads alone may be trained.
    """

    def __init__(
        self,
        folder: Path,
        network: Network,
        classes: ClassNames,
        seed: int,
        early_stopping: EarlyStopping | None,
        on_epoch: Callable[[EpochFiles], None] | None,
        *,
        averaging: Averaging | None = None,
        head_alone: bool = False,
        tells_rate: bool = False,
        keeps: Keeps = "each epoch",
    ) -> None:
        self.folder = folder
        self.network = network
        self.classes = classes
        self.seed = seed
        self.early_stopping = early_stopping
        self.on_epoch = on_epoch
        self.averaging = averaging
        self.head_alone = head_alone
        self.tells_rate = tells_rate
        self.keeps = keeps
        self.best_head: dict[str, Tensor] = {}
        self.history: list[EpochRecord] = []
        self.started_at_seconds = 0.0
        self.learning_rate = 0.0

    @property
    def best(self) -> EpochRecord | None:
        """The first epoch with the lowest validation loss; epochs with a non-finite loss are ignored."""
        validated = [record for record in self.history if record.val and record.val.loss < float("inf")]
        return min(validated, key=lambda record: record.val.loss if record.val else 0, default=None)

    def state_dict(self) -> dict[str, Any]:
        """Return the history and the best heads for a resumed run."""
        return {"history": [asdict(record) for record in self.history], "best_head": self.best_head}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history and the best heads."""
        self.best_head = state_dict["best_head"]
        self.history = [
            EpochRecord(**r | {"train": Scores(**r["train"]), "val": Scores(**r["val"]) if r["val"] else None})
            for r in state_dict["history"]
        ]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the earlier epochs of a resumed run; stop it if it had stopped early."""
        num_steps = ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        for record in self.history:
            curves = _curves("train", record.train) | (_curves("val", record.val) if record.val else {})
            for logger in trainer.loggers:
                logger.log_metrics(
                    curves | {"epoch": float(record.epoch), "learning_rate": record.learning_rate}, (record.epoch + 1) * num_steps - 1
                )
        if self.early_stopping and self.early_stopping.stopped_epoch:
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the learning rate, and seed torch by epoch and process for reproducible resumes."""
        torch.manual_seed(int(np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]).generate_state(1)[0]))
        self.learning_rate = highest_rate(trainer.optimizers[0])
        pl_module.log("learning_rate", self.learning_rate, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)
        self.started_at_seconds = monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch, save best and last, log, call the step.

        In this order a kill at any point loses nothing.
        """
        epoch = trainer.current_epoch
        metrics = {name: value.item() for name, value in trainer.callback_metrics.items()}
        was_validated = (epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        record = EpochRecord(
            epoch=epoch,
            seconds=monotonic() - self.started_at_seconds,
            learning_rate=self.learning_rate,
            train=_scores(metrics, "train"),
            val=_scores(metrics, "val") if was_validated else None,
        )
        self.history.append(record)
        best_is_new = self.best is record
        if best_is_new:
            with self.averaging.swapped_in(pl_module) if self.averaging else nullcontext():
                self._keep_best(trainer)
        is_last = epoch + 1 == trainer.max_epochs or trainer.should_stop
        if self.keeps == "each epoch" or (self.keeps == "at the end" and is_last):
            self._keep_last(trainer)
        if trainer.is_global_zero and self.keeps == "each epoch":
            log.info("%s", self._line(record, trainer.max_epochs or 0, best_is_new))
            if self.on_epoch:
                best = self.folder / BEST if self.best and not self.head_alone else None
                self.on_epoch(EpochFiles(record, self.folder / LAST, best, best_is_new))
        # Wait for the first process: a failure of another one afterwards must not end it.
        trainer.strategy.barrier()

    def _keep_last(self, trainer: pl.Trainer) -> None:
        try:
            trainer.save_checkpoint(self.folder / LAST)
        except (OSError, RuntimeError) as error:
            if full_disk(error) is None:
                raise
            states = [state.values() for optimizer in trainer.optimizers for state in optimizer.state.values()]
            tensors = [*self.network.state_dict().values(), *(value for values in states for value in values)]
            raise no_room(self.folder / LAST, sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))) from error

    def _keep_best(self, trainer: pl.Trainer) -> None:
        if self.head_alone:
            self.best_head = {name: tensor.detach().cpu().clone() for name, tensor in self.network.head.state_dict().items()}
        elif trainer.is_global_zero:
            save(self.folder / BEST, self.network, self.classes)

    def write_best(self) -> None:
        """Load the best heads from the last checkpoint into the network, and write it.

        Does nothing if they are not kept there.
        """
        if self.best_head:
            self.network.head.load_state_dict(self.best_head)
            save(self.folder / BEST, self.network, self.classes)

    def _line(self, record: EpochRecord, num_epochs: int, best_is_new: bool) -> str:
        recent = [r.seconds for r in self.history[-5:]]
        left_seconds = (num_epochs - record.epoch - 1) * sum(recent) / len(recent)
        parts = [f"epoch {record.epoch + 1}/{num_epochs}", f"train {_in_words(record.train)}"]
        if record.val:
            parts.append(f"val {_in_words(record.val)}{' (best so far)' if best_is_new else ''}")
        if self.tells_rate:
            parts.append(f"learning rate {record.learning_rate:.2g}")
        elapsed_seconds = sum(r.seconds for r in self.history)
        return "; ".join([*parts, f"{duration(round(elapsed_seconds))} elapsed, at most {duration(round(left_seconds))} left"])


def _scores(metrics: dict[str, float], stage: str) -> Scores:
    return Scores(
        loss=metrics[f"{stage}/loss"],
        verb_loss=metrics[f"{stage}/verb_loss"],
        noun_loss=metrics.get(f"{stage}/noun_loss"),
        verb_top1=metrics[f"{stage}/verb_top1"],
        noun_top1=metrics.get(f"{stage}/noun_top1"),
        action_top1=metrics.get(f"{stage}/action_top1"),
    )


def _curves(stage: str, scores: Scores) -> dict[str, float]:
    return {f"{stage}/{name}": value for name, value in asdict(scores).items() if value is not None}


def _in_words(scores: Scores) -> str:
    if scores.action_top1 is None:
        return f"loss {scores.loss:.3f}, top-1 verb {scores.verb_top1:.1%}"
    return (
        f"loss {scores.loss:.3f} (verb {scores.verb_loss:.3f}, noun {scores.noun_loss:.3f}), "
        f"top-1 verb {scores.verb_top1:.1%}, noun {scores.noun_top1:.1%}, action {scores.action_top1:.1%}"
    )
