"""Cache backbone features on this machine's disk, keyed by everything that they depend on."""

# t: segments, p: patches, f: features

import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tasks.disk import shortage
from tasks.errors import Unavailable
from tasks.keys import content_key, frames_made_by
from tasks.learn.network import Network, weights_sha256

HEADER_BYTES = 128
PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
"""A partial file older than this belongs to a killed process."""


class FeatureCache:
    """Cached features of one backbone under `root`, one file per name.

    Several processes may write at the same time.

    Args:
        root: folder of the feature cache; may be deleted at any time.
        network: its backbone computes the features, in evaluation mode, with its current weights.
        shape: shape of one entry, without the last dimensions, those of a segment's features.
        key: everything else that the features depend on.
    """

    def __init__(self, root: Path, network: Network, shape: tuple[int, ...], key: Mapping[str, object]) -> None:
        spec = network.spec
        self.shape = (*shape, *network.feature_shape)
        named = spec.model_dump(
            mode="json",
            include={"backbone", "num_segments", "sampling_window", "interpolation", "modality", "flow", "sound", "temporal_shift"},
        )
        made_by = {"input": asdict(network.input_format), "frames": frames_made_by(), "weights": weights_sha256(network.backbone)}
        seen = {"patches": True} if spec.sees_patches else {"video": asdict(spec.video)} if spec.video else {}
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

        Args:
            num_files: number of files that will be written.
            advice: the remedy, if the disk is too small.

        Raises:
            Unavailable: the disk has no room for `num_files` more files.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for partial in self.folder.glob(f"*{PARTIAL}"):
            with suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                    partial.unlink()
        if short := shortage(self.folder, self.num_bytes(num_files)):
            raise Unavailable(f"{self.folder}: for the features of {num_files} views {short}; {advice}")

    def num_bytes(self, num_files: int) -> int:
        """Compute how much room this number of files takes."""
        return num_files * self._file_bytes

    @property
    def _file_bytes(self) -> int:
        return HEADER_BYTES + 4 * math.prod(self.shape)


class FeatureMemory:
    """Features that this process has read from caches, up to `max_bytes`.

    The rest is read anew each time.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._num_bytes = 0
        self._kept: dict[Path, Tensor] = {}

    def read(self, cache: FeatureCache, name: str) -> Tensor:
        """Return the features of this name, not to be modified.

        See `FeatureCache.read` for shape and errors.
        """
        path = cache.path(name)
        if path in self._kept:
            return self._kept[path]
        features = cache.read(name)
        if self._num_bytes + features.nbytes <= self.max_bytes:
            self._kept[path] = features
            self._num_bytes += features.nbytes
        return features
