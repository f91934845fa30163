"""Decode frames of a clip by number, frame-exactly, and scale them.

Shapes: t frames, h and w pixels, 3 channels RGB, uint8.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import av.error
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image

from tasks.data.video.source import open_video
from tasks.errors import BadVideo
from tasks.options import Interpolation

RESAMPLING: Mapping[Interpolation, Image.Resampling] = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


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
    """Yield frames (h, w, 3), or (h, w) if grey, scaled as in `read_frames`.

    A decreasing number seeks backwards.

    Raises:
        BadVideo: the clip does not decode, or has fewer frames.
    """
    with open_video(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        try:
            for frame in _pick(path, container, stream, numbers):
                picture = np.asarray(frame.to_ndarray(format=pixel_format), dtype=np.uint8)
                yield picture if short_side is None else _scaled(picture, short_side, interpolation)
        except av.error.FFmpegError as error:
            raise BadVideo(f"{path.name}: does not decode ({error.strerror})") from error


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return the size with this short side.

    The long side is rounded down, as in torchvision's Resize.
    """
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def _scaled(picture: NDArray[np.uint8], short_side: int, interpolation: Interpolation) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    size = scaled_size(width, height, short_side)
    return picture if size == (width, height) else np.asarray(Image.fromarray(picture).resize(size, RESAMPLING[interpolation]))


def _pick(path: Path, container: InputContainer, stream: VideoStream, numbers: Sequence[int]) -> Iterator[VideoFrame]:
    """Yield frames by number.

    Seeks to a key frame only to skip frames or go back.
    """
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
