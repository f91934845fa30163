"""Place windows between the clips of a film, and list the frames that a network sees of them. Does not import torch."""

# t: segments, m: frames of a snippet

from dataclasses import dataclass

from tasks.errors import BadInput
from tasks.learn.sampling import frames_in_test
from tasks.learn.spec import NetworkSpec
from tasks.options import MAX_STRIDE_SECONDS, MIN_STRIDE_SECONDS, SegmentOptions

NUM_SUGGESTED = 4
"""Strides that a message names."""


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
        found = [f"{clip_frames / parts / fps:g}" for parts in divisions if clip_frames % parts == 0]
        # Written with few digits, some are no whole number of frames any more.
        fit = [
            one
            for one in found
            if MIN_STRIDE_SECONDS <= float(one) <= MAX_STRIDE_SECONDS and abs(float(one) * fps - round(float(one) * fps)) <= 1e-6
        ]
        if fit:
            return fit[:NUM_SUGGESTED]
    return []


def slides(spec: NetworkSpec) -> bool:
    """Check whether a network can see a window between two clips. Optical flow and described sound end with each clip."""
    return spec.flow is None and not spec.modality.is_heard


def sees_single_frames(spec: NetworkSpec) -> bool:
    """Check whether a feature of the backbone depends on one frame alone, so that overlapping windows share it."""
    return slides(spec) and spec.snippet.num_frames == 1 and not spec.temporal_shift


def window_frames(offset: int, spec: NetworkSpec, grid: WindowGrid) -> tuple[tuple[int, int], ...]:
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
    pairs = (pair for offset in grid.offsets for pair in window_frames(offset, spec, grid) if pair[0] == 0 or offset <= num_frames)
    needed = {frame for number, frame in pairs if number == 1 or is_whole}
    own = frames_in_test(num_frames, spec) if sees_single_frames(spec) else ()
    return tuple(sorted(needed.difference(own)))
