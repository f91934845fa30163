"""Choose and read the frames or sound that networks see of clips. Imports no torch.

A clip has TSN's segments (arXiv 1608.00859), with one snippet of consecutive frames each, or one window of sound. A silent clip has zeros
alone.
"""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet, f: features

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadDataset, BadInput, MissingObject
from tasks.learn.networks.spec import NUM_SOUND_FEATURES, NetworkSpec
from tasks.options import MAX_STRIDE_SECONDS, MIN_STRIDE_SECONDS, SegmentOptions

NUM_SUGGESTED = 4
"""Strides that a message names."""


def window_frames(num_frames: int, window: float, snippet_frames: int = 1) -> range:
    """List the frames of a clip's middle share `window`.

    It has at least the frames of a snippet, or all if the clip is shorter. An odd rest lies behind it.
    """
    length = min(num_frames, max(round(num_frames * window), snippet_frames))
    first = (num_frames - length) // 2
    return range(first, first + length)


def middle_frames(num_frames: int, spec: NetworkSpec) -> tuple[int, ...]:
    """List the t * m frames that a network sees in testing, snippet by snippet.

    Raises:
        ValueError: there are no frames.
    """
    kept = kept_frames(num_frames, spec)
    return tuple(kept[number] for snippet in evaluation_snippets(len(kept), spec) for number in snippet)


def frames_in_test(num_frames: int, spec: NetworkSpec) -> tuple[int, ...]:
    """List the frames of a test as its array holds them."""
    # Views of a video network overlap, so its array has each frame once.
    return tuple(kept_frames(num_frames, spec)) if spec.video else middle_frames(num_frames, spec)


def kept_frames(num_frames: int, spec: NetworkSpec) -> range:
    """List the frames of the sampling window, for a video network at its own rate."""
    if spec.video:
        return window_frames(num_frames, spec.sampling_window, spec.video.span)[:: spec.video.frame_stride]
    return window_frames(num_frames, spec.sampling_window, spec.snippet.num_frames)


def evaluation_snippets(num_kept: int, spec: NetworkSpec) -> list[list[int]]:
    """Sample the snippets of a test: t lists of m numbers among `num_kept` frames."""
    sample = uniform_snippets if spec.video else middle_snippets
    return sample(num_kept, spec.num_segments, spec.snippet.num_frames)


