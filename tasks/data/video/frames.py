"""Decode and cache frames of a clip, or fields of its flow, by number.

Shapes: t frames, h and w pixels, p planes: 3 of RGB, or x and y of flow; uint8. This module does not import OpenCV: the decoders, one process
per core, would start too many of its threads.
"""

import hashlib
import json
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from multiprocessing import get_context
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
from tasks.disk import shortage, work_folder
from tasks.errors import BadVideo, Unavailable
from tasks.keys import frames_made_by
from tasks.options import Interpolation

RESAMPLING: Mapping[Interpolation, Image.Resampling] = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

FLOW_SUFFIX = ".mkv"

ENCODER_OPTIONS = {"level": "3", "g": "1", "slices": "4", "slicecrc": "1", "coder": "range_def", "context": "0"}
"""FFV1 (RFC 9043), with every field a key frame for random access. Lossless, any width, a checksum per slice."""

FIELDS_PER_SECOND = 30
"""Only affects playback speed."""

HEADER_BYTES = 128

Fetch = Callable[[str, Path], None]
Progress = Callable[[int, int], None]


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
    """Yield frames, scaled as in `read_frames`.

    A frame is (h, w, 3), or (h, w) if grey. A decreasing number seeks backwards.

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
    """Return the size with this short side, its long side rounded down as by torchvision."""
    if width <= height:
        return short_side, int(short_side * height / width)
    return int(short_side * width / height), short_side


def _scaled(picture: NDArray[np.uint8], short_side: int, interpolation: Interpolation) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    size = scaled_size(width, height, short_side)
    return picture if size == (width, height) else np.asarray(Image.fromarray(picture).resize(size, RESAMPLING[interpolation]))


def _pick(path: Path, container: InputContainer, stream: VideoStream, numbers: Sequence[int]) -> Iterator[VideoFrame]:
    """Yield frames by number, seeking key frames only to skip frames or go back."""
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
    """Write fields of flow, or pictures, and return their number.

    Fields are uint8 (2h, w), x above y; pictures are RGB uint8 (h, w, 3). Equal pictures give equal bytes.

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


