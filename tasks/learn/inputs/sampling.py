"""List the frames that a network sees of a clip, and of windows between clips. Does not import torch.

A clip has TSN's segments (arXiv 1608.00859), with one snippet of consecutive frames each.
"""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadInput
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import MAX_STRIDE_SECONDS, MIN_STRIDE_SECONDS, SegmentOptions

NUM_SUGGESTED = 4
"""Strides that a message names."""


def window_frames(num_frames: int, window: float, snippet_frames: int = 1) -> range:
    """List the frames of the sampling window: this middle share of the clip.

    It is rounded to whole frames, and has at least those of a snippet, or of the clip if that is shorter. An odd rest lies behind it.
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
    """List the frames of a test as its array holds them: of a video network all at its rate, because its views overlap."""
    return tuple(kept_frames(num_frames, spec)) if spec.video else middle_frames(num_frames, spec)


def kept_frames(num_frames: int, spec: NetworkSpec) -> range:
    """List the frames that snippets are made of: the sampling window, for a video network at its own rate."""
    if spec.video:
        return window_frames(num_frames, spec.sampling_window, spec.video.span)[:: spec.video.frame_stride]
    return window_frames(num_frames, spec.sampling_window, spec.snippet.num_frames)


def evaluation_snippets(num_kept: int, spec: NetworkSpec) -> list[list[int]]:
    """Sample the snippets of a test from `num_kept` frames: t lists of m numbers among them."""
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
    """Sample the middle snippet of each segment, as in testing: t lists of m frame numbers, in non-decreasing order.

    Snippet i starts at frame int(tick/2 + tick*i), with tick = (num_frames - snippet_frames + 1) / num_segments. A clip shorter than a
    snippet repeats its last frame.

    Raises:
        ValueError: there are no frames.
    """
    tick = _tick(num_frames, num_segments, snippet_frames)
    return [_frames_from(int(tick / 2 + tick * i), num_frames, snippet_frames) for i in range(num_segments)]


def random_snippets(num_frames: int, num_segments: int, rng: np.random.Generator, snippet_frames: int = 1) -> list[list[int]]:
    """Sample a snippet with a random start in each segment, as in training.

    A clip with fewer frames than segments repeats frames.

    Raises:
        ValueError: there are no frames.
    """
    tick = _tick(num_frames, num_segments, snippet_frames)
    last = max(0, num_frames - snippet_frames)
    return [_frames_from(min(int(tick * (i + u)), last), num_frames, snippet_frames) for i, u in enumerate(rng.random(num_segments))]


def joined(frames: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """Join the frames (t * m, h, w, planes per frame) of all snippets into snippets (t, h, w, p)."""
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
    """Windows as long as a clip, one every `stride_frames`.

    A clip is a whole number of strides, so every clip is a window, and every other window lies in two consecutive clips.
    """

    clip_frames: int
    stride_frames: int

    @property
    def offsets(self) -> range:
        """List the frames of a clip at which the windows between it and the next begin."""
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
    """List the longest strides that halve a clip again and again, or else any, as the option takes them."""
    halves = [2**power for power in range(clip_frames.bit_length())]
    for divisions in (halves, range(1, clip_frames + 1)):
        strides = [f"{clip_frames / parts / fps:g}" for parts in divisions if clip_frames % parts == 0]
        # Written with few digits, some are no whole number of frames any more.
        fit = [
            stride
            for stride in strides
            if MIN_STRIDE_SECONDS <= float(stride) <= MAX_STRIDE_SECONDS and abs(float(stride) * fps - round(float(stride) * fps)) <= 1e-6
        ]
        if fit:
            return fit[:NUM_SUGGESTED]
    return []


def slides(spec: NetworkSpec) -> bool:
    """Check whether a network can see a window between two clips; flow and described sound end with each clip."""
    return spec.flow is None and not spec.sound


def sees_single_frames(spec: NetworkSpec) -> bool:
    """Check whether a feature of the backbone depends on one frame alone, so that overlapping windows share it."""
    return slides(spec) and spec.snippet.num_frames == 1 and not spec.temporal_shift


def frames_of_window(offset: int, spec: NetworkSpec, grid: WindowGrid) -> tuple[tuple[int, int], ...]:
    """List what a network sees of the window that begins at frame `offset` of a clip.

    Returns:
        t * m pairs, or of a video network all frames at its rate: 0 and the frame of this clip, or 1 and the frame of the next.
    """
    return tuple(divmod(offset + frame, grid.clip_frames) for frame in frames_in_test(grid.clip_frames, spec))


def further_frames(num_frames: int, spec: NetworkSpec, grid: WindowGrid) -> tuple[int, ...]:
    """List the frames of a clip that its windows need, besides those of its own test if their features are shared.

    Only the last clip of a film has fewer frames than the grid's, and only windows that end within it count.
    """
    if not slides(spec):
        return ()
    is_whole = num_frames == grid.clip_frames
    pairs = (pair for offset in grid.offsets for pair in frames_of_window(offset, spec, grid) if pair[0] == 0 or offset <= num_frames)
    needed = {frame for number, frame in pairs if number == 1 or is_whole}
    own = frames_in_test(num_frames, spec) if sees_single_frames(spec) else ()
    return tuple(sorted(needed.difference(own)))
