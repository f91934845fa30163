"""Golden inputs, and networks and clips small enough to train in a second."""

import argparse
import hashlib
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.network import Network
from tests.learn.tiny import epic_key, outspoken, save_noise, tiny


@pytest.fixture
def tiny_network() -> Network:
    return Network(tiny(), seed=1)


@pytest.fixture
def outspoken_network(tiny_network: Network) -> Network:
    return outspoken(tiny_network)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[CachedClip]:
    """Six clips of noise, 20 frames each."""
    return save_noise(tmp_path_factory.mktemp("frames"), [20] * 6)


@pytest.fixture
def hashed(tmp_path: Path) -> Callable[[object, str], Path]:
    """Save a checkpoint under a name that ends in its own hash, as PyTorch's hub and EPIC do."""

    def write(content: object, stem: str = "TSN") -> Path:
        path = tmp_path / "content"
        # EPIC's files are older than torch's zip format.
        torch.save(content, path, _use_new_zipfile_serialization=False)
        return path.rename(tmp_path / f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth.tar")

    return write


@pytest.fixture(scope="session")
def golden_frames() -> Callable[[int, int, int], NDArray[np.uint8]]:
    """The reference's eight frames of a clip at short side 256: (seed, height, width) -> uint8 (8, h, w, 3)."""

    def make(seed: int, height: int, width: int) -> NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        scale = 256 / min(height, width)
        size = (int(width * scale), int(height * scale))
        frames = []
        for _ in range(8):
            small = Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8))
            frames.append(np.asarray(small.resize((width, height), Image.Resampling.BICUBIC).resize(size, Image.Resampling.BILINEAR)))
        return np.stack(frames)

    return make


@pytest.fixture(scope="module")
def golden_state() -> Callable[[Network], dict[str, torch.Tensor]]:
    """A state dict under EPIC's names, every value following from the name, as the reference logits were computed with."""

    @cache
    def tensor_of(key: str, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        return torch.from_numpy(np.asarray(value(key, shape))).to(dtype)

    def value(key: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        leaf = key.rsplit(".", 1)[-1]
        if leaf == "num_batches_tracked":
            return np.zeros(shape)
        if leaf == "running_var":
            return rng.uniform(0.5, 1.5, shape)
        if leaf in ("running_mean", "bias"):
            return rng.normal(0, 0.1, shape)
        if len(shape) == 1:
            return rng.uniform(0.5, 1.0, shape)
        return rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape)

    def make(network: Network) -> dict[str, torch.Tensor]:
        state = {}
        for ours, tensor in network.state_dict().items():
            theirs = epic_key(ours)
            state[theirs] = tensor_of(theirs, tuple(tensor.shape), tensor.dtype)
        return state

    return make


@pytest.fixture
def epic_content(golden_state) -> Callable[[Network], dict[str, object]]:
    """Make the content of EPIC's file of a network."""

    def make(network: Network) -> dict[str, object]:
        spec = network.spec
        return {
            "model_type": spec.family.lower(),
            "epoch": 80,
            "segment_count": spec.num_segments,
            "modality": {"rgb": "RGB", "flow": "Flow"}[spec.modality],
            "arch": {"bninception": "BNInception"}.get(spec.backbone, spec.backbone),
            "consensus_type": "avg",
            "state_dict": golden_state(network),
            "args": argparse.Namespace(lr=0.01),
        }

    return make
