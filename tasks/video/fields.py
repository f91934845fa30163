"""How the optical flow of a clip is kept: a lossless grey video, x above y, one picture a field. Needs no OpenCV.

A decoder of the frame cache imports this and no more: the threads that OpenCV's libraries start are too many for a process a core.
"""

# n: frames of the clip, h, w: pixels; the flow has max(1, n - 1) fields

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from tasks.errors import Unavailable
from tasks.video.frames import iter_frames

FLOW_SUFFIX = ".mkv"

ENCODER_OPTIONS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "coder": "range_def", "context": "0"}
"""FFV1 (RFC 9043): lossless, any width, a checksum a slice, and each field a key frame, so that a single one is read alone."""

FIELDS_A_SECOND = 30
"""Only how fast a player shows the file."""


def num_fields(num_frames: int) -> int:
    """How many fields of flow a clip of so many frames has."""
    return max(1, num_frames - 1)


def write_fields(path: Path, fields: Iterator[NDArray[np.uint8]]) -> int:
    """Write fields that come as uint8 (2h, w), x above y, and give their number. Equal fields make equal bytes.

    Raises:
        Unavailable: the disk is full.
    """
    first = next(fields)
    num_written = 0
    try:
        with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as container:
            stream = container.add_stream("ffv1", rate=FIELDS_A_SECOND, options=ENCODER_OPTIONS)
            stream.height, stream.width = first.shape
            stream.pix_fmt = "gray"
            stream.codec_context.thread_count = 1
            for field in chain([first], fields):
                frame = av.VideoFrame.from_ndarray(field, format="gray")
                frame.pts = num_written
                container.mux(stream.encode(frame))
                num_written += 1
            container.mux(stream.encode())
    except av.error.OSError as error:
        raise Unavailable(f"{path.parent}: {error.strerror}; make room and retry") from error
    return num_written


def iter_fields(path: Path, numbers: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Read one field, uint8 (h, w, 2), x before y, after the other from a file that `write_fields` wrote, in any order.

    Raises:
        BadVideo: the file does not decode, or has fewer fields.
    """
    for stacked in iter_frames(path, numbers, short_side=None, pixel_format="gray"):
        yield np.stack(np.split(stacked, 2), axis=-1)
