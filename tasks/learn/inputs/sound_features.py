"""Describe a clip's sound by its spectrogram and features, in a file. Imports no torch.

Spectra are those of the published audio networks of EPIC-KITCHENS: 24 kHz, 10 ms long, one every 5 ms. Windows are 2.32 s long, and one
every 250 ms: 32 in a clip of 8 s. A window lies around its own quarter of a second, moved into the clip where it would reach beyond an end;
in a shorter clip it begins at 0 and ends in silence. So the first windows of a clip are equal, as are the last.
"""

# n: samples, s: spectra, w: windows, f: features, b: bins of the spectrum, m: mel bands

import zipfile
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tasks.errors import BadVideo
from tasks.keys import content_key, installed
from tasks.learn.networks.spec import NUM_MELS
from tasks.store.records.video import SoundState

SPECTRUM_RATE_HZ = 24_000
FFT_SAMPLES = 2048
SPECTRUM_SAMPLES = 240
HOP_SAMPLES = 120
SPECTRA_PER_SECOND = SPECTRUM_RATE_HZ / HOP_SAMPLES
WINDOW_SECONDS = 100 * 1024 / 44_100
WINDOWS_PER_SECOND = 4
VERSION = 1
"""Counts changes of the descriptions that are stored under a recipe."""

SOUND_SUFFIX = ".npz"
QUIETEST, LOUDEST = np.log(1e-6), 7.0
"""Limits of the logarithms that 8 bits hold, from silence to a tone at full scale."""

SILENT_PEAK = 1e-4
"""-80 dB of full scale. Sound that is never louder is silence: 16 bits end at -90 dB."""

WINDOW_SPECTRA = round(WINDOW_SECONDS * SPECTRA_PER_SECOND)
LOG_FLOOR = 1e-6


def num_spectra(seconds: float) -> int:
    """Count the spectra that are centred within a clip, from its start."""
    return 1 + max(1, round(seconds * SPECTRUM_RATE_HZ)) // HOP_SAMPLES


def num_windows(seconds: float) -> int:
    """Count the windows of a clip."""
    return max(1, round(seconds * WINDOWS_PER_SECOND))


def window_starts(seconds: float) -> NDArray[np.float32]:
    """List the start of each window in seconds, in order; `snippets` takes windows as frames."""
    around = (np.arange(num_windows(seconds)) + 0.5) / WINDOWS_PER_SECOND
    last = max(0.0, seconds - WINDOW_SECONDS)
    return np.clip(around - WINDOW_SECONDS / 2, 0, last).astype(np.float32)


def sound_key() -> str:
    """Compute the key of described sound, which the installed PyAV decoded."""
    # `network` and `speech` keep the key of stored descriptions.
    return content_key({"network": None, "speech": None, "version": VERSION, "av": installed("av")})


@dataclass(frozen=True)
class Sound:
    """The described sound of one clip, or of silence.

    Attributes:
        log_mel: float16 (s, 128), the natural logarithm of the magnitude in each mel band, from log(1e-6) upwards.
        features: float32 (w, f).
        starts_seconds: float32 (w,).
        reason: why there is no sound, in plain words; empty if there is.
    """

    log_mel: NDArray[np.float16]
    features: NDArray[np.float32]
    starts_seconds: NDArray[np.float32]
    state: SoundState
    reason: str = ""

    @property
    def is_heard(self) -> bool:
        """Check whether the clip has a sound other than silence."""
        return self.state is SoundState.HEARD


def write_sound(path: Path, sound: Sound) -> None:
    """Write a sound; the same sound gives the same bytes."""
    np.savez_compressed(
        path,
        log_mel=sound.log_mel.astype(np.float16),
        features=sound.features.astype(np.float32),
        starts_seconds=sound.starts_seconds.astype(np.float32),
        state=np.array(sound.state.value),
        reason=np.array(sound.reason),
    )


def read_sound(path: Path) -> Sound:
    """Read a sound.

    Raises:
        BadVideo: the file is damaged, or is not a sound that `write_sound` wrote.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            sound = Sound(
                log_mel=arrays["log_mel"],
                features=arrays["features"],
                starts_seconds=arrays["starts_seconds"],
                state=SoundState(str(arrays["state"])),
                reason=str(arrays["reason"]),
            )
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise BadVideo(f"{path.name}: damaged, or not a stored sound ({error}); delete it in the store and run `sound` again") from None
    if sound.log_mel.shape[1:] != (NUM_MELS,) or sound.features.shape[:1] != sound.starts_seconds.shape:
        raise BadVideo(f"{path.name}: not the spectra and windows of one sound; delete it in the store and run `sound` again")
    return sound


def rows_of(sound: Sound) -> NDArray[np.float32]:
    """Return the features (w, f) that a network hears, zeros for a silent clip."""
    return sound.features if sound.is_heard else np.zeros_like(sound.features)


def quantised(log_mel: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Quantise logarithms of magnitudes to 8 bits: silence is 0, the loudest tone 255."""
    levels = np.rint((log_mel.astype(np.float32) - QUIETEST) * (255 / (LOUDEST - QUIETEST)))
    clipped: NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8)
    return clipped


def describe(samples: NDArray[np.float32], *, seconds: float, state: SoundState, reason: str = "") -> Sound:
    """Describe the sound of a clip; on one machine, samples determine the result.

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
    """Compute the spectrogram (s, 128) of sound (n,) at 24 kHz.

    It is the natural logarithm of the magnitudes in triangular bands that are equally wide on HTK's mel scale. Spectra are centred at their
    times; beyond the ends is silence.
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
