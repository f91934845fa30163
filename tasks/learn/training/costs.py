"""Measure a network's cost: parameters, operations, and times of batch, clip and remaining training."""

# k: crops, t: segments, c: channels, h, w: pixels, p: 8-bit planes of a snippet, f: features

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from time import monotonic, perf_counter

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import example_view, prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.hardware import Device, WantedDevice, choose_device, describe
from tasks.learn.inputs.crops import NumCrops
from tasks.learn.inputs.features import MIXED_PRECISIONS
from tasks.learn.networks.network import Network, to_channels_last
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec, trained_view
from tasks.learn.training.module import ActionModule
from tasks.learn.training.optimizer import CrossEntropies
from tasks.options import RecipeOptions, TrainOptions
from tasks.store.records.training import BatchTime
from tasks.wording import count, duration

log = logging.getLogger(__name__)

MAX_CLIPS = {"cpu": 1, "cuda": 4}
"""Maximum size of the timed batch. On a CPU, time is proportional to size."""

NUM_TIMED_CLIPS = 5
CLIP_WIDTH = 341
"""Width of a timed clip, in pixels: 16:9 at the short side of cached frames. Crops have one size, so it changes nothing."""

NUM_TIMED = 2
"""Number of batches timed for the first estimate, after the first one, which is slower."""

MIN_SECONDS = 10.0
"""Minimum time between two log lines; nothing is logged if less time remains."""

SHARE = 0.01
"""Time between two log lines, as a share of the remaining time. A training of days logs every few minutes."""


def time_batch(
    network: Network, options: TrainOptions, num_train: int, device: WantedDevice, known: BatchTime | None = None
) -> BatchTime | None:
    """Train on a batch of noise twice, and time the second step; modifies `network`.

    `known`, an earlier time, is returned if it is of this device. Returns None if this process has no such device or not enough memory; the
    training process may still have them.
    """
    try:
        kind = choose_device(device)
        if known and known.device == describe(kind).device_name:
            return known
        return _time_steps(network, options, min(options.batch_size, num_train, MAX_CLIPS[kind]), kind)
    except (BadConfiguration, torch.OutOfMemoryError):
        return None


def clip_seconds(network: Network, num_crops: NumCrops, device: WantedDevice) -> float:
    """Measure the median time from a clip's frames to its logits, in float32; modifies `network`.

    Raises:
        BadConfiguration: this machine has no such device, or not enough GPU memory.
    """
    spec = network.spec
    shape = spec.num_segments, SHORT_SIDE, CLIP_WIDTH, spec.snippet.num_planes
    frames = example_view(spec).numpy() if spec.sound else np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    engine = PytorchEngine(prepare(network, choose_device(device)), num_crops)
    seconds = []
    # The first clip allocates and fills caches.
    for _ in range(1 + NUM_TIMED_CLIPS):
        started = perf_counter()
        engine.score(frames)  # the logits lie on the CPU, so the GPU has finished
        seconds.append(perf_counter() - started)
    return median(seconds[1:])


def _time_steps(network: Network, options: TrainOptions, num_clips: int, device: Device) -> BatchTime:
    spec = network.spec
    # Class weights need labels, and take no time.
    options = options.model_copy(update={"class_weights": "none", "label_smoothing": 0.0})
    module = ActionModule(to_channels_last(network), options, ()).to(device)
    module.train()
    optimizer, criterion = module.make_optimizer(), CrossEntropies()
    num_snippets, pixels = trained_view(spec, options).num_segments, spec.crop_pixels
    shape = (num_clips, num_snippets, spec.snippet.num_planes, pixels, pixels)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    labels = torch.zeros(num_clips, dtype=torch.long, device=device)
    dtype = MIXED_PRECISIONS.get(options.precision)
    for _ in range(2):
        started = finished_at(device)
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = criterion(module.answer(module.see(images)), labels, labels).total.mean()
        seen = finished_at(device)
        loss.backward()
        optimizer.step()
        ended = finished_at(device)
    # A validation shows all views of a video network, a training step one.
    forward_seconds = (seen - started) * spec.num_segments / num_snippets
    return BatchTime(num_clips=num_clips, seconds=ended - started, forward_seconds=forward_seconds, device=describe(device).device_name)


@dataclass(frozen=True)
class Complexity:
    """Size of one network, or of several together.

    `num_flops` are floating-point operations per clip, independent of engine and precision, of convolutions and matrix products alone; a
    multiply-add counts as two.
    """

    num_parameters: int
    num_flops: int


def complexity(specs: Iterable[NetworkSpec], num_crops: NumCrops, joint: NetworkSpec | None = None) -> Complexity:
    """Sum the complexity of networks for a clip with `num_crops` crops, without computing anything.

    `joint` describes the head that answers in place of those of the networks.
    """
    specs = list(specs)
    sizes = [_of_backbone(spec, num_crops) for spec in specs]
    sizes += [_of_head(spec, num_crops) for spec in ([joint] if joint else specs)]
    return Complexity(sum(size.num_parameters for size in sizes), sum(size.num_flops for size in sizes))


def _of_backbone(spec: NetworkSpec, num_crops: NumCrops) -> Complexity:
    backbone = Network(spec).eval().to("meta").backbone
    view = example_view(spec).to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        backbone(view)
    num_passes = spec.num_crops(num_crops) * spec.num_segments // len(view)
    return Complexity(_num_parameters(backbone), num_passes * counted.get_total_flops())


def _of_head(spec: NetworkSpec, num_crops: NumCrops) -> Complexity:
    network = Network(spec).eval().to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        network.head(torch.empty(1, spec.num_segments, network.num_features, device="meta"))
    # Engines run linear heads once, on the mean over crops.
    num_passes = 1 if network.head.is_linear else spec.num_crops(num_crops)
    return Complexity(_num_parameters(network.head), num_passes * counted.get_total_flops())


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@dataclass(eq=False, repr=False)
class RemainingTime(Callback):
    """Logs the estimated total time after the first batches, and regularly the remaining time.

    Batches are estimated by their mean in this process, validations by the last one. Until there is one, a validation is estimated by the
    forward pass of training, times the number of crops and `num_views`: views that a validation shows of a clip for each that training shows.
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
