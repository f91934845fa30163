"""Sample a clip's frames by TSN's segments (arXiv 1608.00859), one snippet of consecutive frames each."""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet

import numpy as np
from numpy.typing import NDArray

from tasks.learn.spec import NetworkSpec


def window_frames(num_frames: int, window: float, snippet_frames: int = 1) -> range:
    """List the frames of the sampling window: this middle share of the clip.

    Its length is rounded to whole frames; it is at least that of a snippet, or of the clip if that is shorter. An odd rest of the clip has
    its larger part behind the window.
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
    """List the frames of a test in the order of the array that holds them: of a video network all at its rate, because its views overlap."""
    return tuple(kept_frames(num_frames, spec)) if spec.video else middle_frames(num_frames, spec)


def kept_frames(num_frames: int, spec: NetworkSpec) -> range:
    """List the frames of a clip that snippets are made of: those of the sampling window, for a video network at its own rate."""
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
    """Sample the middle snippet of each segment, as in testing.

    Snippet i starts at frame int(tick/2 + tick*i), with tick = (num_frames - snippet_frames + 1) / num_segments. A clip shorter than a
    snippet repeats its last frame.

    Returns:
        t lists of m frame numbers, in non-decreasing order.

    Raises:
        ValueError: there are no frames.
    """
    tick = _tick(num_frames, num_segments, snippet_frames)
    return [_frames_from(int(tick / 2 + tick * i), num_frames, snippet_frames) for i in range(num_segments)]


def random_snippets(
    num_frames: int, num_segments: int, rng: np.random.Generator, snippet_frames: int = 1, segment_length: float = 1
) -> list[list[int]]:
    """Sample a snippet with a random start in each segment, as in training.

    It starts in the middle `segment_length`, a share, of the segment. A clip with fewer frames than segments repeats frames.

    Raises:
        ValueError: there are no frames.
    """
    tick = _tick(num_frames, num_segments, snippet_frames)
    last = max(0, num_frames - snippet_frames)
    places = (1 - segment_length) / 2 + segment_length * rng.random(num_segments)
    return [_frames_from(min(int(tick * (i + u)), last), num_frames, snippet_frames) for i, u in enumerate(places)]


def joined(frames: NDArray[np.uint8], spec: NetworkSpec) -> NDArray[np.uint8]:
    """Join the frames of all snippets into snippets (t, h, w, p).

    The input is (t * m, h, w, planes per frame).
    """
    _, height, width, _ = frames.shape
    apart = frames.reshape(-1, spec.snippet.num_frames, height, width, spec.snippet.frame_planes)
    return np.ascontiguousarray(apart.transpose(0, 2, 3, 1, 4)).reshape(len(apart), height, width, spec.snippet.num_planes)


def _tick(num_frames: int, num_segments: int, snippet_frames: int) -> float:
    if num_frames < 1:
        raise ValueError("a clip without frames cannot be sampled")
    return max(1, num_frames - snippet_frames + 1) / num_segments


def _frames_from(first: int, num_frames: int, snippet_frames: int) -> list[int]:
    return [min(first + i, num_frames - 1) for i in range(snippet_frames)]
