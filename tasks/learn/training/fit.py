"""Fine-tune a network from labelled clips to the best checkpoint, resuming an interrupted run."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback, EarlyStopping

from tasks.errors import BadConfiguration
from tasks.learn.hardware import Device, Hardware, choose_device, describe, within_gpu_memory
from tasks.learn.inputs.data import errors_of_workers
from tasks.learn.networks.checkpoints import save_joined
from tasks.learn.networks.spec import trained_view
from tasks.learn.training.costs import RemainingTime
from tasks.learn.training.epochs import BEST, LAST, EpochFiles, EpochKeeper, EpochRecord
from tasks.learn.training.job import Setup, TrainJob, cached_features, set_up_heads, set_up_images
from tasks.learn.training.processes import EndOnSigterm, end_with_starter, failing_together, process_rank, require_rank
from tasks.options import Head

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainOutcome:
    """Result of a training; the history includes earlier calls, only the first process has `best`."""

    best: Path
    best_epoch: int
    best_val_loss: float
    stopped_early: bool
    history: tuple[EpochRecord, ...]
    hardware: Hardware


def fit(job: TrainJob, *, on_epoch: Callable[[EpochFiles], None] | None = None) -> TrainOutcome:
    """Train to the end, resuming if possible; each of several processes calls it.

    Args:
        job: network, data, options and device.
        on_epoch: called in the first process once the files of an epoch, or of several quick ones, are written; an exception ends training.

    Raises:
        BadConfiguration: the options do not fit this machine or the data, or the validation loss was never finite.
        BadDataset: there is nothing to train or validate on, or frames cannot be read.
        Unavailable: this process received SIGTERM.
        RetakeError: another process failed; its exit code determines the class. Lightning kills this process within five seconds of the
            failure if it cannot notice, waiting for the start of all or for a GPU.
    """
    # The set-up fits a probe, and its one epoch only scores it.
    job = replace(job, options=job.options.as_trained())
    device = choose_device(job.device)
    require_possible(job, device)
    if job.devices > 1:
        end_with_starter()  # so that none of the processes outlives the first
    job.folder.mkdir(parents=True, exist_ok=True)
    setup = set_up_heads(job, device, cached_features(job, device)) if job.caches_features else set_up_images(job, device)
    with one_thread() if job.caches_features else nullcontext():
        keeper, best_epoch, best_val_loss = run_epochs(job, device, setup, on_epoch=on_epoch)
    if process_rank() == 0:
        keeper.write_best()
        if job.joined:
            # Into the same file: the head is of no use without the networks that it joins.
            save_joined(job.folder / BEST, [member.network for member in job.joined], job.network, job.classes)
    return TrainOutcome(
        best=job.folder / BEST,
        best_epoch=best_epoch,
        best_val_loss=best_val_loss,
        stopped_early=keeper.stopped_early,
        history=tuple(keeper.history),
        hardware=describe(device),
    )


def run_epochs(
    job: TrainJob, device: Device, setup: Setup, *, on_epoch: Callable[[EpochFiles], None] | None = None, writes: bool = True
) -> tuple[EpochKeeper, int, float]:
    """Run the remaining epochs of a job; return keeper, best epoch, and its loss.

    Without `writes` there is no checkpoint.

    Raises:
        BadConfiguration, Unavailable, RetakeError: as `fit`.
    """
    options = job.options
    setup.module.train()
    early_stopping = EarlyStopping("val/loss", patience=options.patience, check_on_train_epoch_end=False) if options.patience else None
    keeper = EpochKeeper(
        folder=job.folder,
        network=job.network,
        classes=job.classes,
        options=options,
        reported=setup.module.reported,
        early_stopping=early_stopping,
        on_epoch=on_epoch,
        caches_features=job.caches_features,
        writes=writes,
    )
    last = job.folder / LAST
    resumed = last if last.exists() else None
    if resumed:
        log.info("resuming from %s", resumed)
    with warnings.catch_warnings():
        _quieten_lightning()
        # A video network may learn from one view of a clip, and validation shows all.
        num_views = job.network.spec.num_segments // trained_view(job.network.spec, options).num_segments
        ending = EndOnSigterm()
        callbacks = [ending, RemainingTime(options, len(job.train), len(job.val), num_views), keeper]
        callbacks += [early_stopping] if early_stopping else []
        trainer = _make_trainer(job, device, callbacks)
        # If this process fails, so do the others, and the other way round.
        remedy = "lower batch_size, choose precision bf16-mixed, or train less of the network by trainable"
        with failing_together(trainer, ending), errors_of_workers(), within_gpu_memory(f"batches of {options.batch_size} clips", remedy):
            trainer.fit(setup.module, setup.train_loader, setup.val_loader, ckpt_path=resumed, weights_only=True)
    best = keeper.best
    if best is None or best.val is None:
        raise BadConfiguration(f"the validation loss was never finite at learning rate {options.learning_rate}; lower it")
    return keeper, best.epoch, best.val.loss


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit torch to one thread: in small steps, synchronising threads takes longer than the work."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)


def require_possible(job: TrainJob, device: Device) -> None:
    """Raise BadConfiguration unless the options fit this machine."""
    options = job.options
    options.require_current("the training")
    if options.head is Head.PROBE and not job.caches_features:
        raise BadConfiguration("head probe is fitted on cached features; set trainable to heads, and name a folder for the features")
    if options.precision == "16-mixed" and device == "cpu":
        raise BadConfiguration("precision 16-mixed needs a GPU and there is none; choose 32-true or bf16-mixed")
    if options.batch_size % job.devices:
        raise BadConfiguration(
            f"batch_size {options.batch_size} cannot be shared by {job.devices} processes; "
            f"set it to a multiple of {job.devices}, or lower RETAKE_DEVICES"
        )
    if device == "cuda" and job.devices > torch.cuda.device_count():
        raise BadConfiguration(
            f"RETAKE_DEVICES is {job.devices} and torch sees {torch.cuda.device_count()} GPU(s); lower it, or give this process more GPUs"
        )
    require_rank(job.devices)


def _make_trainer(job: TrainJob, device: Device, callbacks: list[Callback]) -> pl.Trainer:
    options = job.options
    return pl.Trainer(
        accelerator=device,
        devices=job.devices,
        strategy="ddp" if job.devices > 1 else "auto",
        plugins=[LightningEnvironment()] if job.devices > 1 else None,
        use_distributed_sampler=False,  # EpochSampler distributes the clips
        precision=options.precision,
        accumulate_grad_batches=options.accumulate_batches,
        max_epochs=options.epochs,
        check_val_every_n_epoch=options.validate_every,
        num_sanity_val_steps=0,
        # Some cuDNN kernels are nondeterministic; CPU kernels are not.
        deterministic="warn" if device == "cuda" else False,
        logger=False,
        callbacks=callbacks,
        default_root_dir=job.folder,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _quieten_lightning() -> None:
    """Silence Lightning's info messages and the warnings that do not apply here."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # `job` chooses the number of workers.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    # Partial batch-norm and frozen backbones are in evaluation mode on purpose.
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")
    # Lightning uses an API that torch has deprecated.
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated", category=FutureWarning)
