"""Keeps features of a backbone on this machine's disk, by everything that they follow from."""

# t: segments, f: features

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
from tasks.errors import BadConfiguration, Unavailable
from tasks.keys import content_key, frames_made_by
from tasks.model import backbones
from tasks.model.network import Network, weights_sha256

HEADER_BYTES = 128
PARTIAL = ".partial"
ABANDONED_SECONDS = 24 * 3600
"""A file half written so long ago belongs to a process that was killed."""


class KeptFeatures:
    """The features of one backbone under `root`, a file per name. Processes may write the same folder at the same time.

    Args:
        root: folder of all kept features; it may be deleted at any time.
        network: whose backbone computes them, in evaluation mode, with the weights that it has now.
        shape: of the features of one name, the last dimension f left out.
        followed: what else the features follow from.
    """

    def __init__(self, root: Path, network: Network, shape: tuple[int, ...], followed: Mapping[str, object]) -> None:
        spec = network.spec
        self.shape = (*shape, backbones.find(spec.backbone).num_features)
        named = spec.model_dump(mode="json", include={"backbone", "num_segments", "modality", "flow", "temporal_shift"})
        made_by = {"input": asdict(network.input_format), "frames": frames_made_by(), "weights": weights_sha256(network.backbone)}
        self.folder = root / content_key({**named, **made_by, **followed})

    def path(self, name: str) -> Path:
        """Give the file of the features of this name."""
        return self.folder / f"{name}.npy"

    def read(self, name: str) -> Tensor:
        """Read float32 of `shape`.

        Raises:
            Unavailable: the file was taken away, or is damaged; it is then removed, so that a retry computes it again.
        """
        path = self.path(name)
        try:
            features = np.load(path, allow_pickle=False)
            if (features.dtype, features.shape) != (np.float32, self.shape):
                raise ValueError(f"{features.dtype} {features.shape}")
        except (ValueError, EOFError) as error:
            path.unlink(missing_ok=True)
            raise Unavailable(f"{path}: a kept feature was damaged ({error}); retry, and it is computed again") from None
        except OSError as error:
            raise Unavailable(f"{path}: a kept feature is gone ({error}); retry, and it is computed again") from None
        return torch.from_numpy(features)

    def has(self, name: str) -> bool:
        """Tell whether the features are there, in full."""
        try:
            return self.path(name).stat().st_size == self._file_bytes
        except OSError:
            return False

    def write(self, name: str, features: Tensor) -> None:
        """Keep float32 of `shape`; nobody ever reads half of it.

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

    def make_room(self, num_files: int) -> None:
        """Make the folder, and remove what killed processes left there.

        Raises:
            BadConfiguration: the disk is too small for this many more files.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for partial in self.folder.glob(f"*{PARTIAL}"):
            with suppress(FileNotFoundError):
                if time.time() - partial.stat().st_mtime > ABANDONED_SECONDS:
                    partial.unlink()
        if short := shortage(self.folder, num_files * self._file_bytes):
            raise BadConfiguration(
                f"{self.folder}: for the features of {num_files} views {short}; "
                "make room, point RETAKE_CACHE_DIR to a larger disk, or lower feature_variants"
            )

    @property
    def _file_bytes(self) -> int:
        return HEADER_BYTES + 4 * math.prod(self.shape)
