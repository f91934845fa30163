"""Describe the sound of a clip by its spectrogram, its features and the share of speech.

OpenVINO runs the file of the package `silero-vad` (6.2.3, MIT), whose code would limit torch to one thread.
"""

# n: samples, s: spectra, w: windows, f: features, b: bins of the spectrum, m: mel bands, c: chunks of 32 ms

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.errors import BadConfiguration
from tasks.learn.hardware import silenced
from tasks.learn.inputs.clip_files import Sound
from tasks.learn.networks.sound_recipe import (
    FFT_SAMPLES,
    HOP_SAMPLES,
    NUM_MELS,
    SPECTRA_PER_SECOND,
    SPECTRUM_RATE_HZ,
    SPECTRUM_SAMPLES,
    SPEECH,
    WINDOW_SECONDS,
    installed_recipe,
    num_spectra,
    window_starts,
)
from tasks.store.records.video import SoundRecipe, SoundState

Samples = Mapping[int, NDArray[np.float32]]
"""float32 (n,) of the whole clip, by rate in Hz."""

SILENT_PEAK = 1e-4
"""-80 dB of full scale. Sound that is never louder is silence: 16 bits end at -90 dB."""

WINDOW_SPECTRA = round(WINDOW_SECONDS * SPECTRA_PER_SECOND)
SPEECH_RATE_HZ = 16_000
CHUNK_SAMPLES = 512
CONTEXT_SAMPLES = 64
"""Each chunk is scored with the end of the chunk before it."""

CHUNKS_PER_SECOND = SPEECH_RATE_HZ / CHUNK_SAMPLES
STATE_SHAPE = (1, 1, 128)
MIN_PROBABILITY = 0.5
"""From here on a chunk is speech, as in the package."""

SpeechDetector = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Computes the probability (c,) of speech in successive chunks (c, context + chunk)."""

LOG_FLOOR = 1e-6


@dataclass(frozen=True)
class Describer:
    """Describes sound by the networks of one recipe; `rates_hz` are those that samples are needed at."""

    recipe: SoundRecipe
    rates_hz: tuple[int, ...]
    _speech: SpeechDetector | None

    def describe(self, samples: Samples, *, seconds: float, state: SoundState, reason: str = "") -> Sound:
        """Describe the sound of a clip; the same samples give the same description on the same machine.

        Args:
            samples: at each of `rates_hz`.
            seconds: length of the clip.
            state: HEARD, which becomes SILENT if there is only silence; or why there is no sound.
            reason: the part that is missing, in plain words.
        """
        spectra = log_mel(samples[SPECTRUM_RATE_HZ]).astype(np.float16)
        assert len(spectra) == num_spectra(seconds)  # noqa: S101 - samples of another length would be out of step with the picture
        if state is SoundState.HEARD and np.abs(samples[SPECTRUM_RATE_HZ]).max() <= SILENT_PEAK:
            state, reason = SoundState.SILENT, reason or "its sound is silence"
        starts = window_starts(seconds)
        features, share = _statistics(spectra, starts), None
        if self._speech is not None:
            spoken = detect_speech(samples[SPEECH_RATE_HZ], self._speech)
            share = float(spoken.mean())
            features = np.column_stack([features, _shares(spoken, starts)])
        return Sound(spectra, features, starts, state, reason, share)


def describer(recipe: SoundRecipe) -> Describer:
    """Load the networks of a recipe.

    Raises:
        BadConfiguration: a network of the recipe is not installed here.
    """
    _check_installed(recipe)
    rates = {SPECTRUM_RATE_HZ}
    detector: SpeechDetector | None = None
    if recipe.speech is not None and (path := SPEECH.find()):
        detector = load_speech(path)
        rates.add(SPEECH_RATE_HZ)
    return Describer(recipe, tuple(sorted(rates)), detector)


def _check_installed(recipe: SoundRecipe) -> None:
    if recipe.speech is not None and recipe.speech != installed_recipe().speech:
        raise BadConfiguration(f"sound was described with {SPEECH.distribution}, which is not installed here; run `{SPEECH.install}`")


def _statistics(spectra: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the mean and the deviation (w, 2 m) of each band in each window."""
    padded = np.pad(spectra.astype(np.float32), ((0, WINDOW_SPECTRA), (0, 0)), constant_values=np.log(LOG_FLOOR))
    firsts = np.rint(starts * SPECTRA_PER_SECOND).astype(int)
    windows = [padded[first : first + WINDOW_SPECTRA] for first in firsts]
    return np.stack([np.concatenate([window.mean(axis=0), window.std(axis=0)]) for window in windows])


def _shares(spoken: NDArray[np.bool_], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the share (w,) of speech in each window; where the clip has ended nobody speaks."""
    length = round(WINDOW_SECONDS * CHUNKS_PER_SECOND)
    firsts = np.rint(starts * CHUNKS_PER_SECOND).astype(int)
    return np.array([spoken[first : first + length].sum() / length for first in firsts], np.float32)


def load_speech(path: Path) -> SpeechDetector:
    """Load the network from the package's file `silero_vad_16k_sequence.onnx`."""
    with silenced():
        import openvino  # type: ignore[import-untyped]  # slow to import

        # Other precisions, which some processors prefer, would give other shares of speech.
        graph = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1})
    rest = np.zeros(STATE_SHAPE, np.float32)

    def probabilities(chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(graph({"input": chunks, "h": rest, "c": rest})["speech_probs"], np.float32)

    return probabilities


def detect_speech(samples: NDArray[np.float32], detector: SpeechDetector) -> NDArray[np.bool_]:
    """Detect in each chunk (c,) of sound (n,) at 16 kHz whether somebody speaks."""
    num_chunks = -(-len(samples) // CHUNK_SAMPLES)
    padded = np.zeros(CONTEXT_SAMPLES + num_chunks * CHUNK_SAMPLES, np.float32)
    padded[CONTEXT_SAMPLES : CONTEXT_SAMPLES + len(samples)] = samples
    chunks = np.lib.stride_tricks.sliding_window_view(padded, CONTEXT_SAMPLES + CHUNK_SAMPLES)[::CHUNK_SAMPLES]
    return np.asarray(detector(np.ascontiguousarray(chunks)) >= MIN_PROBABILITY, np.bool_)


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
    """Make the weights (m, b) of triangles that rise from an edge to the next, and fall to the edge after it."""
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))
