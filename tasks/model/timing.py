"""Time one batch to estimate the duration of a training before it starts."""

from dataclasses import dataclass
from time import monotonic
from typing import Literal

import torch

from tasks.errors import BadConfiguration
from tasks.model.backbones import CROP_PIXELS
from tasks.model.features import PRECISIONS
from tasks.model.hardware import choose_device, describe
from tasks.model.losses import CrossEntropies
from tasks.model.module import ActionModule
from tasks.model.network import Network, to_channels_last
from tasks.options import RecipeOptions, TrainOptions

MAX_CLIPS = 4
"""Maximum size of the timed batch; time is proportional to size."""


@dataclass(frozen=True)
class BatchTime:
    """Time of a batch and of its forward pass on a device."""

    num_clips: int
    seconds: float
    forward_seconds: float
    device: str

    def training_seconds(self, recipe: RecipeOptions, num_train: int, num_val: int) -> float:
        """Estimate the time of all epochs and validations."""
        one_epoch = self.seconds * num_train / self.num_clips
        one_validation = self.forward_seconds * num_val * recipe.validation_crops / self.num_clips
        return recipe.epochs * one_epoch + recipe.epochs // recipe.validate_every * one_validation


def time_batch(network: Network, options: TrainOptions, num_train: int, device: Literal["auto", "cpu", "cuda"]) -> BatchTime | None:
    """Train on a batch of noise twice, and time the second step; modifies `network`.

    Returns:
        the time, or None if this process has no such device or not enough memory; the training process may still have them.
    """
    try:
        kind = choose_device(device)
        return _time_steps(network, options, min(options.batch_size, num_train, MAX_CLIPS), kind)
    except (BadConfiguration, torch.OutOfMemoryError):
        return None


def _time_steps(network: Network, options: TrainOptions, num_clips: int, device: Literal["cpu", "cuda"]) -> BatchTime:
    spec = network.spec
    # Class weights need labels, and take no time.
    module = ActionModule(to_channels_last(network), options.model_copy(update={"class_weights": "none"}), ()).to(device)
    module.train()
    optimizer, criterion = module.make_optimizer(), CrossEntropies()
    shape = (num_clips, spec.num_segments, spec.snippet.num_planes, CROP_PIXELS, CROP_PIXELS)
    images = torch.randint(256, shape, dtype=torch.uint8, device=device)
    labels = torch.zeros(num_clips, dtype=torch.long, device=device)
    dtype = PRECISIONS.get(options.precision)
    for _ in range(2):
        started = _now(device)
        with torch.autocast(device, dtype=dtype, enabled=dtype is not None):
            loss = criterion(module.answer(module.see(images)), labels, labels).total.mean()
        seen = _now(device)
        loss.backward()
        optimizer.step()
        ended = _now(device)
    return BatchTime(num_clips, ended - started, seen - started, describe(device).device_name)


def _now(device: Literal["cpu", "cuda"]) -> float:
    """Return the time after the device has finished all queued work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return monotonic()
