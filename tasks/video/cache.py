"""Keeps decoded frames and fields of flow as memory-mapped arrays, one file a clip, so that no clip is decoded twice and memory does not grow.

Shapes: t frames, h and w pixels, p planes: 3 of RGB, or x and y of flow; uint8.
"""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from tasks.disk import shortage, work_folder
from tasks.errors import BadConfiguration, BadVideo, Unavailable
from tasks.keys import frames_made_by
from tasks.video.fields import FLOW_SUFFIX, iter_fields
from tasks.video.frames import iter_frames, scaled_size

HEADER_BYTES = 128

Fetch = Callable[[str, Path], None]
Progress = Callable[[int, int], None]


class BadEntry(BadVideo):
    """The file of an item does not decode or is not what the item says. `key` is the item's."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(f"{key}: {reason}")
        self.key = key


@dataclass(frozen=True)
class CacheItem:
    """Which frames of which clip, or which fields of its optical flow where `flow` names the recipe of that.

    `key` is what `fetch` knows the file by, which for flow is one of `tasks.video.fields` at the cache's short side; `sha256`, `width`
    and `height` are the clip's; `indices` may come twice and fall, as overlapping snippets of a short clip do.
    """

    key: str
    sha256: str
    width: int
    height: int
    indices: tuple[int, ...]
    flow: str | None = None


def cache_frames(
    items: Sequence[CacheItem], root: Path, *, short_side: int, fetch: Fetch, num_processes: int, progress: Progress
) -> list[Path]:
    """Give for each item the path of an array (t, h, w, p), to be opened with `numpy.load(path, mmap_mode="r")`; decode what is missing.

    `fetch(key, path)` writes the file to `path`; it is called from several threads of this process, while other processes decode.
    `num_processes` of 0 takes every core that this process may use. `progress(num_done, num_items)` is called from this thread.

    Raises:
        BadConfiguration: the disk under `root` is too small.
        BadEntry: a clip does not decode or is not what its item says.
        Unavailable: a decoding process was killed, or the disk filled up; a retry goes on where this ended.
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
        ProcessPoolExecutor(num_processes, mp_context=get_context("spawn")) as decoders,
        # Twice as many threads as decoders: while one half waits for its decoder, the other fetches. It bounds the clips on disk, too.
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


def passing_folder(root: Path) -> AbstractContextManager[Path]:
    """A cache of its own under `root`, for entries that nobody needs later: removed at the end, or by a later process where this is killed."""
    root.mkdir(parents=True, exist_ok=True)
    return work_folder(root)


def entry_path(item: CacheItem, root: Path, short_side: int) -> Path:
    """Name an entry for what is in it: the clip's content, the frames and their size, in a folder of what made them.

    A folder, for what a training draws of a clip at random goes by the name of the file and stays as it is with another PyAV.
    """
    frames = hashlib.sha256(json.dumps(item.indices).encode()).hexdigest()[:16]
    flow = f"-{item.flow}" if item.flow else ""
    return root / frames_made_by() / f"{item.sha256}-{short_side}{flow}-{frames}.npy"


def entry_shape(item: CacheItem, short_side: int) -> tuple[int, int, int, int]:
    """Give the shape (t, h, w, p) of an entry."""
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
    """Write frame by frame: a clip need not fit into memory, and a full disk is an error instead of a SIGBUS, as under a memory map."""
    shape = entry_shape(item, short_side)
    frames = iter_fields(clip, item.indices) if item.flow else iter_frames(clip, item.indices, short_side=short_side)
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
        raise BadConfiguration(
            f"{root}: for decoded frames {short}; "
            "make room, point RETAKE_CACHE_DIR to a larger disk, or raise frame_step where the network sees rgb"
        )
