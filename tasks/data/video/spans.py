"""Choose the parts of a video that clips around labelled intervals show."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tasks.options import SegmentOptions


class FrameSpan(NamedTuple):
    """A part of a video in frames, and the interval that it was chosen for.

    Frames are of the clips' constant rate, the interval is in seconds. A part that ends in `next_video` is in the frames and
    seconds of the video in which it begins.
    """

    start_frame: int
    num_frames: int
    interval: tuple[float, float]
    next_video: str | None = None


def frames_per_clip(options: SegmentOptions) -> int:
    """Return the number of frames of a full clip."""
    return round(options.clip_seconds * options.fps)


def interval_spans(intervals: Sequence[tuple[float, float]], video_seconds: float, options: SegmentOptions) -> list[FrameSpan]:
    """List the parts of a video that show its labelled intervals, by time.

    A part has the length of a clip, or that of a shorter video. An interval that fits has its middle in the middle of its part, as far as
    the video allows; a longer one is covered by parts at equal distances, from its start to its end. Of equal parts, that of the longest
    interval remains. All times are in seconds; a part of an interval beyond the video is ignored.
    """
    num_video_frames = int(video_seconds * options.fps + 1e-6)
    num_frames = min(round(options.clip_seconds * options.fps), num_video_frames)
    spans: dict[int, FrameSpan] = {}
    for interval in sorted(intervals, key=lambda interval: (interval[0] - interval[1], interval)):
        start, stop = (min(max(0.0, seconds * options.fps), num_video_frames) for seconds in interval)
        if stop > start and num_frames:
            for start_frame in _starts(start, stop, num_frames, num_video_frames):
                spans.setdefault(start_frame, FrameSpan(start_frame, num_frames, interval))
    return [spans[start_frame] for start_frame in sorted(spans)]


def _starts(start: float, stop: float, num_frames: int, num_video_frames: int) -> list[int]:
    """List the first frames of the parts that show one interval, given in frames."""
    num_parts = math.ceil((stop - start) / num_frames - 1e-6)
    if num_parts <= 1:
        first = round((start + stop - num_frames) / 2)
        return [min(max(0, first), num_video_frames - num_frames)]
    step = (stop - start - num_frames) / (num_parts - 1)
    return [min(round(start + number * step), num_video_frames - num_frames) for number in range(num_parts)]


def spans_across(intervals: Sequence[tuple[float, float, str]], video_seconds: float, options: SegmentOptions) -> list[FrameSpan]:
    """List the parts that show labelled intervals which go on in the next video, by time.

    Each has the length of a clip. Its middle is that of an interval that fits, else the end of the video. A video that is shorter than a clip has
    none. Of equal parts, that of the longest interval remains.
    """
    border, num_frames = round(video_seconds * options.fps), frames_per_clip(options)
    spans: dict[int, FrameSpan] = {}
    for start, stop, next_video in sorted(intervals, key=lambda interval: (interval[0] - interval[1], interval)):
        fits = (stop - start) * options.fps <= num_frames
        middle = (start + stop) / 2 * options.fps if fits else border
        start_frame = min(max(border - num_frames + 1, round(middle - num_frames / 2)), border - 1)
        if border >= num_frames:
            spans.setdefault(start_frame, FrameSpan(start_frame, num_frames, (start, stop), next_video))
    return [spans[start_frame] for start_frame in sorted(spans)]