class BadEntry(BadVideo):
    """The file of the item `key` does not decode, or does not match the item."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


@dataclass(frozen=True)
class CacheItem:
    """Frames of a clip, or fields of its flow if `flow` names a recipe.

    `key` identifies the file for `fetch`; a flow file is as `write_pictures` makes it, at the cache's short side. `sha256`, `width` and
    `height` are the clip's. `indices` may repeat and decrease, as for overlapping snippets of a short clip.
    """

    key: str
    sha256: str
    width: int
    height: int
    indices: tuple[int, ...]
    flow: str | None = None
    interpolation: Interpolation = "bilinear"


def cache_frames(
    items: Sequence[CacheItem], root: Path, *, short_side: int, fetch: Fetch, num_processes: int, progress: Progress
) -> list[Path]:
    """Decode missing items, and return the file of each item's array (t, h, w, p).

    Open a file by `numpy.load(path, mmap_mode="r")`.

    `fetch(key, path)` writes a clip to `path`; several threads of this process call it, while other processes decode. `num_processes` 0 means
    all cores that this process may use. This thread calls `progress(num_done, num_items)`.

    Raises:
        BadEntry: a clip does not decode, or does not match its item.
        Unavailable: a decoding process was killed, or the disk has no room; a retry keeps the finished items.
    """
    root.mkdir(parents=True, exist_ok=True)
    paths = [entry_path(item, root, short_side) for item in items]
    missing = {path: item for path, item in zip(paths, items, strict=True) if not _is_whole(path, entry_shape(item, short_side))}
    num_done = len(items) - len(missing)
    progress(num_done, len(items))
    if not missing:
        return paths
    _check_space(root, sum(HEADER_BYTES + int(np.prod(entry_shape(item, short_side))) for item in missing.values()))
    num_processes = num_processes or len(os.sched_getaffinity(0))
    with (
        work_folder(root) as work,
        nullcontext(_kept[-1]) if _kept else _decoders(num_processes) as decoders,
        # Two threads per decoder: one fetches while the other waits for its decoder. This also bounds the number of fetched clips on disk.
        ThreadPoolExecutor(2 * num_processes) as fetchers,
    ):
        jobs = [
            fetchers.submit(_make_entry, item, path, work, short_side=short_side, fetch=fetch, decoders=decoders)
            for path, item in missing.items()
        ]
        try:
            for num_made, job in enumerate(as_completed(jobs), 1):
                job.result()
                progress(num_done + num_made, len(items))
        except BrokenProcessPool as error:
            raise Unavailable(
                f"{root}: a decoding process was killed, probably for lack of memory; lower RETAKE_NUM_PROCESSES and retry"
            ) from error
        finally:
            fetchers.shutdown(cancel_futures=True)
    return paths


_kept: list[ProcessPoolExecutor] = []


@contextmanager
def kept_decoders(num_processes: int) -> Iterator[None]:
    """Let all calls of `cache_frames` in the block share their processes, whose start takes long."""
    with _decoders(num_processes) as decoders:
        _kept.append(decoders)
        try:
            yield
        finally:
            _kept.remove(decoders)


def _decoders(num_processes: int) -> ProcessPoolExecutor:
    # Else numpy's OpenBLAS, which no decoder needs, starts a thread for each core in each of them: with many cores more than a container may
    # have, and numpy cannot be imported. This process has loaded it already.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    return ProcessPoolExecutor(num_processes or len(os.sched_getaffinity(0)), mp_context=get_context("spawn"))


def entry_path(item: CacheItem, root: Path, short_side: int) -> Path:
    """Return an entry's path: its name tells content, frames and size, its folder the decoder.

    The name seeds a training's random draws, which must not change with PyAV.
    """
    frames = hashlib.sha256(json.dumps(item.indices).encode()).hexdigest()[:16]
    flow = f"-{item.flow}" if item.flow else ""
    scaled = "" if item.interpolation == "bilinear" else f"-{item.interpolation}"
    return root / frames_made_by() / f"{item.sha256}-{short_side}{flow}{scaled}-{frames}.npy"


def entry_shape(item: CacheItem, short_side: int) -> tuple[int, int, int, int]:
    """Return the shape (t, h, w, p) of an entry."""
    width, height = scaled_size(item.width, item.height, short_side)
    return len(item.indices), height, width, 2 if item.flow else 3


def _make_entry(item: CacheItem, path: Path, work: Path, *, short_side: int, fetch: Fetch, decoders: Executor) -> None:
    clip, array = work / f"{path.stem}{FLOW_SUFFIX if item.flow else '.mp4'}", work / path.name
    try:
        fetch(item.key, clip)
        decoders.submit(_write_array, item, clip, array, short_side).result()
        path.parent.mkdir(exist_ok=True)
        array.replace(path)
    except BadVideo as error:
        raise BadEntry(item.key, str(error).removeprefix(f"{clip.name}: ")) from error
    finally:
        clip.unlink(missing_ok=True)
        array.unlink(missing_ok=True)


def _write_array(item: CacheItem, clip: Path, array: Path, short_side: int) -> None:
    """Write an array frame by frame, so that a clip need not fit into memory."""
    shape = entry_shape(item, short_side)
    if item.flow:
        frames = iter_fields(clip, item.indices)
    else:
        frames = iter_frames(clip, item.indices, short_side=short_side, interpolation=item.interpolation)
    try:
        # No memory map: a full disk would raise SIGBUS instead of an error.
        with array.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
            for frame in frames:
                if frame.shape != shape[1:]:
                    raise BadVideo(f"its frames are {frame.shape[1]}x{frame.shape[0]} pixels instead of {shape[2]}x{shape[1]}")
                file.write(np.ascontiguousarray(frame).data)
    except OSError as error:
        raise Unavailable(f"{array.parent}: {error.strerror}; make room and retry") from error


def _is_whole(path: Path, shape: tuple[int, ...]) -> bool:
    try:
        array = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return bool(array.shape == shape and array.dtype == np.uint8)


def _check_space(root: Path, need_bytes: int) -> None:
    if short := shortage(root, need_bytes):
        raise Unavailable(
            f"{root}: for decoded frames {short}; "
            "make room, point RETAKE_CACHE_DIR to a larger disk, or raise frame_step if the modality is rgb"
        )
