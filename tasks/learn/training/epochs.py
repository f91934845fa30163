"""Seed each epoch, record its scores, write checkpoints and log lines, call the step."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from torch import Tensor

from tasks.disk import full_disk, no_room
from tasks.errors import BadCheckpoint
from tasks.learn.networks.checkpoints import save
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames
from tasks.learn.networks.weights_file import first_line, in_short, read_weights
from tasks.options import TrainOptions
from tasks.wording import duration, percent

log = logging.getLogger(__name__)

BEST = "best.pt"
LAST = "last.ckpt"
ALL_LOGGED = 1000
"""Number of epochs, from the first, that are all logged."""

STEP = 1.01
"""Ratio between two later logged epochs, on the logarithmic axis of long trainings."""

ALL_WRITTEN = 100
"""Number of epochs, from the first, that are all written to the store."""

MIN_SECONDS = 10.0
"""Minimum time between two writes of later epochs on cached features."""

PATIENCE = 20
"""Minimum time between two writes as a multiple of a write's time, with the step's part."""


@dataclass(frozen=True)
class Scores:
    """Means over the clips of one pass; without nouns if only verbs are trained."""

    loss: float
    verb_loss: float
    noun_loss: float | None
    verb_top1: float
    noun_top1: float | None
    action_top1: float | None


@dataclass(frozen=True)
class EpochRecord:
    """Record of one epoch, counted from 0; `val` is None without a validation."""

    epoch: int
    seconds: float
    learning_rate: float
    train: Scores
    val: Scores | None


def is_power_of_two(number: int) -> bool:
    """Check whether `number`, at least 1, is a power of two."""
    return number & (number - 1) == 0


def is_logged(epoch: int) -> bool:
    """Check whether this epoch, counted from 0, is logged; long trainings have too many."""
    number = epoch + 1
    if number <= ALL_LOGGED or is_power_of_two(number):
        return True
    before, after = (math.floor(math.log(end) / math.log(STEP)) for end in (epoch, number))
    return after > before


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


def with_last_weights(network: Network, last: Path) -> Network:
    """Copy the network that a training started from, with the weights of its file `LAST`.

    The backbone stays as it is if the file has heads alone.

    Raises:
        BadCheckpoint: it cannot be read, or is of another network.
    """
    state = read_weights(last).get("state_dict", {})
    trained = {name.removeprefix("network."): tensor for name, tensor in state.items() if name.startswith(("network.", "head."))}
    copied = deepcopy(network)
    if missing := {f"head.{name}" for name in network.head.state_dict()} - trained.keys():
        raise BadCheckpoint(f"{last.name} is of another network: it lacks {in_short(sorted(missing))}")
    try:
        copied.load_state_dict(copied.state_dict() | trained)
    except RuntimeError as error:
        raise BadCheckpoint(f"{last.name} is of another network: {first_line(error)}") from None
    return copied


def head_file(number: int) -> str:
    """Name the file of the heads after `number` epochs."""
    return f"heads-{number:06d}.pt"


@dataclass(frozen=True)
class EpochFiles:
    """Files after one or more epochs.

    A run resumes from them in any folder, with any number of processes.
    `records` are the epochs since the last call. `best` is None until an epoch has a validation loss, and always if the best heads are stored
    in `last` until training ends. `heads` are those after the last epoch, if they are to be kept.
    """

    records: tuple[EpochRecord, ...]
    last: Path
    best: Path | None
    best_is_new: bool
    heads: Path | None = None


@dataclass(eq=False, repr=False)
class EpochKeeper(Callback):
    """Keeps the history, the checkpoint with the lowest validation loss, and the last checkpoint.

    Lightning's ModelCheckpoint would restore the best score only when resuming in the same folder, and cannot call the step once both files are
    written. Every process keeps the same history; only the first writes files, logs and calls the step.

    `reported` has the scores of the last epoch by name, as `scores_of` reads them. If it `caches_features`, epochs take milliseconds:

    - After the first hundred, epochs are written, logged and passed to the step together, at intervals. A killed run resumes from the last
      write and draws the same epochs again.
    - The best heads are stored in the last checkpoint, and `write_best` writes the much larger network at the end.
    - In long trainings the heads after 1, 2, 4, 8 … epochs and after the last have a file each.

    Unless it `writes`, there are no checkpoints, no epochs are logged and the step is not called; then only heads alone may be trained.
    """

    folder: Path
    network: Network
    classes: ClassNames
    options: TrainOptions
    reported: Mapping[str, float]
    early_stopping: EarlyStopping | None
    on_epoch: Callable[[EpochFiles], None] | None
    caches_features: bool = False
    writes: bool = True

    def __post_init__(self) -> None:
        self.best_head: dict[str, Tensor] = {}
        self.history: list[EpochRecord] = []
        self.best: EpochRecord | None = None
        """The first epoch with the lowest validation loss; epochs with a non-finite loss are ignored."""
        self.elapsed_seconds = 0.0
        self.num_written = 0
        self.started_at_seconds = 0.0
        self.next_write_at_seconds = 0.0
        self.learning_rate = 0.0

    @property
    def stopped_early(self) -> bool:
        """Check whether training ended before all epochs; ask after its end."""
        return len(self.history) < self.options.epochs

    def state_dict(self) -> dict[str, Any]:
        """Return the history and the best heads for a resumed run."""
        return {"history": to_state(self.history), "best_head": self.best_head}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the history and the best heads."""
        self.best_head = state_dict["best_head"]
        for record in from_state(state_dict["history"]):
            self._add(record)
        self.num_written = len(self.history)

    def _add(self, record: EpochRecord) -> None:
        self.history.append(record)
        self.elapsed_seconds += record.seconds
        if record.val and record.val.loss < (self.best.val.loss if self.best and self.best.val else math.inf):
            self.best = record

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop a resumed run that had stopped early."""
        if self.early_stopping and self.early_stopping.stopped_epoch:
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the learning rate, and seed torch by epoch and process for reproducible resumes."""
        torch.manual_seed(int(np.random.SeedSequence([self.options.seed, trainer.current_epoch, trainer.global_rank]).generate_state(1)[0]))
        self.learning_rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.started_at_seconds = monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the epoch, keep the best network, and write the last one if due."""
        # In the order best, last, log line and call of the step, so that a kill loses nothing.
        epoch = trainer.current_epoch
        was_validated = (epoch + 1) % (trainer.check_val_every_n_epoch or 1) == 0
        record = EpochRecord(
            epoch=epoch,
            seconds=monotonic() - self.started_at_seconds,
            learning_rate=self.learning_rate,
            train=scores_of(self.reported, "train"),
            val=scores_of(self.reported, "val") if was_validated else None,
        )
        self._add(record)
        if self.best is record:
            if self.caches_features:
                self.best_head = self._head()
            elif trainer.is_global_zero:
                save(self.folder / BEST, self.network, self.classes)
        is_last = epoch + 1 == trainer.max_epochs or trainer.should_stop
        if self.writes:
            with_heads = self.caches_features and self.options.is_long and (is_last or is_power_of_two(epoch + 1))
            if with_heads or is_last or self._is_due(trainer):
                self._write(trainer, with_heads=with_heads)

    def _is_due(self, trainer: pl.Trainer) -> bool:
        if not self.caches_features or len(self.history) <= ALL_WRITTEN:
            return True
        # All processes write together, so the first process's clock counts.
        return bool(trainer.strategy.broadcast(monotonic() >= self.next_write_at_seconds))

    def _write(self, trainer: pl.Trainer, *, with_heads: bool) -> None:
        started = monotonic()
        heads = self.folder / head_file(len(self.history)) if with_heads else None
        if heads and trainer.is_global_zero:
            torch.save(self._head(), heads)
        self._keep_last(trainer)
        if trainer.is_global_zero:
            records = tuple(self.history[self.num_written :])
            best_is_new = self.best in records
            log.info("%s", self._line(self.history[-1], trainer.max_epochs or 0, self.best is self.history[-1]))
            if self.on_epoch:
                best = self.folder / BEST if self.best and not self.caches_features else None
                self.on_epoch(EpochFiles(records, self.folder / LAST, best, best_is_new, heads))
        self.num_written = len(self.history)
        # Wait for the first process: a failure of another process afterwards must not end it.
        trainer.strategy.barrier()
        now = monotonic()
        self.next_write_at_seconds = now + max(MIN_SECONDS, PATIENCE * (now - started))

    def _head(self) -> dict[str, Tensor]:
        return {name: tensor.detach().cpu().clone() for name, tensor in self.network.head.state_dict().items()}

    def _keep_last(self, trainer: pl.Trainer) -> None:
        try:
            trainer.save_checkpoint(self.folder / LAST)
        except (OSError, RuntimeError) as error:
            if full_disk(error) is None:
                raise
            states = [state.values() for optimizer in trainer.optimizers for state in optimizer.state.values()]
            tensors = [*self.network.state_dict().values(), *(value for values in states for value in values)]
            raise no_room(self.folder / LAST, sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))) from error

    def write_best(self) -> None:
        """Write the network with the best heads, if the last checkpoint keeps these."""
        if self.best_head:
            self.network.head.load_state_dict(self.best_head)
            save(self.folder / BEST, self.network, self.classes)

    def _line(self, record: EpochRecord, num_epochs: int, best_is_new: bool) -> str:
        recent = [r.seconds for r in self.history[-5:]]
        left_seconds = (num_epochs - record.epoch - 1) * sum(recent) / len(recent)
        parts = [f"epoch {record.epoch + 1}/{num_epochs}", f"train {in_words(record.train)}"]
        if record.val:
            parts.append(f"val {in_words(record.val)}{' (best so far)' if best_is_new else ''}")
        if self.options.schedule != "constant" or self.options.warmup_epochs:
            parts.append(f"learning rate {record.learning_rate:.2g}")
        elapsed, left = duration(round(self.elapsed_seconds)), duration(round(left_seconds))
        return "; ".join([*parts, f"{elapsed} elapsed, at most {left} left"])
