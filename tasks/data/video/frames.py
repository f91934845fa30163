"""Decode frames of a clip by number, frame-exactly, and scale them; keep its optical flow as a lossless grey video.

Shapes: t frames, h and w pixels, 3 channels RGB, uint8; flow of n frames has max(1, n - 1) fields. Does not import OpenCV: the frame cache's
decoders, one process per core, would start too many of its threads.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from tasks.data.video.inspection import open_video
from tasks.errors import BadVideo, Unavailable
from tasks.options import Interpolation

RESAMPLING: Mapping[Interpolation, Image.Resampling] = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

FLOW_SUFFIX = ".mkv"

ENCODER_OPTIONS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "coder": "range_def", "context": "0"}
"""FFV1 (RFC 9043), with every field a key frame for random access. Lossless, any width, a checksum per slice."""

FIELDS_PER_SECOND = 30
"""Only affects playback speed."""


def read_frames(
    path: Path, indices: Sequence[int], *, short_side: int | None, interpolation: Interpolation = "bilinear"
) -> NDArray[np.uint8]:
    """Decode the frames `indices`, in that order; indices may repeat.

    Returns:
        (t, h, w, 3) RGB, scaled to `short_side`, bilinearly as in TSN's protocol or bicubically, or unscaled if it is None.

    Raises:
        BadVideo: the clip does not decode, or has fewer frames.
    """
    if not indices:
        raise ValueError("indices is empty")
    numbers = sorted(set(indices))
    frames = np.stack(list(iter_frames(path, numbers, short_side=short_side, interpolation=interpolation)))
    return frames if numbers == list(indices) else frames[np.searchsorted(numbers, indices)]


def iter_frames(
    path: Path,
    numbers: Sequence[int],
    *,
    short_side: int | None,
    pixel_format: Literal["rgb24", "gray"] = "rgb24",
    interpolation: Interpolation = "bilinear",
) -> Iterator[NDArray[np.uint8]]:
    """Yield frames (h, w, 3), or (h, w) if grey, scaled as in `read_frames`; a decreasing number seeks backwards.

    Raises:
        BadVideo: the clip does not decode, or has fewer frames.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        coloured = VideoReformatter().reformat  # prepared once for all frames
        try:
            for frame in _pick(path, container, stream, numbers):
                picture = np.asarray(coloured(frame, format=pixel_format).to_ndarray(), dtype=np.uint8)
                yield picture if short_side is None else _scaled(picture, short_side, interpolation)
        except av.error.FFmpegError as error:
            raise BadVideo(f"{path.name}: does not decode ({error.strerror})") from error


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return the size with this short side. The long side is rounded down, as in torchvision's Resize."""
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def _scaled(picture: NDArray[np.uint8], short_side: int, interpolation: Interpolation) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    size = scaled_size(width, height, short_side)
    return picture if size == (width, height) else np.asarray(Image.fromarray(picture).resize(size, RESAMPLING[interpolation]))


def _pick(path: Path, container: InputContainer, stream: VideoStream, numbers: Sequence[int]) -> Iterator[VideoFrame]:
    """Yield frames by number, seeking to a key frame only to skip frames or go back."""
    packets = sorted((p.pts, p.is_keyframe) for p in container.demux(stream) if p.size and p.pts is not None)
    keys = [number for number, (_, is_key) in enumerate(packets) if is_key]
    if not keys or min(numbers) < 0 or max(numbers) >= len(packets):
        raise BadVideo(f"{path.name}: frames {min(numbers)} to {max(numbers)} requested, but it has {len(packets)}")
    container.seek(packets[0][0], stream=stream)
    decoded, position = container.decode(stream), -1
    frame: VideoFrame | None = None
    for number in numbers:
        key = keys[max(0, bisect_right(keys, number) - 1)]
        if position + 1 < key or number < position:
            container.seek(packets[key][0], stream=stream)
            decoded = container.decode(stream)
        if number != position:
            pts = packets[number][0]
            frame = next((frame for frame in decoded if frame.pts == pts), None)
        if frame is None:
            raise BadVideo(f"{path.name}: frame {number} does not decode")
        position = number
        yield frame


def num_fields(num_frames: int) -> int:
    """Return the number of flow fields of a clip of `num_frames` frames."""
    return max(1, num_frames - 1)


def write_pictures(path: Path, pictures: Iterator[NDArray[np.uint8]], *, is_coloured: bool = False) -> int:
    """Write fields of flow, uint8 (2h, w), x above y, or pictures, RGB uint8 (h, w, 3), and return their number.

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
