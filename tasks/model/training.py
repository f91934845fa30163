"""Fine-tune a network from labelled clips to the best checkpoint, resuming an interrupted run."""

import logging
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.loggers import Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from tasks.errors import BadConfiguration
from tasks.model.augmentation import Augmentation
from tasks.model.averaging import Averaging
from tasks.model.class_names import ClassNames
from tasks.model.data import CachedClip, ClipDataset, Sample, Share, View, make_loader
from tasks.model.epochs import BEST, LAST, EpochFiles, EpochKeeper, EpochRecord
from tasks.model.features import compute_features, training_features
from tasks.model.hardware import Hardware, choose_device, describe
from tasks.model.module import ActionModule, HeadModule, Learner
from tasks.model.network import Network, synchronise_norms, to_channels_last
from tasks.model.pace import Pace
from tasks.model.processes import EndInOrder, end_with_starter, failing_together, process_rank, require_place
from tasks.options import TrainOptions

log = logging.getLogger(__name__)

MAX_WORKERS = 8
TENSORBOARD = "tensorboard"


@dataclass(frozen=True)
class TrainJob:
    """Everything that one training needs.

    `folder` holds best.pt, last.ckpt and tensorboard/. If there is a last.ckpt, training resumes from it and also needs best.pt, except with
    cached features: then last.ckpt includes the best heads, and best.pt is written at the end.
    `network` is modified by training. If `classes` have no objects, only verbs are trained. With `num_workers` None, clips are read in this
    process on a CPU, and in up to 8 worker processes with a GPU.

    If only the heads are trained, epochs cycle through `feature_variants` views of each clip, whose features are cached under `features` and
    shared with other trainings. Without that folder every epoch computes them again, with the same results up to rounding. Processes on
    one machine must use the same folder.

    `devices` processes train together (see `processes`), each on its own GPU or all on the CPU. The batch
    size is the total over all processes, so results equal those of a single process, up to rounding and the random numbers of dropout and
    backbone. They differ more with mixup, and on CPUs with trainable batch-norm, because both see only one process's part of a batch. Each
    process has its own folder; only the first process writes to its folder. Either all processes find the same last.ckpt, or none finds one.
    """

    network: Network
    classes: ClassNames
    train: Sequence[CachedClip]
    val: Sequence[CachedClip]
    options: TrainOptions
    folder: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_workers: int | None = None
    features: Path | None = None
    devices: int = 1

    @property
    def caches_features(self) -> bool:
        """Whether the heads are trained on cached features."""
        return self.options.trainable == "heads" and self.features is not None


Parts = tuple[Learner, DataLoader[Sample], DataLoader[Sample]]
"""The module, and the loaders of training and validation."""


@dataclass(frozen=True)
class TrainOutcome:
    """Result of a training.

    The first process has `best`, to be read with `checkpoints.load`; the history includes earlier calls.
    """

    best: Path
    best_epoch: int
    best_val_loss: float
    stopped_early: bool
    history: tuple[EpochRecord, ...]
    hardware: Hardware


