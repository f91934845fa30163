"""Read the input of a network from one array of frames or sound. Does not import torch."""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadDataset
from tasks.learn.clip_array import open_array
from tasks.learn.hearing import read_heard
from tasks.learn.sampling import evaluation_snippets, joined, random_snippets
from tasks.learn.spec import NetworkSpec


def read_snippets(path: Path, spec: NetworkSpec, rng: np.random.Generator | None = None, segment_length: float = 1) -> NDArray[np.uint8]:
    """Read one clip's frames that a network sees: uint8 (t, h, w, p).

    Args:
        path: .npy file as in `data.CachedClip`.
        spec: gives t and the snippet.
        rng: draws one snippet per segment; None takes the middle ones, as in testing.
        segment_length: middle share of each segment that `rng` draws from.

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
    snippets = random_snippets(len(clip), spec.num_segments, rng, length, segment_length)
    return _joined(clip, snippets, spec)


def snippets_in_test(frames: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """Make the snippets of a test, uint8 (t, h, w, p), from the frames that `sampling.frames_in_test` lists, or from all of a clip."""
    if len(frames) == spec.num_frames and not spec.video:
        return joined(np.array(frames), spec)  # torch takes no read-only memory
    return _joined(frames, evaluation_snippets(len(frames), spec), spec)


def read_tested(path: Path, spec: NetworkSpec) -> NDArray[Any]:
    """Read the input that an engine scores: snippets uint8 (t, h, w, p), or as `hearing.heard` returns it.

    Raises as `read_snippets`.
    """
    return read_heard(path, spec) if spec.modality.is_heard else read_snippets(path, spec)


def _joined(frames: NDArray[np.uint8], snippets: list[list[int]], spec: NetworkSpec) -> NDArray[np.uint8]:
    return joined(np.stack([frames[i] for snippet in snippets for i in snippet]), spec)
