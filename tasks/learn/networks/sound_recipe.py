"""Set how sound is described: its times, the number of its features and its key.

Does not import torch.

Spectra are those of the published audio networks of EPIC-KITCHENS: 24 kHz, 10 ms long, one every 5 ms. Windows are 2.32 s long, and one every
250 ms: 32 in a clip of 8 s. A window lies around its own quarter of a second, moved into the clip where it would reach beyond an end; in a
shorter clip it begins at 0 and ends in silence. So the first windows of a clip are equal, as are the last.
"""

import numpy as np
from numpy.typing import NDArray

from tasks.keys import content_key, installed

SPECTRUM_RATE_HZ = 24_000
NUM_MELS = 128
NUM_SOUND_FEATURES = 2 * NUM_MELS
"""Of a window: mean and deviation of each band."""

FFT_SAMPLES = 2048
SPECTRUM_SAMPLES = 240
HOP_SAMPLES = 120
SPECTRA_PER_SECOND = SPECTRUM_RATE_HZ / HOP_SAMPLES
WINDOW_SECONDS = 100 * 1024 / 44_100
WINDOWS_PER_SECOND = 4
VERSION = 1
"""Counts changes of the descriptions that are stored under a recipe."""


def num_samples(seconds: float, rate_hz: int) -> int:
    """Count the samples of a clip."""
    return max(1, round(seconds * rate_hz))


def num_spectra(seconds: float) -> int:
    """Count the spectra of a clip, the first centred at its start, the last at or before its end."""
    return 1 + num_samples(seconds, SPECTRUM_RATE_HZ) // HOP_SAMPLES


def num_windows(seconds: float) -> int:
    """Count the windows of a clip."""
    return max(1, round(seconds * WINDOWS_PER_SECOND))


def window_starts(seconds: float) -> NDArray[np.float32]:
    """List the start of each window in seconds, in order; `tasks.learn.inputs.sampling` takes windows as frames."""
    around = (np.arange(num_windows(seconds)) + 0.5) / WINDOWS_PER_SECOND
    last = max(0.0, seconds - WINDOW_SECONDS)
    return np.clip(around - WINDOW_SECONDS / 2, 0, last).astype(np.float32)


def sound_key() -> str:
    """Compute the key of described sound, which the installed PyAV decoded."""
    # `network` and `speech` keep the key of stored descriptions.
    return content_key({"network": None, "speech": None, "version": VERSION, "av": installed("av")})
