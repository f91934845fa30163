"""Fine-tuning: one call from labelled clips to the best checkpoint, which goes on where an earlier call was cut off."""

import logging
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from tasks.errors import BadConfiguration
from tasks.model.checkpoints import ClassNames
from tasks.model.data import LabelledClip, Sample, make_loader
from tasks.model.epochs import BEST, LAST, EpochFiles, EpochKeeper, EpochRecord
from tasks.model.hardware import Hardware, choose_device, describe
from tasks.model.module import ActionModule
from tasks.model.network import Network, to_channels_last
from tasks.options import TrainOptions

log = logging.getLogger(__name__)

MAX_WORKERS = 8
TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class TrainJob:
    """Everything that one training needs.

    `folder` keeps best.pt, last.ckpt and tensorboard/. Where it holds a last.ckpt, training goes on from there, and best.pt must lie beside it.
    `network` is changed by the training. `num_workers` None reads in this process on a CPU, and in up to 8 others beside a GPU.
    """

    network: Network
    classes: ClassNames
    train: Sequence[LabelledClip]
    val: Sequence[LabelledClip]
    options: TrainOptions
    folder: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_workers: int | None = None


@dataclass(frozen=True)
class TrainOutcome:
    """What a training left: `best` is read with `checkpoints.load`; the history also covers what earlier calls did."""

    best: Path
    best_epoch: int
    best_val_loss: float
    stopped_early: bool
    history: tuple[EpochRecord, ...]
    hardware: Hardware


def fit(job: TrainJob, *, loggers: Sequence[Logger] = (), on_epoch: Callable[[EpochFiles], None] | None = None) -> TrainOutcome:
    """Train until the options' end, or go on until there.

    Args:
        job: what to train, on what, where.
        loggers: Lightning loggers beside TensorBoard's, which get every figure of every epoch.
        on_epoch: called after each epoch, once both files are on the disk; an exception from it ends the training.

    Raises:
        BadConfiguration: options that this machine or these data cannot follow, or a loss that is never a number.
        BadDataset: nothing to train or validate on, or frames that cannot be read.
    """
    options = job.options
    device = choose_device(job.device)
    _require_possible(options, device)
    job.folder.mkdir(parents=True, exist_ok=True)
    module = ActionModule(
        to_channels_last(job.network),
        learning_rate=options.learning_rate,
        trainable=options.trainable,
        batch_norm=options.batch_norm,
    )
    module.train()
    early_stopping = EarlyStopping("val/loss", patience=options.patience, check_on_train_epoch_end=False) if options.patience else None
    keeper = EpochKeeper(job.folder, job.network, job.classes, options.seed, early_stopping, on_epoch)
    train_loader, val_loader = _loaders(job, device)
    last = job.folder / LAST
    if last.exists():
        log.info("going on from %s", last)
    with warnings.catch_warnings():
        _quieten_lightning()
        trainer = _make_trainer(options, device, job.folder, loggers, [keeper, early_stopping] if early_stopping else [keeper])
        try:
            trainer.fit(module, train_loader, val_loader, ckpt_path=last if last.exists() else None, weights_only=True)
        except torch.OutOfMemoryError:
            raise BadConfiguration(
                f"the GPU's memory does not hold batches of {options.batch_size} clips; lower batch_size, or choose precision bf16-mixed"
            ) from None
    best = keeper.best
    if best is None or best.val is None:
        raise BadConfiguration(f"the validation loss was never a number at learning rate {options.learning_rate}; lower it")
    return TrainOutcome(
        best=job.folder / BEST,
        best_epoch=best.epoch,
        best_val_loss=best.val.loss,
        stopped_early=len(keeper.history) < options.epochs,
        history=tuple(keeper.history),
        hardware=describe(device),
    )


def _require_possible(options: TrainOptions, device: Literal["cpu", "cuda"]) -> None:
    if options.precision == "16-mixed" and device == "cpu":
        raise BadConfiguration("precision 16-mixed needs a GPU and there is none; choose 32-true or bf16-mixed")
    if options.validate_every > options.epochs:
        raise BadConfiguration(f"validate_every {options.validate_every} is more than {options.epochs} epochs: no checkpoint would be kept")


def _loaders(job: TrainJob, device: Literal["cpu", "cuda"]) -> tuple[DataLoader[Sample], DataLoader[Sample]]:
    default = 0 if device == "cpu" else min(MAX_WORKERS, len(os.sched_getaffinity(0)))
    shared = partial(
        make_loader,
        spec=job.network.spec,
        batch_size=job.options.batch_size,
        num_workers=default if job.num_workers is None else job.num_workers,
        pin_memory=device == "cuda",
    )
    return shared(job.train, seed=job.options.seed), shared(job.val, seed=None)


def _make_trainer(
    options: TrainOptions, device: Literal["cpu", "cuda"], folder: Path, loggers: Sequence[Logger], callbacks: list[Callback]
) -> pl.Trainer:
    return pl.Trainer(
        accelerator=device,
        devices=1,
        precision=options.precision,
        max_epochs=options.epochs,
        check_val_every_n_epoch=options.validate_every,
        num_sanity_val_steps=0,
        # Some of cuDNN's kernels differ from run to run; a CPU's do not.
        deterministic="warn" if device == "cuda" else False,
        logger=[TensorBoardLogger(folder, name=TENSORBOARD, version=""), *loggers],
        log_every_n_steps=1,
        callbacks=callbacks,
        default_root_dir=folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _quieten_lightning() -> None:
    """Leave Lightning its warnings, less those that are not for people here."""
    # What devices it found, which libraries it would like: the step says what matters.
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    # It advises on the number of workers, which `num_workers` decides.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Modules that rest in evaluation mode do so on purpose: partial batch-norm, or a frozen backbone.
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    # It makes a torch object in a way that torch is giving up.
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
