"""What happens around each epoch: seeds before it, and after it the record, the two files, one line for people, one call for the step."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from time import monotonic
from typing import Any

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

log = logging.getLogger(__name__)

BEST = "best.pt"
LAST = "last.ckpt"


@dataclass(frozen=True)
class Scores:
    """Means over the clips of one pass; top-1 as shares from 0 to 1. Where verbs alone are learned, the rest is None."""

    loss: float
    verb_loss: float
    noun_loss: float | None
    verb_top1: float
    noun_top1: float | None
    action_top1: float | None


@dataclass(frozen=True)
class EpochRecord:
    """One epoch, counted from 0. `val` is absent where the epoch was not validated; `learning_rate` is that of the heads."""

    epoch: int
    seconds: float
    learning_rate: float
    train: Scores
    val: Scores | None


@dataclass(frozen=True)
class EpochFiles:
    """What lies on the disk after an epoch; a run goes on from these files alone, in any folder, machine and number of processes.

    `best` is None where no epoch has a validation loss yet, and where the best heads are part of `last` until the training ends.
    """

    record: EpochRecord
    last: Path
    best: Path | None
    best_is_new: bool


class EpochKeeper(Callback):
    """Keeps the history, the checkpoint of the lowest validation loss and the last one.

    In place of Lightning's ModelCheckpoint, which takes the best score up only where a run goes on in the same folder, and cannot call the step
    once both files are there. Every process keeps the same history; the first alone writes files, speaks and calls the step.

    With `averaging` the best are its weights, which were validated. With `head_alone` the best heads go into the last checkpoint, and
    `write_best` makes the network of them at the end: a backbone that never changes is many times as large as they are, and writing it takes
    longer than an epoch of theirs.
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
        self.best_head: dict[str, Tensor] = {}
        self.history: list[EpochRecord] = []
        self.started_at_seconds = 0.0
        self.learning_rate = 0.0

    @property
    def best(self) -> EpochRecord | None:
        """The first epoch of the lowest validation loss; one whose loss is not a number never counts."""
        validated = [record for record in self.history if record.val and record.val.loss < float("inf")]
        return min(validated, key=lambda record: record.val.loss if record.val else 0, default=None)

    def state_dict(self) -> dict[str, Any]:
        """The history and the best heads, for a run that goes on."""
        return {"history": [asdict(record) for record in self.history], "best_head": self.best_head}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take them up."""
        self.best_head = state_dict["best_head"]
        self.history = [
            EpochRecord(**r | {"train": Scores(**r["train"]), "val": Scores(**r["val"]) if r["val"] else None})
            for r in state_dict["history"]
        ]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Give a run that goes on the curves of its earlier epochs, and hold one that had stopped early where it stopped."""
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
        """Note the rate, and seed torch by epoch and process, so that a run that goes on draws what an undisturbed one draws."""
        torch.manual_seed(int(np.random.SeedSequence([self.seed, trainer.current_epoch, trainer.global_rank]).generate_state(1)[0]))
        self.learning_rate = highest_rate(trainer.optimizers[0])
        pl_module.log("learning_rate", self.learning_rate, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)
        self.started_at_seconds = monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record, save the best, save the last, say so, tell the step: in this order, so that a kill between any two loses nothing."""
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
            with self.averaging.shown(pl_module) if self.averaging else nullcontext():
                self._keep_best(trainer)
        self._keep_last(trainer)
        if trainer.is_global_zero:
            log.info("%s", self._line(record, trainer.max_epochs or 0, best_is_new))
            if self.on_epoch:
                best = self.folder / BEST if self.best and not self.head_alone else None
                self.on_epoch(EpochFiles(record, self.folder / LAST, best, best_is_new))
        # Nobody is done before the first process is: what another may end with afterwards must not end the first.
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
        """Write the network of the best heads, which the network then has, where they were kept in the last checkpoint."""
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
        return "; ".join([*parts, f"{duration(elapsed_seconds)} gone, at most {duration(left_seconds)} left"])


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


def duration(seconds: float) -> str:
    """A time for a person: `3 h 05 min`, `2 min 08 s`, `41 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
