"""Choose the parts of a video to cut as clips around labelled intervals."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tasks.options import SegmentOptions


class FrameSpan(NamedTuple):
    """A part of a video, in frames of the clips' constant rate, and the interval in seconds that it was chosen for."""

    start_frame: int
    num_frames: int
    interval: tuple[float, float]


def interval_spans(intervals: Sequence[tuple[float, float]], video_seconds: float, options: SegmentOptions) -> list[FrameSpan]:
    """List the parts of a video that show its labelled intervals, by time.

    A part has the length of a clip, or that of a shorter video. An interval that fits has its middle in the middle of its part, as far as
    the video allows; a longer one is covered by parts at equal distances, from its start to its end. Of equal parts, that of the longest
    interval remains.

    Args:
        intervals: start and stop in seconds; what lies beyond the video is ignored.
        video_seconds: duration of the video.
        options: the clip length and the frame rate.
    """
    num_video_frames = int(video_seconds * options.fps + 1e-6)
    num_frames = min(round(options.clip_seconds * options.fps), num_video_frames)
    found: dict[int, FrameSpan] = {}
    for interval in sorted(intervals, key=lambda one: (one[0] - one[1], one)):
        start, stop = (min(max(0.0, seconds * options.fps), num_video_frames) for seconds in interval)
        if stop > start and num_frames:
            for start_frame in _starts(start, stop, num_frames, num_video_frames):
                found.setdefault(start_frame, FrameSpan(start_frame, num_frames, interval))
    return [found[start_frame] for start_frame in sorted(found)]


def _starts(start: float, stop: float, num_frames: int, num_video_frames: int) -> list[int]:
    """List the first frames of the parts that show one interval, given in frames."""
    num_parts = math.ceil((stop - start) / num_frames - 1e-6)
    if num_parts <= 1:
        first = round((start + stop - num_frames) / 2)
        return [min(max(0, first), num_video_frames - num_frames)]
    step = (stop - start - num_frames) / (num_parts - 1)
    return [min(round(start + number * step), num_video_frames - num_frames) for number in range(num_parts)]
