"""Hear with a frozen network that was trained on libraries of sound effects.

It is X-Sequential-CE of "Representation Learning for the Automatic Indexing of Sound Effects Libraries" (ISMIR 2022), whose weights the
package `aisfx` brings under CC BY 4.0. Its code is not used: the network is rebuilt from its tensors, and the spectrogram is that of essentia,
which it was trained with.
"""

# n: samples, s: spectra, w: windows, b: bins of the spectrum, m: 96 mel bands

import codecs
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.errors import BadCheckpoint
from tasks.learn.sound.mel import mel_edges, to_mel, triangles
from tasks.learn.weights_file import UNREADABLE, first_line

RATE_HZ = 44_100
BLOCK_SAMPLES = 2048
HOP_SAMPLES = 1024
NUM_BANDS = 96
WINDOW_SPECTRA = 100
MAX_LEVEL = 9.457798957824707
"""Highest value in the network's training data. Spectrograms are divided by it."""

WINDOWS_AT_ONCE = 16

CHANNELS = (1, 64, 128, 256, 512)


class EffectsNetwork(nn.Module):
    """Hears windows: four pairs of convolutions, then the mean over bands and the maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        for number, (before, after) in enumerate(pairwise(CHANNELS), 1):
            self.add_module(f"conv_block{number}", _Pair(before, after))

    def forward(self, windows: Tensor) -> Tensor:
        """Compute the features (w, 512) of spectrograms (w, 100, m)."""
        found = windows[:, None]
        pairs = list(self.children())
        for pair in pairs:
            found = pair(found)
            if pair is not pairs[-1]:
                found = nn.functional.max_pool2d(found, 2)
        return found.mean(dim=3).amax(dim=2)


class _Pair(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)

    def forward(self, pictures: Tensor) -> Tensor:
        first = torch.relu(self.bn1(self.conv1(pictures)))
        return torch.relu(self.bn2(self.conv2(first)))


def load_effects(path: Path) -> EffectsNetwork:
    """Load the network from the file of `aisfx`, as weights only.

    Raises:
        BadCheckpoint: the file holds something else.
    """
    # Besides tensors the file counts the classes of its training data, in numbers of an old numpy.
    number = np.int64(0)
    numbers: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (cast(Callable[..., Any], number.__reduce__()[0]), "numpy.core.multiarray.scalar"),
        *(np.dtype, type(number.dtype), codecs.encode),
    ]
    network = EffectsNetwork()
    prefix = "embedding_net."
    try:
        with torch.serialization.safe_globals(numbers):
            weights, _ = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict({key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)})
    except UNREADABLE as error:
        raise BadCheckpoint(f"{path}: not the weights of aisfx 0.1.2 ({first_line(error)[:120]})") from None
    return network.eval().requires_grad_(False)


def hear(samples: NDArray[np.float32], starts_seconds: NDArray[np.float32], network: EffectsNetwork) -> NDArray[np.float32]:
    """Compute the features (w, 512) of the windows of sound (n,) at 44.1 kHz that begin at these times.

    Behind the end is silence. Equal windows are heard once.
    """
    spectrogram = nn.functional.pad(effects_spectrogram(samples), (0, 0, 0, WINDOW_SPECTRA))
    firsts, places = np.unique(np.rint(starts_seconds * RATE_HZ / HOP_SAMPLES).astype(int), return_inverse=True)
    windows = torch.stack([spectrogram[first : first + WINDOW_SPECTRA] for first in firsts])
    with torch.inference_mode():
        features = torch.cat([network(some) for some in torch.split(windows, WINDOWS_AT_ONCE)])
    return np.asarray(features.numpy()[places], np.float32)


def effects_spectrogram(samples: NDArray[np.float32]) -> Tensor:
    """Compute the spectrogram (s, m) of sound (n,) at 44.1 kHz: log10(1 + 10000 x) of the power x in bands, over `MAX_LEVEL`.

    Bands are triangles over mel, each of weight 1 in all.
    """
    half = BLOCK_SAMPLES // 2
    padded = nn.functional.pad(torch.from_numpy(samples), (half, BLOCK_SAMPLES))
    blocks = padded.unfold(0, BLOCK_SAMPLES, HOP_SAMPLES)[: -(-len(samples) // HOP_SAMPLES) + 1]
    window = torch.hann_window(BLOCK_SAMPLES, periodic=False)
    power = torch.fft.rfft(blocks * window).abs().square()
    return torch.log10(1 + 1e4 * (power @ _bands())) / MAX_LEVEL


@cache
def _bands() -> Tensor:
    """Return the weights (b, m)."""
    bins = np.linspace(0, RATE_HZ / 2, BLOCK_SAMPLES // 2 + 1)
    weights = triangles(to_mel(mel_edges(NUM_BANDS, RATE_HZ / 2)), to_mel(bins))
    return (weights / weights.sum(dim=1, keepdim=True)).T
