"""Store a clip's optical flow as a lossless grey video.

One picture per field, x above y. Does not import OpenCV: the frame cache's decoders, one process per core, would start too many of its
threads.
"""

# n: frames of the clip, h, w: pixels; the flow has max(1, n - 1) fields

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from tasks.data.video.frames import iter_frames
from tasks.errors import Unavailable

FLOW_SUFFIX = ".mkv"

ENCODER_OPTIONS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "coder": "range_def", "context": "0"}
"""FFV1 (RFC 9043), with every field a key frame for random access. Lossless, any width, a checksum per slice."""

FIELDS_PER_SECOND = 30
"""Only affects playback speed."""


def num_fields(num_frames: int) -> int:
    """Return the number of flow fields of a clip of `num_frames` frames."""
    return max(1, num_frames - 1)


def write_pictures(path: Path, pictures: Iterator[NDArray[np.uint8]], *, is_coloured: bool = False) -> int:
    """Write fields of flow or pictures, and return their number.

    Fields are uint8 (2h, w), x above y; pictures are RGB uint8 (h, w, 3).

    Equal pictures give equal bytes.

    Raises:
        Unavailable: the disk is full.
    """
    first = next(pictures)
    given, kept = ("rgb24", "bgr0") if is_coloured else ("gray", "gray")
    num_written = 0
    try:
        with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream("ffv1", rate=FIELDS_PER_SECOND, options=ENCODER_OPTIONS)
            stream.height, stream.width = first.shape[:2]
            stream.pix_fmt = kept
            stream.codec_context.thread_count = 1
            for picture in chain([first], pictures):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=given)
                frame.pts = num_written
                container.mux(stream.encode(frame))
                num_written += 1
            container.mux(stream.encode())
    except av.error.OSError as error:
        raise Unavailable(f"{path.parent}: {error.strerror}; make room and retry") from error
    return num_written


def iter_fields(path: Path, numbers: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Yield fields, uint8 (h, w, 2) with x before y, by number, in any order.

    Raises:
        BadVideo: the file does not decode, or has fewer fields.
    """
    for stacked in iter_frames(path, numbers, short_side=None, pixel_format="gray"):
        yield np.stack(np.split(stacked, 2), axis=-1)
