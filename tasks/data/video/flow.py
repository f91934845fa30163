"""Compute a clip's optical flow: each pixel's x and y motion in 8 bits.

The method is TV-L1 (Zach, Pock, Bischof, DAGM 2007) with OpenCV's default settings, as in TSN's dense_flow and EPIC-KITCHENS-55's gpu_flow,
which ran on a GPU; or DIS (arXiv 1603.03590) with OpenCV's medium preset.
EPIC's published flow uses 60 fps video, pairs every second frame with the third one after it, and is clipped to 25 pixels. Ours pairs each
frame with the next and is clipped to 20 pixels, like TSN's. The same motion in 30 fps clips is therefore two thirds as many
pixels, and 0.83 times as far from middle grey, as in the flow that EPIC's networks were trained on.
"""

# n: frames of the clip, h, w: pixels; the flow has max(1, n - 1) fields

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.data.video.frames import iter_frames, write_pictures
from tasks.options import FlowOptions

Picture = NDArray[np.uint8]

BOUND_PIXELS = 20
"""Motion is clipped to this in both directions, as in TSN."""

FIELDS_AHEAD = 2
"""Number of fields per thread that are computed ahead of writing. It bounds memory use for long clips."""


class FlowMaker:
    """Computes optical flow on a thread pool shared by concurrently written clips.

    OpenCV releases the GIL, and its own threads bring no gain here: each of `num_threads` threads computes a pair of frames, so that a single
    clip uses all cores; 0 means all cores that this process may use. A field depends only on its two frames, the options, OpenCV's version
    and the processor type.
    """

    def __init__(self, options: FlowOptions, num_threads: int = 0) -> None:
        cv2.setNumThreads(1)
        self.num_threads = num_threads or len(os.sched_getaffinity(0))
        self._options = options
        self._pool = ThreadPoolExecutor(self.num_threads, thread_name_prefix="flow")

    def __enter__(self) -> "FlowMaker":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, clip: Path, path: Path, *, num_frames: int, short_side: int) -> int:
        """Write the flow of a clip of `num_frames` frames, and return the number of fields.

        Frames are scaled as in `tasks.data.video.frames` and converted to grey. A clip of one frame has one field without motion. The same clip
        gives the same bytes on the same machine.

        Raises:
            BadVideo: the clip does not decode, or has fewer frames.
            Unavailable: the disk is full.
        """
        frames = iter_frames(clip, range(num_frames), short_side=short_side)
        grey = (np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames)
        pairs = pairwise(grey) if num_frames > 1 else ((frame, frame) for frame in grey)
        return write_pictures(path, self._fields(pairs))

    def _fields(self, pairs: Iterable[tuple[Picture, Picture]]) -> Iterator[Picture]:
        """Yield the fields in the order of the pairs."""
        ahead: deque[Future[Picture]] = deque()
        for pair in pairs:
            ahead.append(self._pool.submit(self._field, *pair))
            if len(ahead) > FIELDS_AHEAD * self.num_threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()

    def _field(self, first: Picture, second: Picture) -> Picture:
        """Compute one field, uint8 (2h, w): x above y."""
        if self._options.flow_method == "tvl1":
            algorithm: cv2.DenseOpticalFlow = cv2.optflow.DualTVL1OpticalFlow.create()
        else:
            algorithm = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        flow = np.asarray(algorithm.calc(first, second, None), np.float32)  # type: ignore[call-overload] # None: no initial flow
        x, y = np.moveaxis(quantise(flow, BOUND_PIXELS), -1, 0)
        return np.concatenate([x, y])


def quantise(flow: NDArray[np.float32], bound_pixels: float) -> Picture:
    """Clip flow in pixels to the bound, and quantise it.

    Minus the bound becomes 0, zero 128, the bound 255.
    """
    levels: NDArray[np.float32] = np.rint((np.clip(flow, -bound_pixels, bound_pixels) + bound_pixels) * (255 / (2 * bound_pixels)))
    return levels.astype(np.uint8)
