"""A test sound, and librosa's spectrogram of it.

`sound_reference.npz` was made once by `python -m tests.learn.inputs.sound_reference` in an environment with librosa 0.11.0 and numpy 2.4.6. It keeps
every `STEP`th spectrum.
"""

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

STEP = 12
SECONDS = 3.0
FILE = Path(__file__).with_name("sound_reference.npz")


def signal(rate_hz: int) -> NDArray[np.float32]:
    """A sweep, knocks and hiss after a moment of silence, in steps of 16 bits."""
    times = np.arange(round(rate_hz * SECONDS)) / rate_hz
    sweep = 0.3 * np.sin(2 * np.pi * (100 * times + 900 * times**2))
    knocks = 0.5 * np.sin(2 * np.pi * 1700 * times) * np.exp(-40 * (times % 0.5))
    hiss = 0.05 * np.sin(1e4 * np.sin(np.arange(len(times)) * 12.9898))
    return (np.round((sweep + knocks + hiss) * (times > 0.2) * 32767) / 32768).astype(np.float32)


@cache
def reference() -> NDArray[np.float32]:
    """Return librosa's spectrogram."""
    with np.load(FILE, allow_pickle=False) as stored:
        spectra: NDArray[np.float32] = stored["log_mel"]
    return spectra


def main() -> None:
    import librosa

    magnitudes = np.abs(librosa.stft(signal(24_000), n_fft=2048, hop_length=120, win_length=240, window="hann", pad_mode="constant"))
    log_mel = np.log(librosa.filters.mel(sr=24_000, n_fft=2048, n_mels=128, htk=True, norm=None) @ magnitudes + 1e-6).T
    np.savez_compressed(FILE, log_mel=log_mel[::STEP].astype(np.float32))


if __name__ == "__main__":
    main()
