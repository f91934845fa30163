"""A test sound, and the results of the libraries that the networks were trained with.

`sound_reference.npz` was made once by `python -m tests.learn.inputs.sound_reference` in an environment with librosa 0.11.0, essentia 2.1b6.dev1389 and
`pip install --no-deps aisfx==0.1.2`, beside numpy 2.4.6 and torch 2.13.0. It keeps every `STEP`th spectrum.
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
def reference() -> dict[str, NDArray[np.float32]]:
    """Return the results of librosa, essentia and aisfx."""
    with np.load(FILE, allow_pickle=False) as stored:
        return dict(stored)


def main() -> None:
    import essentia.standard as es
    import librosa
    import torch
    from aisfx.inference import get_path_modelWeights, load_bestModel

    magnitudes = np.abs(librosa.stft(signal(24_000), n_fft=2048, hop_length=120, win_length=240, window="hann", pad_mode="constant"))
    log_mel = np.log(librosa.filters.mel(sr=24_000, n_fft=2048, n_mels=128, htk=True, norm=None) @ magnitudes + 1e-6).T
    window, spectrum = es.Windowing(type="hann", normalized=False), es.Spectrum(size=2048)
    mels = es.MelBands(
        inputSize=1025, numberBands=96, sampleRate=44_100, highFrequencyBound=22_050, warpingFormula="htkMel", weighting="warping"
    )
    frames = es.FrameGenerator(signal(44_100), frameSize=2048, hopSize=1024)
    bands = np.log10(1 + 1e4 * np.array([mels(spectrum(window(frame))) for frame in frames]))
    network = load_bestModel(*torch.load(get_path_modelWeights(), weights_only=False), "cpu")
    features = network.get_embedding(torch.tensor(bands[None, 10:110] / 9.457798957824707, dtype=torch.float32))[0].detach().numpy()
    kept = {"log_mel": log_mel[::STEP], "bands": bands[::STEP], "features": features}
    np.savez_compressed(FILE, **{name: values.astype(np.float32) for name, values in kept.items()})


if __name__ == "__main__":
    main()
