"""Describe the sound of a clip by its spectrogram and its features.

Does not import torch.
"""

# n: samples, s: spectra, w: windows, f: features, b: bins of the spectrum, m: mel bands

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tasks.learn.inputs.clip_files import Sound
from tasks.learn.networks.sound_recipe import (
    FFT_SAMPLES,
    HOP_SAMPLES,
    NUM_MELS,
    SPECTRA_PER_SECOND,
    SPECTRUM_RATE_HZ,
    SPECTRUM_SAMPLES,
    WINDOW_SECONDS,
    num_spectra,
    window_starts,
)
from tasks.store.records.video import SoundState

SILENT_PEAK = 1e-4
"""-80 dB of full scale. Sound that is never louder is silence: 16 bits end at -90 dB."""

WINDOW_SPECTRA = round(WINDOW_SECONDS * SPECTRA_PER_SECOND)
LOG_FLOOR = 1e-6


def describe(samples: NDArray[np.float32], *, seconds: float, state: SoundState, reason: str = "") -> Sound:
    """Describe the sound of a clip.

    The same samples give the same description on the same machine.

    Args:
        samples: float32 (n,) of the whole clip at `SPECTRUM_RATE_HZ`.
        seconds: length of the clip.
        state: HEARD, which becomes SILENT if there is only silence; or why there is no sound.
        reason: the part that is missing, in plain words.
    """
    spectra = log_mel(samples).astype(np.float16)
    assert len(spectra) == num_spectra(seconds)  # noqa: S101 - samples of another length would be out of step with the picture
    if state is SoundState.HEARD and np.abs(samples).max() <= SILENT_PEAK:
        state, reason = SoundState.SILENT, reason or "its sound is silence"
    starts = window_starts(seconds)
    return Sound(spectra, _statistics(spectra, starts), starts, state, reason)


def _statistics(spectra: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the mean and the deviation (w, 2 m) of each band in each window."""
    padded = np.pad(spectra.astype(np.float32), ((0, WINDOW_SPECTRA), (0, 0)), constant_values=np.log(LOG_FLOOR))
    firsts = np.rint(starts * SPECTRA_PER_SECOND).astype(int)
    windows = [padded[first : first + WINDOW_SPECTRA] for first in firsts]
    return np.stack([np.concatenate([window.mean(axis=0), window.std(axis=0)]) for window in windows])


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the spectrogram (s, 128) of sound (n,) at 24 kHz, as the published audio networks of EPIC-KITCHENS see it.

    The natural logarithm of the magnitudes in triangular bands that are equally wide on HTK's mel scale. Spectra are centred at their times;
    beyond the ends is silence.
    """
    pieces = sliding_window_view(np.pad(samples, SPECTRUM_SAMPLES // 2), SPECTRUM_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(SPECTRUM_SAMPLES + 1)[:-1].astype(np.float32)
    magnitudes = np.abs(np.fft.rfft(pieces * window, FFT_SAMPLES))
    return np.asarray(np.log(magnitudes @ _bands() + LOG_FLOOR), np.float32)


@cache
def _bands() -> NDArray[np.float32]:
    """Return the weights (b, m) of triangles over frequencies with a height of 1."""
    max_hz = SPECTRUM_RATE_HZ / 2
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + max_hz / 700), NUM_MELS + 2) / 2595) - 1)
    bins = np.linspace(0, max_hz, FFT_SAMPLES // 2 + 1)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
