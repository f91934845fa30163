"""Time a batch to estimate a training's duration, and a clip for latency.

The estimate is made before the training starts.
"""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

from statistics import median
from time import monotonic, perf_counter
from typing import Literal

import numpy as np
import torch

from tasks.errors import BadConfiguration
from tasks.learn.backbones import crop_pixels
from tasks.learn.crops import NumCrops
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.features import PRECISIONS
from tasks.learn.hardware import choose_device, describe
from tasks.learn.hearing import example_input
from tasks.learn.losses import CrossEntropies
from tasks.learn.module import ActionModule
from tasks.learn.network import Network, to_channels_last
from tasks.learn.spec import SHORT_SIDE, trained_view
from tasks.options import TrainOptions
from tasks.store.records.training import BatchTime

MAX_CLIPS = {"cpu": 1, "cuda": 4}
"""Maximum size of the timed batch. On a CPU, time is proportional to size."""

NUM_TIMED_CLIPS = 5
CLIP_WIDTH = 341
"""Width of a timed clip, in pixels: 16:9 at the short side of cached frames. Crops have one size, so it changes nothing."""


def time_batch(
    network: Network, options: TrainOptions, num_train: int, device: Literal["auto", "cpu", "cuda"], known: BatchTime | None = None
) -> BatchTime | None:
    """Train on a batch of noise twice, and time the second step; modifies `network`.

    Args:
        network: it is modified.
        options: of the training.
        num_train: number of training clips.
        device: of the training.
        known: an earlier time, which is returned if it is of this device.

    Returns:
        the time, or None if this process has no such device or not enough memory; the training process may still have them.
    """
    try:
        kind = choose_device(device)
        if known and known.device == describe(kind).device_name:
            return known
        return _time_steps(network, options, min(options.batch_size, num_train, MAX_CLIPS[kind]), kind)
    except (BadConfiguration, torch.OutOfMemoryError):
        return None


def clip_seconds(network: Network, num_crops: NumCrops, device: Literal["auto", "cpu", "cuda"]) -> float:
    """Measure the median time from a clip's frames to its logits.

    With PyTorch in float32; modifies `network`.

    Raises:
        BadConfiguration: this machine has no such device, or not enough GPU memory.
    """
    spec = network.spec
    shape = spec.num_segments, SHORT_SIDE, CLIP_WIDTH, spec.snippet.num_planes
    frames = example_input(spec) if spec.modality.is_heard else np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    engine = PytorchEngine(prepare(network, choose_device(device)), num_crops)
    seconds = []
    try:
        # The first clip allocates and fills caches.
        for _ in range(1 + NUM_TIMED_CLIPS):
            started = perf_counter()
            engine.score(frames)  # the logits lie on the CPU, so the GPU has finished
            seconds.append(perf_counter() - started)
    except torch.OutOfMemoryError:
        raise BadConfiguration(f"{spec.title} with {num_crops} crops does not fit into the GPU's memory; set RETAKE_DEVICE=cpu") from None
    return median(seconds[1:])


def _time_steps(network: Network, options: TrainOptions, num_clips: int, device: Literal["cpu", "cuda"]) -> BatchTime:
    spec = network.spec
    # Class weights need labels, and take no time.
    module = ActionModule(to_channels_last(network), options.model_copy(update={"class_weights": "none"}), ()).to(device)
    module.train()
    optimizer, criterion = module.make_optimizer(), CrossEntropies()
    num_snippets, pixels = trained_view(spec, options).num_segments, crop_pixels(spec)
    shape = (num_clips, num_snippets, spec.snippet.num_planes, pixels, pixels)
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
    # A validation shows all views of a video network, a training step one.
    forward_seconds = (seen - started) * spec.num_segments / num_snippets
    return BatchTime(num_clips=num_clips, seconds=ended - started, forward_seconds=forward_seconds, device=describe(device).device_name)


def _now(device: Literal["cpu", "cuda"]) -> float:
    """Return the time after the device has finished all queued work."""
    if device == "cuda":
        torch.cuda.synchronize()
    return monotonic()
