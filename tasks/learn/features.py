"""Compute a frozen backbone's features once per dataset, and cache them for training heads.

The cache key holds everything that a feature depends on: the backbone's weights and input format, the clip's frames and their decoder, the
view and how views are drawn. Trainings that differ only in the heads' options, such as learning rate, epochs or batch size, share the cache.
"""

# b: batch, t: segments, f: features, c: channels, p: patches, h, w: pixels

import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tasks.learn.crops import Normalise
from tasks.learn.data import View
from tasks.learn.feature_cache import FeatureCache
from tasks.learn.network import Network, in_channels_last, to_channels_last
from tasks.learn.spec import NetworkSpec
from tasks.wording import size

log = logging.getLogger(__name__)

VIEWS_VERSION = 1
"""Version of a `View`'s content. Increment it when `data`, `sampling`, `crops` or `augmentation` change frames or augmentation."""

SECONDS_BETWEEN_LINES = 10
PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""The backbone's autocast dtype by `TrainOptions.precision`; float32 for any other value."""


def training_features(root: Path, network: Network, precision: str) -> FeatureCache:
    """Open the cache under `root` for features (t, f), or (t, p, f), of views; `precision` as in `TrainOptions`."""
    return FeatureCache(root, network, (network.spec.num_segments,), {"precision": precision, "views": VIEWS_VERSION})


def compute_features(
    network: Network,
    views: Sequence[View],
    cache: FeatureCache,
    *,
    device: torch.device,
    precision: str,
    num_workers: int,
    place: float = 0,
) -> None:
    """Compute and cache missing features; moves the backbone to `device` and back to the CPU.

    The backbone runs on one clip at a time, so that features do not depend on which others are missing.

    Args:
        network: its backbone computes the features.
        views: views whose features are needed.
        cache: the features' cache, opened for `network`.
        device: where the backbone runs.
        precision: as in `TrainOptions`.
        num_workers: processes that read and augment frames; 0 uses this process.
        place: where to start in the missing views, from 0 to 1; processes that start at different places share the work.

    Raises:
        BadDataset, MissingObject: frames cannot be read.
        Unavailable: the disk has no room for the features, or is full.
    """
    missing = [view for view in views if not cache.has(view.name)]
    if not missing:
        return
    cache.make_room(len(missing), "make room, point RETAKE_CACHE_DIR to a larger disk, or lower feature_variants")
    if network.spec.sees_patches:
        log.info("features of patches take %s on the disk", size(cache.num_bytes(len(missing))))
    first = int(place * len(missing))
    missing = missing[first:] + missing[:first]
    backbone = to_channels_last(network).backbone.eval().to(device)
    normalise = Normalise(network.input_format).to(device)
    loader = DataLoader(_Images(missing, network.spec, cache), batch_size=None, num_workers=num_workers)
    progress = _Progress(len(views), len(views) - len(missing))
    dtype = PRECISIONS.get(precision)
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        for index, images in enumerate(loader):
            if images.numel() and not cache.has(missing[index].name):
                # All views of a clip at once may not fit into memory.
                parts = images.to(device).split(1 if network.spec.video else len(images))
                snippets = [part if network.spec.sound else in_channels_last(normalise(part)) for part in parts]
                features = torch.cat([backbone(one) for one in snippets]).reshape(cache.shape).float().cpu()
                is_silent = network.spec.modality.is_heard and not images.any()
                cache.write(missing[index].name, torch.zeros_like(features) if is_silent else features)
            progress.report(index + 1)
    backbone.cpu()


class _Images(Dataset[Tensor]):
    """Images uint8 (t, p, h, w) of views, or features of sound (t, f).

    Empty if another process has cached the features meanwhile.
    """

    def __init__(self, views: Sequence[View], spec: NetworkSpec, cache: FeatureCache) -> None:
        self.views = views
        self.spec = spec
        self.cache = cache

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> Tensor:
        view = self.views[index]
        return torch.empty(0) if self.cache.has(view.name) else view.images(self.spec)


class _Progress:
    """Logs the progress every ten seconds and at the end."""

    def __init__(self, num_views: int, num_cached: int) -> None:
        self.num_views = num_views
        self.num_cached = num_cached
        self.started_at_seconds = self.logged_at_seconds = monotonic()

    def report(self, num_computed: int) -> None:
        """Log the progress if it is due."""
        now, num_done = monotonic(), self.num_cached + num_computed
        elapsed = now - self.started_at_seconds
        if num_done == self.num_views:
            log.info("features of %d views, %d of them cached before, %.0f s", self.num_views, self.num_cached, elapsed)
        elif now - self.logged_at_seconds >= SECONDS_BETWEEN_LINES:
            left = elapsed / num_computed * (self.num_views - num_done)
            log.info("features of %d of %d views, %.0f s left", num_done, self.num_views, left)
            self.logged_at_seconds = now