def uniform_snippets(num_frames: int, num_views: int, snippet_frames: int) -> list[list[int]]:
    """Sample views evenly from the first to the last possible one, as torchvision's UniformClipSampler.

    A single view begins with the clip. A clip shorter than a snippet repeats its last frame.

    Raises:
        ValueError: there are no frames.
    """
    last = int(_tick(num_frames, 1, snippet_frames)) - 1
    return [_frames_from(i * last // max(1, num_views - 1), num_frames, snippet_frames) for i in range(num_views)]


def middle_snippets(num_frames: int, num_segments: int, snippet_frames: int = 1) -> list[list[int]]:
    """Sample the middle snippet of each segment: t lists of m frame numbers.

    Snippet i starts at frame int(tick/2 + tick*i), with tick = (num_frames - snippet_frames + 1) / num_segments. A clip shorter than a
    snippet repeats its last frame.

    Raises:
        ValueError: there are no frames.
    """
    tick = _tick(num_frames, num_segments, snippet_frames)
    return [_frames_from(int(tick / 2 + tick * i), num_frames, snippet_frames) for i in range(num_segments)]


def random_snippets(num_frames: int, num_segments: int, rng: np.random.Generator, snippet_frames: int = 1) -> list[list[int]]:
    """Sample a snippet with a random start in each segment, as in training.

    Raises:
        ValueError: there are no frames.
    """
    tick = _tick(num_frames, num_segments, snippet_frames)
    last = max(0, num_frames - snippet_frames)
    return [_frames_from(min(int(tick * (i + u)), last), num_frames, snippet_frames) for i, u in enumerate(rng.random(num_segments))]


def joined(frames: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """Join frames (t * m, h, w, planes each) into snippets (t, h, w, p)."""
    _, height, width, _ = frames.shape
    apart = frames.reshape(-1, spec.snippet.num_frames, height, width, spec.snippet.frame_planes)
    return np.ascontiguousarray(apart.transpose(0, 2, 3, 1, 4)).reshape(len(apart), height, width, spec.snippet.num_planes)


def _tick(num_frames: int, num_segments: int, snippet_frames: int) -> float:
    if num_frames < 1:
        raise ValueError("a clip without frames cannot be sampled")
    return max(1, num_frames - snippet_frames + 1) / num_segments


def _frames_from(first: int, num_frames: int, snippet_frames: int) -> list[int]:
    return [min(first + i, num_frames - 1) for i in range(snippet_frames)]


@dataclass(frozen=True)
class WindowGrid:
    """Windows as long as a clip, one every `stride_frames`, a divisor of `clip_frames`."""

    clip_frames: int
    stride_frames: int

    @property
    def offsets(self) -> range:
        """List a clip's frames where the windows between it and the next begin."""
        return range(self.stride_frames, self.clip_frames, self.stride_frames)


def window_grid(segment: SegmentOptions, stride_seconds: float) -> WindowGrid:
    """Place a window every `stride_seconds`.

    Raises:
        BadInput: a clip is not a whole number of strides.
    """
    clip_frames = round(segment.clip_seconds * segment.fps)
    stride_frames = round(stride_seconds * segment.fps)
    if abs(stride_frames - stride_seconds * segment.fps) > 1e-6 or not stride_frames or clip_frames % stride_frames:
        fitting = ", ".join(_fitting(clip_frames, segment.fps)) or "a model of other clips"
        raise BadInput(
            f"stride_seconds {stride_seconds:g}: the model's clips have {clip_frames} frames, {segment.fps} per second, which is no whole "
            f"number of such strides; choose for example {fitting}"
        )
    return WindowGrid(clip_frames, stride_frames)


def _fitting(clip_frames: int, fps: int) -> list[str]:
    """List the longest strides that halve a clip repeatedly, else any that divide it."""
    halves = [2**power for power in range(clip_frames.bit_length())]
    for divisions in (halves, range(1, clip_frames + 1)):
        strides = [f"{clip_frames / parts / fps:g}" for parts in divisions if clip_frames % parts == 0]
        # As the option takes them, with few digits, some are no whole number of frames any more.
        fit = [
            stride
            for stride in strides
            if MIN_STRIDE_SECONDS <= float(stride) <= MAX_STRIDE_SECONDS and abs(float(stride) * fps - round(float(stride) * fps)) <= 1e-6
        ]
        if fit:
            return fit[:NUM_SUGGESTED]
    return []


def slides(spec: NetworkSpec) -> bool:
    """Check whether a network can see a window between two clips."""
    # Flow and described sound end with each clip.
    return spec.flow is None and not spec.sound


def sees_single_frames(spec: NetworkSpec) -> bool:
    """Check whether each feature depends on one frame alone, so that overlapping windows share it."""
    return slides(spec) and spec.snippet.num_frames == 1 and not spec.temporal_shift


def frames_of_window(offset: int, spec: NetworkSpec, grid: WindowGrid) -> tuple[tuple[int, int], ...]:
    """List the frames that a network sees of the window that begins at `offset`.

    They are those of `frames_in_test`, as pairs of 0 and a frame of this clip, or 1 and a frame of the next.
    """
    return tuple(divmod(offset + frame, grid.clip_frames) for frame in frames_in_test(grid.clip_frames, spec))


def further_frames(num_frames: int, spec: NetworkSpec, grid: WindowGrid) -> tuple[int, ...]:
    """List the frames of a clip that its windows need.

    Those of its test are left out if features are of single frames, because windows share them.
    """
    if not slides(spec):
        return ()
    # Only the last clip of a video may be shorter, and only windows that end within it count.
    is_whole = num_frames == grid.clip_frames
    pairs = (pair for offset in grid.offsets for pair in frames_of_window(offset, spec, grid) if pair[0] == 0 or offset <= num_frames)
    needed = {frame for number, frame in pairs if number == 1 or is_whole}
    own = frames_in_test(num_frames, spec) if sees_single_frames(spec) else ()
    return tuple(sorted(needed.difference(own)))


def open_array(path: Path, content: str, remedy: str) -> NDArray[Any]:
    """Map an .npy file into memory; errors name its `content`, a plural, and `remedy`.

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
    """Pick a network's input (t, f) from a clip's windows of sound.

    One window of each segment: the middle one, or one that `rng` draws.
    """
    within = window_frames(len(rows), spec.sampling_window)
    windows = middle_snippets(len(within), spec.num_segments) if rng is None else random_snippets(len(within), spec.num_segments, rng)
    return np.array(rows[within.start + np.array(windows)[:, 0]])


def is_silent(frames: NDArray[Any], spec: NetworkSpec) -> bool:
    """Check whether this is silence, as a network of sound takes it."""
    return spec.sound is not None and not frames.any()


def read_snippets(path: Path, spec: NetworkSpec, rng: np.random.Generator | None = None) -> NDArray[np.uint8]:
    """Read the snippets, uint8 (t, h, w, p), that a network sees of a clip.

    `path` is a file as in `data.CachedClip`. `rng` draws a snippet per segment; None takes the middle ones, as in testing.

    Raises:
        MissingObject: the file does not exist.
        BadDataset: it does not hold frames.
    """
    clip = open_array(path, "frames", "decode the clip again")
    planes = spec.snippet.frame_planes
    if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[-1] != planes or not len(clip):
        raise BadDataset(f"{path}: holds {clip.dtype} {clip.shape}, expected uint8 (frames, h, w, {planes}); decode the clip again")
    if rng is None:
        return snippets_in_test(clip, spec)
    return _joined(clip, random_snippets(len(clip), spec.num_segments, rng, spec.snippet.num_frames), spec)


def snippets_in_test(frames: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """Make the snippets (t, h, w, p) of a test from `frames_in_test` or all frames."""
    if len(frames) == spec.num_frames and not spec.video:
        return joined(np.array(frames), spec)  # torch takes no read-only memory
    return _joined(frames, evaluation_snippets(len(frames), spec), spec)


def read_tested(path: Path, spec: NetworkSpec) -> NDArray[Any]:
    """Read the input that an engine scores: as `read_snippets`, or of sound as `sound_input`."""
    return read_sound_input(path, spec) if spec.sound else read_snippets(path, spec)


def _joined(frames: NDArray[np.uint8], snippets: list[list[int]], spec: NetworkSpec) -> NDArray[np.uint8]:
    return joined(np.stack([frames[i] for snippet in snippets for i in snippet]), spec)
