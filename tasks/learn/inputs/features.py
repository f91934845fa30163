"""Compute a frozen backbone's features once per dataset, and cache them on this machine's disk.

The cache key holds everything that a feature depends on. Trainings that differ only in the heads' options, such as learning rate, epochs or
batch size, share the cache.
"""

# b: batch, t: segments, f: features, c: channels, p: 8-bit planes of a snippet, h, w: pixels

import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tasks.disk import shortage
from tasks.errors import Unavailable
from tasks.keys import content_key, frames_made_by
from tasks.learn.hardware import within_gpu_memory
from tasks.learn.inputs.crops import Normalise
from tasks.learn.inputs.data import READ_AHEAD, View, errors_of_workers
from tasks.learn.networks.network import Network, in_channels_last, to_channels_last, weights_sha256
from tasks.learn.networks.spec import NetworkSpec

log = logging.getLogger(__name__)

VIEWS_VERSION = 1
"""Version of a `View`'s content. Increment it when `data`, `snippets` or `crops` change frames or augmentation."""

SECONDS_BETWEEN_LINES = 10
MIXED_PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""The backbone's autocast dtype by `TrainOptions.precision`; others mean float32."""

See = Callable[[Iterable[tuple[View, Tensor]]], Iterator[tuple[View, Tensor]]]
"""Runs a backbone on views, uint8 images (t, p, h, w) or features of sound (t, f), and yields float32 (t, f) of each, in any order."""

HEADER_BYTES = 128
PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
"""A partial file older than this belongs to a killed process."""


class FeatureCache:
    """Cached features of one backbone under `root`, one file per name.

    Several processes may write at the same time, and `root` may be deleted at any time. `shape` is that of an entry without its features
    dimension, `key` everything that features depend on besides the backbone with its current weights.
    """

    def __init__(self, root: Path, network: Network, shape: tuple[int, ...], key: Mapping[str, object]) -> None:
        spec = network.spec
        self.shape = (*shape, network.num_features)
        named = spec.model_dump(
            mode="json",
            include={"backbone", "num_segments", "sampling_window", "interpolation", "modality", "flow", "sound", "temporal_shift"},
        )
        made_by = {"input": asdict(network.input_format), "frames": frames_made_by(), "weights": weights_sha256(network.backbone)}
        seen = {"video": asdict(spec.video)} if spec.video else {}
        self.folder = root / content_key({**named, **made_by, **key, **seen})

    def path(self, name: str) -> Path:
        """Return the file of this name's features."""
        return self.folder / f"{name}.npy"

    def read(self, name: str) -> Tensor:
        """Read float32 of `shape`.

        Raises:
            Unavailable: the file is missing or damaged; a damaged file is removed, so that a retry computes it again.
        """
        path = self.path(name)
        try:
            features = np.load(path, allow_pickle=False)
            if (features.dtype, features.shape) != (np.float32, self.shape):
                raise ValueError(f"{features.dtype} {features.shape}")
        except (ValueError, EOFError) as error:
            path.unlink(missing_ok=True)
            raise Unavailable(f"{path}: a cached feature is damaged ({error}); a retry computes it again") from None
        except OSError as error:
            raise Unavailable(f"{path}: a cached feature is missing ({error}); a retry computes it again") from None
        return torch.from_numpy(features)

    def has(self, name: str) -> bool:
        """Check whether the features are cached completely."""
        try:
            return self.path(name).stat().st_size == self._file_bytes
        except OSError:
            return False

    def write(self, name: str, features: Tensor) -> None:
        """Write float32 of `shape` atomically.

        Raises:
            Unavailable: the disk is full.
        """
        partial = self.folder / f"{name}.{os.getpid()}{PARTIAL}"
        try:
            with partial.open("wb") as file:
                np.save(file, features.numpy(), allow_pickle=False)
            partial.replace(self.path(name))
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise Unavailable(
                f"{self.folder}: {error.strerror}; make room, or point RETAKE_CACHE_DIR to a larger disk, and retry"
            ) from error

    def make_room(self, num_files: int, advice: str = "make room, or point RETAKE_CACHE_DIR to a larger disk") -> None:
        """Create the folder, and remove partial files of killed processes.

        Raises:
            Unavailable: the disk has no room for `num_files` more files; the message ends in `advice`.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for partial in self.folder.glob(f"*{PARTIAL}"):
            with suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                    partial.unlink()
        if short := shortage(self.folder, num_files * self._file_bytes):
            raise Unavailable(f"{self.folder}: for the features of {num_files} views {short}; {advice}")

    @property
    def _file_bytes(self) -> int:
        return HEADER_BYTES + 4 * math.prod(self.shape)


class FeatureMemory:
    """Features that this process has read from caches, up to `max_bytes`; others are read anew."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._num_bytes = 0
        self._kept: dict[Path, Tensor] = {}

    def read(self, cache: FeatureCache, name: str) -> Tensor:
        """Return the features of this name, not to be modified; raises as `FeatureCache.read`."""
        path = cache.path(name)
        if path in self._kept:
            return self._kept[path]
        features = cache.read(name)
        if self._num_bytes + features.nbytes <= self.max_bytes:
            self._kept[path] = features
            self._num_bytes += features.nbytes
        return features


