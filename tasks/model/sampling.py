"""Which frames of a clip a network sees: TSN's segments (arXiv 1608.00859), one frame each."""

import numpy as np


def middle_frames(num_frames: int, num_segments: int) -> list[int]:
    """The middle frame of each segment: int(tick/2 + tick*i) with tick = num_frames / num_segments.

    Raises:
        ValueError: there is no frame.
    """
    tick = _tick(num_frames, num_segments)
    return [int(tick / 2 + tick * i) for i in range(num_segments)]


def random_frames(num_frames: int, num_segments: int, rng: np.random.Generator) -> list[int]:
    """A random frame inside each segment; a clip shorter than its segments repeats frames.

    Raises:
        ValueError: there is no frame.
    """
    tick = _tick(num_frames, num_segments)
    return [min(int(tick * (i + u)), num_frames - 1) for i, u in enumerate(rng.random(num_segments))]


def _tick(num_frames: int, num_segments: int) -> float:
    if num_frames < 1:
        raise ValueError("a clip without frames cannot be sampled")
    return num_frames / num_segments
