"""Compute mel spectrograms of sound."""

# n: samples, s: spectra, b: bins of the spectrum, m: mel bands

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.learn.sound.grid import FFT_SAMPLES, HOP_SAMPLES, NUM_MELS, SPECTRUM_RATE_HZ, SPECTRUM_SAMPLES

LOG_FLOOR = 1e-6


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the spectrogram (s, 128) of sound (n,) at 24 kHz, as the published audio networks of EPIC-KITCHENS see it.

    The natural logarithm of the magnitudes in triangular bands that are equally wide on HTK's mel scale. Spectra are centred at their times;
    beyond the ends is silence.
    """
    window = torch.hann_window(SPECTRUM_SAMPLES)
    spectrum = torch.stft(
        torch.from_numpy(samples), FFT_SAMPLES, HOP_SAMPLES, SPECTRUM_SAMPLES, window, pad_mode="constant", return_complex=True
    )
    bands = _epic_bands() @ spectrum.abs()
    return np.asarray(torch.log(bands + LOG_FLOOR).T.contiguous().numpy(), np.float32)


@cache
def _epic_bands() -> Tensor:
    """Return the weights (m, b) of triangles over frequencies with a height of 1."""
    edges = mel_edges(NUM_MELS, SPECTRUM_RATE_HZ / 2)
    return triangles(edges, np.linspace(0, SPECTRUM_RATE_HZ / 2, FFT_SAMPLES // 2 + 1))


def mel_edges(num_bands: int, max_hz: float) -> NDArray[np.float64]:
    """List the m + 2 edges of bands that are equally wide in mel, in Hz."""
    return 700 * (10 ** (np.linspace(0, to_mel(np.array(max_hz)), num_bands + 2) / 2595) - 1)


def to_mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert frequencies to HTK's mel."""
    return 2595 * np.log10(1 + hz / 700)


def triangles(edges: NDArray[np.float64], bins: NDArray[np.float64]) -> Tensor:
    """Make the weights (m, b) of triangles that rise from an edge to the next, and fall to the one after it."""
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))