def fit(job: TrainJob, *, loggers: Sequence[Logger] = (), on_epoch: Callable[[EpochFiles], None] | None = None) -> TrainOutcome:
    """Train to the end, resuming if possible; with several processes, each calls this.

    Args:
        job: network, data, options and device.
        loggers: Lightning loggers in addition to TensorBoard's; they get all metrics of every epoch.
        on_epoch: called in the first process after each epoch, once its files are written; an exception from it ends training.

    Raises:
        BadConfiguration: the options do not fit this machine or the data, or the validation loss was never finite.
        BadDataset: there is nothing to train or validate on, or frames cannot be read.
        Unavailable: this process received SIGTERM.
        RetakeError: another process failed; its exit code determines the class. If this process is waiting for the start of all or for a
            GPU and cannot notice, Lightning kills it within five seconds of the failure.
    """
    options = job.options
    device = choose_device(job.device)
    _require_possible(job, device)
    if job.devices > 1:
        end_with_starter()
    job.folder.mkdir(parents=True, exist_ok=True)
    module, train_loader, val_loader = _feature_parts(job, device) if job.caches_features else _image_parts(job, device)
    module.train()
    early_stopping = EarlyStopping("val/loss", patience=options.patience, check_on_train_epoch_end=False) if options.patience else None
    averaging = Averaging(options.ema_decay) if options.ema_decay else None
    keeper = EpochKeeper(
        job.folder,
        job.network,
        job.classes,
        options.seed,
        early_stopping,
        on_epoch,
        averaging=averaging,
        head_alone=job.caches_features,
        tells_rate=options.schedule != "constant" or options.warmup_epochs > 0,
    )
    last = job.folder / LAST
    if last.exists():
        log.info("resuming from %s", last)
    with warnings.catch_warnings(), _one_thread() if job.caches_features else nullcontext():
        _quieten_lightning()
        callbacks = [EndInOrder(), Pace(options, len(job.train), len(job.val)), *filter(None, [averaging, keeper, early_stopping])]
        trainer = _make_trainer(job, device, loggers, callbacks)
        with failing_together(trainer):
            try:
                trainer.fit(module, train_loader, val_loader, ckpt_path=last if last.exists() else None, weights_only=True)
            except torch.OutOfMemoryError:
                raise BadConfiguration(
                    f"batches of {options.batch_size} clips do not fit into the GPU's memory; "
                    "lower batch_size, or choose precision bf16-mixed"
                ) from None
    best = keeper.best
    if best is None or best.val is None:
        raise BadConfiguration(f"the validation loss was never finite at learning rate {options.learning_rate}; lower it")
    if trainer.is_global_zero:
        keeper.write_best()
    return TrainOutcome(
        best=job.folder / BEST,
        best_epoch=best.epoch,
        best_val_loss=best.val.loss,
        stopped_early=len(keeper.history) < options.epochs,
        history=tuple(keeper.history),
        hardware=describe(device),
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit torch to one thread: in small steps, synchronising threads takes longer than the work."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def _require_possible(job: TrainJob, device: Literal["cpu", "cuda"]) -> None:
    options = job.options
    if options.precision == "16-mixed" and device == "cpu":
        raise BadConfiguration("precision 16-mixed needs a GPU and there is none; choose 32-true or bf16-mixed")
    if options.batch_size % job.devices:
        raise BadConfiguration(
            f"batch_size {options.batch_size} cannot be shared by {job.devices} processes; "
            f"set it to a multiple of {job.devices}, or lower RETAKE_DEVICES"
        )
    if options.mixup and options.batch_size < 2 * job.devices:
        raise BadConfiguration(
            f"mixup needs two clips per process, and {job.devices} processes share batches of {options.batch_size}; "
            f"set batch_size to {2 * job.devices} or more, or lower RETAKE_DEVICES"
        )
    if device == "cuda" and job.devices > torch.cuda.device_count():
        raise BadConfiguration(
            f"RETAKE_DEVICES is {job.devices} and torch sees {torch.cuda.device_count()} GPU(s); lower it, or give this process more GPUs"
        )
    require_place(job.devices)


def _image_parts(job: TrainJob, device: Literal["cpu", "cuda"]) -> Parts:
    """Set up training the network on images."""
    network = synchronise_norms(job.network) if device == "cuda" and job.devices > 1 else job.network
    module = ActionModule(to_channels_last(network), job.options, job.train, has_objects=job.classes.has_objects)
    train, val = _datasets(job, partial(View.images, spec=job.network.spec))
    return module, _loader(job, device, train, _num_workers(job, device)), _loader(job, device, val, _num_workers(job, device))


def _feature_parts(job: TrainJob, device: Literal["cpu", "cuda"]) -> Parts:
    """Compute missing features, and set up training the heads on them."""
    assert job.features is not None  # noqa: S101 - for mypy; the caller has checked `caches_features`
    cache = training_features(job.features, job.network, job.options.precision)
    train, val = _datasets(job, lambda view: cache.read(view.name))
    rank = process_rank()
    compute_features(
        job.network,
        train.views(job.options.epochs) + val.views(1),
        cache,
        device=torch.device(device, rank) if device == "cuda" else torch.device(device),
        precision=job.options.precision,
        num_workers=_num_workers(job, device),
        place=rank / job.devices,
    )
    module = HeadModule(job.network, job.options, job.train, has_objects=job.classes.has_objects)
    # Reading a feature is faster than passing it between processes, so there are no workers.
    return module, _loader(job, device, train, 0), _loader(job, device, val, 0)


def _datasets(job: TrainJob, source: Callable[[View], torch.Tensor]) -> tuple[ClipDataset, ClipDataset]:
    options, spec = job.options, job.network.spec
    train = ClipDataset(
        job.train,
        spec,
        source,
        options.seed,
        num_views=options.feature_variants if options.trainable == "heads" else None,
        augmentation=Augmentation.of(options, spec.modality),
        balanced=options.sampler == "balanced",
        middle_frames=options.train_frames == "middle",
    )
    return train, ClipDataset(job.val, spec, source, num_crops=options.validation_crops)


def _num_workers(job: TrainJob, device: Literal["cpu", "cuda"]) -> int:
    default = 0 if device == "cpu" else min(MAX_WORKERS, max(1, len(os.sched_getaffinity(0)) // job.devices))
    return default if job.num_workers is None else job.num_workers


def _loader(job: TrainJob, device: Literal["cpu", "cuda"], dataset: ClipDataset, num_workers: int) -> DataLoader[Sample]:
    return make_loader(
        dataset,
        batch_size=job.options.batch_size // job.devices,
        num_workers=num_workers,
        pin_memory=device == "cuda",
        share=Share(process_rank(), job.devices),
    )


def _make_trainer(job: TrainJob, device: Literal["cpu", "cuda"], loggers: Sequence[Logger], callbacks: list[Callback]) -> pl.Trainer:
    options = job.options
    return pl.Trainer(
        accelerator=device,
        devices=job.devices,
        strategy="ddp" if job.devices > 1 else "auto",
        plugins=[LightningEnvironment()] if job.devices > 1 else None,
        use_distributed_sampler=False,  # EpochSampler distributes the clips
        precision=options.precision,
        accumulate_grad_batches=options.accumulate_batches,
        gradient_clip_val=options.clip_norm or None,
        max_epochs=options.epochs,
        check_val_every_n_epoch=options.validate_every,
        num_sanity_val_steps=0,
        # Some cuDNN kernels are nondeterministic; CPU kernels are not.
        deterministic="warn" if device == "cuda" else False,
        logger=[TensorBoardLogger(job.folder, name=TENSORBOARD, version=""), *loggers],
        log_every_n_steps=1,
        callbacks=callbacks,
        default_root_dir=job.folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _quieten_lightning() -> None:
    """Silence Lightning's info messages and the warnings that do not apply here."""
    # Info lines about devices and optional libraries; the step logs what matters.
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The number of workers is chosen by `num_workers`.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Partial batch-norm and frozen backbones are in evaluation mode on purpose.
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    # Lightning uses an API that torch has deprecated.
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
