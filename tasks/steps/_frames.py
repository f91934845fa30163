"""Decoded frames as steps need them, in this machine's cache. Needs no torch."""

# t: frames, h, w: pixels

from collections.abc import Sequence
from pathlib import Path

from tasks.model.sampling import middle_frames
from tasks.results.dataset import DatasetClip
from tasks.settings import MachineSettings, load
from tasks.steps._step import log
from tasks.storage import Store
from tasks.video.cache import CacheItem, cache_frames

SHORT_SIDE = 256
"""Of every cached frame, in pixels: what the crops of TSN's protocol are cut from."""


def cache_test_frames(store: Store, clips: Sequence[DatasetClip], num_segments: int) -> dict[str, Path]:
    """By uid, the cached array (t, h, w, 3) of the frames that a test looks at."""
    return _cache(store, clips, [tuple(middle_frames(clip.num_frames, num_segments)) for clip in clips])


def cache_train_frames(store: Store, clips: Sequence[DatasetClip], frame_step: int) -> dict[str, Path]:
    """By uid, the cached array (t, h, w, 3) of every `frame_step`-th frame, from which training draws."""
    return _cache(store, clips, [tuple(range(0, clip.num_frames, frame_step)) for clip in clips])


def _cache(store: Store, clips: Sequence[DatasetClip], frames: Sequence[tuple[int, ...]]) -> dict[str, Path]:
    machine = load(MachineSettings)
    items = [
        CacheItem(key=clip.uri, sha256=clip.sha256, width=clip.width, height=clip.height, indices=indices)
        for clip, indices in zip(clips, frames, strict=True)
    ]
    paths = cache_frames(
        items,
        machine.cache_dir.expanduser() / "frames",
        short_side=SHORT_SIDE,
        fetch=store.read_file,
        num_processes=machine.num_processes,
        progress=_report,
    )
    return {clip.uid: path for clip, path in zip(clips, paths, strict=True)}


def _report(num_done: int, num_all: int) -> None:
    if num_done == num_all or num_done % max(1, num_all // 10) == 0:
        log.info("frames cached of %d of %d clips", num_done, num_all)
