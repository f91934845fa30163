"""Read a clip's sound as the input of a network. Does not import torch.

It is a picture of its spectrogram, or features of a window, for each segment. A clip in which there is nothing to hear has zeros alone.
"""

# t: segments, s: spectra, one every 5 ms; w: windows, one every 250 ms; f: features

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tasks.errors import BadDataset
from tasks.learn.clip_array import open_array
from tasks.learn.sampling import middle_snippets, random_snippets, window_frames
from tasks.learn.sound.grid import NUM_MELS
from tasks.learn.sound.recipe import SPECTRA_ALONE, num_features
from tasks.learn.sound.stored import Sound
from tasks.learn.spec import NetworkSpec
from tasks.options import Modality
from tasks.store.records.sound import SoundRecipe

PICTURE_SPECTRA = 400
"""Two seconds, as in the published audio networks of EPIC-KITCHENS (Auditory SlowFast, arXiv 2103.03516)."""
PICTURE_PIXELS = 224

QUIETEST, LOUDEST = np.log(1e-6), 7.0
"""Limits of the logarithms that 8 bits hold, from silence to a tone at full scale."""

Rows = NDArray[Any]
"""One clip's sound in time: uint8 (s, 128) of the spectrogram, or float32 (w, f) of features."""


def recipe_heard(spec: NetworkSpec) -> SoundRecipe:
    """Return how the sound is described that a network hears."""
    return spec.sound or SPECTRA_ALONE


def rows_of(sound: Sound, modality: Modality) -> Rows:
    """Return the part of a described sound that a modality needs, in time."""
    if modality is Modality.SOUND:
        return sound.features if sound.is_heard else np.zeros_like(sound.features)
    return quantised(sound.log_mel) if sound.is_heard else np.zeros(sound.log_mel.shape, np.uint8)


def quantised(log_mel: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Quantise logarithms of magnitudes to 8 bits: silence is 0, the loudest tone 255."""
    levels = np.rint((log_mel.astype(np.float32) - QUIETEST) * (255 / (LOUDEST - QUIETEST)))
    clipped: NDArray[np.uint8] = np.clip(levels, 0, 255).astype(np.uint8)
    return clipped


def read_heard(path: Path, spec: NetworkSpec, rng: np.random.Generator | None = None, segment_length: float = 1) -> NDArray[Any]:
    """Read one clip's input, as `heard`, from an .npy file of `Rows`.

    Raises:
        MissingObject: the file does not exist.
        BadDataset: it does not hold the sound of such a network.
    """
    rows = open_array(path, "spectra or features of sound", "fetch them again")
    num_columns, kind = (num_features(spec.sound), np.dtype(np.float32)) if spec.sound else (NUM_MELS, np.dtype(np.uint8))
    if rows.shape[1:] != (num_columns,) or rows.dtype != kind or not len(rows):
        raise BadDataset(f"{path}: holds {rows.dtype} {rows.shape}, expected {kind} (time, {num_columns}); delete it")
    return heard(rows, spec, rng, segment_length)


def heard(rows: Rows, spec: NetworkSpec, rng: np.random.Generator | None = None, segment_length: float = 1) -> NDArray[Any]:
    """Pick the input of a network from one clip's sound: uint8 (t, 224, 224, 1), or float32 (t, f).

    Segments are divided as those of frames are: a window of the clip begins in each, in its middle or where `rng` draws it, in the middle
    share `segment_length`.
    """
    length = PICTURE_SPECTRA if spec.modality is Modality.SPECTROGRAM else 1
    within = window_frames(len(rows), spec.sampling_window, length)
    if rng is None:
        windows = middle_snippets(len(within), spec.num_segments, length)
    else:
        windows = random_snippets(len(within), spec.num_segments, rng, length, segment_length)
    numbers = within.start + np.array(windows)
    return np.array(rows[numbers[:, 0]]) if spec.modality is Modality.SOUND else np.stack([picture(rows[of_one]) for of_one in numbers])


def is_unheard(frames: NDArray[Any], spec: NetworkSpec) -> bool:
    """Check whether this is the input of a network of sound that has nothing to hear."""
    return spec.modality.is_heard and not frames.any()


def picture(spectra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale spectra (s, 128) to a picture (224, 224, 1), time to the right and low notes at the bottom."""
    drawn = Image.fromarray(np.ascontiguousarray(spectra.T[::-1]))
    return np.asarray(drawn.resize((PICTURE_PIXELS, PICTURE_PIXELS), Image.Resampling.BILINEAR))[..., None]


def example_input(spec: NetworkSpec) -> NDArray[Any]:
    """Return noise with the shape of one clip's input."""
    rng = np.random.default_rng(0)
    if spec.sound:
        return rng.random((spec.num_segments, num_features(spec.sound)), np.float32)
    return rng.integers(256, size=(spec.num_segments, PICTURE_PIXELS, PICTURE_PIXELS, 1), dtype=np.uint8)
