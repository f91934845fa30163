"""Decode frames and flow fields once, into memory-mapped arrays, one file per clip.

Shapes: t frames, h and w pixels, p planes: 3 of RGB, or x and y of flow; uint8.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tasks.data.video.frames import FLOW_SUFFIX, iter_fields, iter_frames, scaled_size
from tasks.disk import shortage, work_folder
from tasks.errors import BadVideo, Unavailable
from tasks.keys import frames_made_by
from tasks.options import Interpolation

HEADER_BYTES = 128

Fetch = Callable[[str, Path], None]
Progress = Callable[[int, int], None]


class BadEntry(BadVideo):
    """An item's file does not decode, or does not match the item. `key` is the item's."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


@dataclass(frozen=True)
class CacheItem:
    """Frames of a clip, or fields of its optical flow.

    Fields if `flow` names a flow recipe. `key` identifies the file for `fetch`; a flow file is in the format of `tasks.data.video.frames`, at
    the cache's short side. `sha256`, `width` and `height` are the clip's. `indices` may repeat and decrease, as for overlapping snippets of
    a short clip.
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
    """Decode missing items, and return each item's array file.

    It is (t, h, w, p), to be opened with `numpy.load(path, mmap_mode="r")`. `fetch(key, path)` writes the file to `path`; it is called from
    several threads of this process, while other processes decode. `num_processes` 0 means all cores that this process may use.
    `progress(num_done, num_items)` is called from this thread.

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
    """Let all calls of `cache_frames` in the block share their processes.

    Their start takes as long as some clips.
    """
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
    """Return an entry's path.

    It is named by content, frames and size, in a folder per decoder version. The version is not part of the file name, because the name
    seeds a training's random draws, which must not change with PyAV.
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
    """Write an array frame by frame, so that a clip need not fit into memory.

    In a memory map a full disk would raise SIGBUS instead of an error.
    """
    shape = entry_shape(item, short_side)
    scale = partial(iter_frames, short_side=short_side, interpolation=item.interpolation)
    frames = iter_fields(clip, item.indices) if item.flow else scale(clip, item.indices)
    try:
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
