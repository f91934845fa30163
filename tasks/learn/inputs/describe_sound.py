"""Describe the sound of a clip by its spectrogram, its features and the share of speech.

OpenVINO runs the file of the package `silero-vad` (6.2.3, MIT), whose code would limit torch to one thread.
"""

# n: samples, s: spectra, w: windows, f: features, m: mel bands, c: chunks of 32 ms

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.learn.hardware import silenced
from tasks.learn.inputs.clip_files import Sound
from tasks.learn.inputs.effects_network import EFFECTS_RATE_HZ, LOG_FLOOR, EffectsNetwork, effects_features, load_effects, log_mel
from tasks.learn.networks.sound_recipe import (
    EFFECTS,
    SPECTRA_PER_SECOND,
    SPECTRUM_RATE_HZ,
    SPEECH,
    WINDOW_SECONDS,
    installed_recipe,
    num_spectra,
    window_starts,
)
from tasks.store.records.video import SoundRecipe, SoundState

Samples = Mapping[int, NDArray[np.float32]]
"""float32 (n,) of the whole clip, by rate in Hz."""

Features = Callable[[Samples, NDArray[np.float16], NDArray[np.float32]], NDArray[np.float32]]
"""Computes the features (w, f) from samples, the spectrogram (s, m) and the starts of the windows (w,)."""

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


@dataclass(frozen=True)
class Describer:
    """Describes sound by the networks of one recipe; `rates_hz` are those that samples are needed at."""

    recipe: SoundRecipe
    rates_hz: tuple[int, ...]
    _features: Features
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
        features, share = self._features(samples, spectra, starts), None
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
    features: Features = _statistics
    detector: SpeechDetector | None = None
    if recipe.network is not None and (path := EFFECTS.find()):
        features = partial(_effects, load_effects(path))
        rates.add(EFFECTS_RATE_HZ)
    if recipe.speech is not None and (path := SPEECH.find()):
        detector = load_speech(path)
        rates.add(SPEECH_RATE_HZ)
    return Describer(recipe, tuple(sorted(rates)), features, detector)


def _check_installed(recipe: SoundRecipe) -> None:
    here = installed_recipe()
    for weights, wanted, installed in ((EFFECTS, recipe.network, here.network), (SPEECH, recipe.speech, here.speech)):
        if wanted is not None and wanted != installed:
            raise BadConfiguration(f"sound was described with {weights.distribution}, which is not installed here; run `{weights.install}`")


def _effects(network: EffectsNetwork, samples: Samples, _: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    return effects_features(samples[EFFECTS_RATE_HZ], starts, network)


def _statistics(_: Samples, spectra: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
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
