"""Decoded frames as steps need them, in this machine's cache. Needs no torch."""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.model.sampling import joined, middle_snippets
from tasks.model.spec import NetworkSpec
from tasks.options import Modality
from tasks.settings import MachineSettings, load
from tasks.steps._step import log
from tasks.storage import Store
from tasks.video.cache import CacheItem, cache_frames

SHORT_SIDE = 256
"""Of every cached frame, in pixels: what the crops of TSN's protocol are cut from."""


class StoredClip(Protocol):
    """A clip in the store, whether it is part of a dataset or not."""

    @property
    def uid(self) -> str: ...
    @property
    def uri(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def num_frames(self) -> int: ...


def rgb_frames(num_segments: int) -> NetworkSpec:
    """Stands for one RGB frame a segment, which people and fingerprints look at whatever the network sees."""
    return NetworkSpec(backbone="none", num_segments=num_segments)


def cache_test_frames(store: Store, clips: Sequence[StoredClip], spec: NetworkSpec) -> dict[str, Path]:
    """By uid, the cached array (t * m, h, w, 3) of the frames that a test of such a network looks at, snippet after snippet."""
    return _cache(store, clips, [_test_frames(clip.num_frames, spec) for clip in clips])


def cache_train_frames(store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, frame_step: int) -> dict[str, Path]:
    """By uid, the cached array (t, h, w, 3) of every `frame_step`-th frame, from which training draws; of all where a snippet has several."""
    step = frame_step if spec.modality is Modality.RGB else 1
    return _cache(store, clips, [tuple(range(0, clip.num_frames, step)) for clip in clips])


def load_snippets(path: Path, spec: NetworkSpec) -> NDArray[np.uint8]:
    """The test snippets, uint8 (t, h, w, p), of one array of `cache_test_frames`."""
    return joined(np.load(path), spec)


def _test_frames(num_frames: int, spec: NetworkSpec) -> tuple[int, ...]:
    snippets = middle_snippets(num_frames, spec.num_segments, spec.snippet.num_frames)
    return tuple(number for snippet in snippets for number in snippet)


def _cache(store: Store, clips: Sequence[StoredClip], frames: Sequence[tuple[int, ...]]) -> dict[str, Path]:
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
