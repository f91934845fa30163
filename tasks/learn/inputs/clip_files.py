"""Read a clip's input from its file: snippets of frames, or its described sound.

Does not import torch. Sound is features of a window for each segment. A silent clip has zeros alone.
"""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet, s: spectra, one every 5 ms; w: windows, one every 250 ms; f: features

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadDataset, BadVideo, MissingObject
from tasks.learn.inputs.sampling import evaluation_snippets, joined, middle_snippets, random_snippets, window_frames
from tasks.learn.networks.sound_recipe import NUM_MELS, NUM_SOUND_FEATURES
from tasks.learn.networks.spec import NetworkSpec
from tasks.store.records.video import SoundState

SOUND_SUFFIX = ".npz"
QUIETEST, LOUDEST = np.log(1e-6), 7.0
"""Limits of the logarithms that 8 bits hold, from silence to a tone at full scale."""


def open_array(path: Path, content: str, remedy: str) -> NDArray[Any]:
    """Map an .npy file of a clip into memory; errors name its `content`, in the plural, and the `remedy`.

    Raises:
        MissingObject: the file does not exist.
        BadDataset: it is no array.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise MissingObject(f"{path}: the clip's {content} are missing; {remedy}") from None
    except (EOFError, ValueError) as error:
        raise BadDataset(f"{path}: not an array of {content} ({error}); delete it and {remedy}") from None
    return array


@dataclass(frozen=True)
class Sound:
    """The described sound of one clip, or of silence.

    Attributes:
        log_mel: float16 (s, 128), the natural logarithm of the magnitude in each mel band, from log(1e-6) upwards.
        features: float32 (w, f), of each window.
        starts_seconds: float32 (w,), where each window begins.
        state: whether there is any sound.
        reason: why there is none, in plain words; empty if there is.
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


def read_sound_input(path: Path, spec: NetworkSpec, rng: np.random.Generator | None = None) -> NDArray[Any]:
    """Read one clip's input, as `sound_input`, from an .npy file of `rows_of`.

    Raises:
        MissingObject: the file does not exist.
        BadDataset: it does not hold the sound of such a network.
    """
    rows = open_array(path, "features of sound", "fetch them again")
    if rows.shape[1:] != (NUM_SOUND_FEATURES,) or rows.dtype != np.float32 or not len(rows):
        raise BadDataset(f"{path}: holds {rows.dtype} {rows.shape}, expected float32 (time, {NUM_SOUND_FEATURES}); delete it")
    return sound_input(rows, spec, rng)


def sound_input(rows: NDArray[np.float32], spec: NetworkSpec, rng: np.random.Generator | None = None) -> NDArray[Any]:
    """Pick the input of a network from one clip's sound, float32 (t, f).

    Segments are divided as those of frames are: a window of the clip begins in each, in its middle or where `rng` draws it.
    """
    within = window_frames(len(rows), spec.sampling_window)
    windows = middle_snippets(len(within), spec.num_segments) if rng is None else random_snippets(len(within), spec.num_segments, rng)
    return np.array(rows[within.start + np.array(windows)[:, 0]])


def is_silent(frames: NDArray[Any], spec: NetworkSpec) -> bool:
    """Check whether this is silence, as a network of sound takes it."""
    return spec.sound is not None and not frames.any()


def read_snippets(path: Path, spec: NetworkSpec, rng: np.random.Generator | None = None) -> NDArray[np.uint8]:
    """Read one clip's frames that a network sees: uint8 (t, h, w, p).

    Args:
        path: .npy file as in `data.CachedClip`.
        spec: gives t and the snippet.
        rng: draws one snippet per segment; None takes the middle ones, as in testing.

    Raises:
        MissingObject: the file does not exist.
        BadDataset: it does not hold frames.
    """
    clip = open_array(path, "frames", "decode the clip again")
    planes, length = spec.snippet.frame_planes, spec.snippet.num_frames
    if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[-1] != planes or not len(clip):
        raise BadDataset(f"{path}: holds {clip.dtype} {clip.shape}, expected uint8 (frames, h, w, {planes}); decode the clip again")
    if rng is None:
        return snippets_in_test(clip, spec)
    snippets = random_snippets(len(clip), spec.num_segments, rng, length)
    return _joined(clip, snippets, spec)


def snippets_in_test(frames: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """Make the snippets of a test, uint8 (t, h, w, p), from the frames of `frames_in_test`, or all frames."""
    if len(frames) == spec.num_frames and not spec.video:
        return joined(np.array(frames), spec)  # torch takes no read-only memory
    return _joined(frames, evaluation_snippets(len(frames), spec), spec)


def read_tested(path: Path, spec: NetworkSpec) -> NDArray[Any]:
    """Read the input that an engine scores: as `read_snippets`, or of sound as `sound_input`."""
    return read_sound_input(path, spec) if spec.sound else read_snippets(path, spec)


def _joined(frames: NDArray[np.uint8], snippets: list[list[int]], spec: NetworkSpec) -> NDArray[np.uint8]:
    return joined(np.stack([frames[i] for snippet in snippets for i in snippet]), spec)
