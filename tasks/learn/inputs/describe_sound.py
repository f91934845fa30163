"""Describe the sound of a clip by its spectrogram, its features and the share of speech.

Features are those of X-Sequential-CE of "Representation Learning for the Automatic Indexing of Sound Effects Libraries" (ISMIR 2022), whose
weights the package `aisfx` brings under CC BY 4.0. Its code is not used: the network is rebuilt from its tensors, and its spectrogram is that of
essentia, which it was trained with. OpenVINO runs the file of the package `silero-vad` (6.2.3, MIT), whose code would limit torch to one thread.
"""

# n: samples, s: spectra, w: windows, f: features, b: bins of the spectrum, m: mel bands, c: chunks of 32 ms

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.errors import BadCheckpoint, BadConfiguration
from tasks.learn.hardware import silenced
from tasks.learn.inputs.clip_files import Sound
from tasks.learn.networks.sound_recipe import (
    EFFECTS,
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
from tasks.learn.networks.weights_file import UNREADABLE, first_line
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

EFFECTS_RATE_HZ = 44_100
BLOCK_SAMPLES = 2048
EFFECTS_HOP_SAMPLES = 1024
NUM_BANDS = 96
EFFECTS_SPECTRA = 100
MAX_LEVEL = 9.457798957824707
"""Highest value in the network's training data. Spectrograms are divided by it."""

WINDOWS_AT_ONCE = 16
CHANNELS = (1, 64, 128, 256, 512)
LOG_FLOOR = 1e-6


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


class EffectsNetwork(nn.Module):
    """Describes windows: four pairs of convolutions, then the mean over bands and the maximum over time."""

    def __init__(self) -> None:
        super().__init__()
        for number, (before, after) in enumerate(pairwise(CHANNELS), 1):
            self.add_module(f"conv_block{number}", _Pair(before, after))

    def forward(self, windows: Tensor) -> Tensor:
        """Compute the features (w, 512) of spectrograms (w, 100, m)."""
        features = windows[:, None]
        pairs = list(self.children())
        for pair in pairs:
            features = pair(features)
            if pair is not pairs[-1]:
                features = nn.functional.max_pool2d(features, 2)
        return features.mean(dim=3).amax(dim=2)


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


def _effects(network: EffectsNetwork, samples: Samples, _: NDArray[np.float16], starts: NDArray[np.float32]) -> NDArray[np.float32]:
    return effects_features(samples[EFFECTS_RATE_HZ], starts, network)


def effects_features(samples: NDArray[np.float32], starts_seconds: NDArray[np.float32], network: EffectsNetwork) -> NDArray[np.float32]:
    """Compute the features (w, 512) of the windows of sound (n,) at 44.1 kHz that begin at these times.

    Behind the end is silence. Equal windows are computed once.
    """
    spectrogram = nn.functional.pad(effects_spectrogram(samples), (0, 0, 0, EFFECTS_SPECTRA))
    firsts, numbers = np.unique(np.rint(starts_seconds * EFFECTS_RATE_HZ / EFFECTS_HOP_SAMPLES).astype(int), return_inverse=True)
    windows = torch.stack([spectrogram[first : first + EFFECTS_SPECTRA] for first in firsts])
    with torch.inference_mode():
        features = torch.cat([network(batch) for batch in torch.split(windows, WINDOWS_AT_ONCE)])
    return np.asarray(features.numpy()[numbers], np.float32)


def effects_spectrogram(samples: NDArray[np.float32]) -> Tensor:
    """Compute the spectrogram (s, m) of sound (n,) at 44.1 kHz: log10(1 + 10000 x) of the power x in bands, over `MAX_LEVEL`."""
    half = BLOCK_SAMPLES // 2
    padded = nn.functional.pad(torch.from_numpy(samples), (half, BLOCK_SAMPLES))
    blocks = padded.unfold(0, BLOCK_SAMPLES, EFFECTS_HOP_SAMPLES)[: -(-len(samples) // EFFECTS_HOP_SAMPLES) + 1]
    window = torch.hann_window(BLOCK_SAMPLES, periodic=False)
    power = torch.fft.rfft(blocks * window).abs().square()
    return torch.log10(1 + 1e4 * (power @ _bands())) / MAX_LEVEL


@cache
def _bands() -> Tensor:
    """Return the weights (b, m) of triangles over mel, each of weight 1 in all."""
    bins = np.linspace(0, EFFECTS_RATE_HZ / 2, BLOCK_SAMPLES // 2 + 1)
    weights = triangles(to_mel(mel_edges(NUM_BANDS, EFFECTS_RATE_HZ / 2)), to_mel(bins))
    return (weights / weights.sum(dim=1, keepdim=True)).T


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