def training_features(root: Path, network: Network, precision: str) -> FeatureCache:
    """Open the cache under `root` for features (t, f) of views; `precision` as in `TrainOptions`."""
    return FeatureCache(
        root, network, (network.spec.num_segments,), {"precision": precision, "views": VIEWS_VERSION, "batch_norms": "folded"}
    )


def compute_features(
    see: See, spec: NetworkSpec, views: Sequence[View], cache: FeatureCache, *, num_workers: int, place: float = 0
) -> None:
    """Compute and cache missing features of views, by the backbone of the network of `spec`.

    It runs on one clip at a time, so that features do not depend on which others are missing. `num_workers` processes read and augment frames,
    or this one if 0. `place`, from 0 to 1, is where to start in the missing views; processes that start at different places share the work.

    Raises:
        BadDataset, MissingObject: frames cannot be read.
        Unavailable: the disk has no room for the features, or is full.
    """
    missing = [view for view in views if not cache.has(view.name)]
    if not missing:
        return
    cache.make_room(len(missing), "make room, point RETAKE_CACHE_DIR to a larger disk, or lower feature_variants")
    first = int(place * len(missing))
    missing = missing[first:] + missing[:first]
    num_cached, num_done = len(views) - len(missing), 0

    def needed() -> Iterator[tuple[View, Tensor]]:
        nonlocal num_done
        ahead = READ_AHEAD if num_workers else None
        loader = DataLoader(_Images(missing, spec, cache), batch_size=None, num_workers=num_workers, prefetch_factor=ahead)
        for view, images in zip(missing, loader, strict=True):
            if images.numel() and not cache.has(view.name):
                yield view, images
            else:
                num_done += 1

    started_at = logged_at = monotonic()
    with errors_of_workers():
        for view, features in see(needed()):
            cache.write(view.name, features)
            num_done, now = num_done + 1, monotonic()
            if now - logged_at >= SECONDS_BETWEEN_LINES and num_done < len(missing):
                left = (now - started_at) / num_done * (len(missing) - num_done)
                log.info("features of %d of %d views, %.0f s left", num_cached + num_done, len(views), left)
                logged_at = now
    log.info("features of %d views, %d of them cached before, %.0f s", len(views), num_cached, monotonic() - started_at)


def see_by_torch(
    network: Network, device: torch.device, precision: str, views: Iterable[tuple[View, Tensor]]
) -> Iterator[tuple[View, Tensor]]:
    """Run a network's backbone on views by PyTorch, as `See`; `precision` as in `TrainOptions`.

    The backbone moves to `device`, and back to the CPU at the end.
    """
    dtype, spec = MIXED_PRECISIONS.get(precision), network.spec
    with within_gpu_memory(f"the frames of a clip that {spec.title} sees at once"):
        backbone = to_channels_last(network).backbone.eval().to(device)
        normalise = Normalise(network.input_format).to(device)
        with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            for view, images in views:
                # All views of a clip at once may not fit into memory.
                parts = torch.split(images.to(device), 1 if spec.video else len(images))
                snippets = [part if spec.sound else in_channels_last(normalise(part)) for part in parts]
                yield view, torch.cat([backbone(snippet) for snippet in snippets]).float().cpu()
    backbone.cpu()


class _Images(Dataset[Tensor]):
    """Images of views as `View.images`, empty if another process has cached the features meanwhile."""

    def __init__(self, views: Sequence[View], spec: NetworkSpec, cache: FeatureCache) -> None:
        self.views = views
        self.spec = spec
        self.cache = cache

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> Tensor:
        view = self.views[index]
        return torch.empty(0) if self.cache.has(view.name) else view.images(self.spec)
