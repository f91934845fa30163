"""Clips decoded beside the work on those that are decoded already."""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tasks.model.spec import NetworkSpec
from tasks.steps._frames import StoredClip, cache_test_frames, load_snippets
from tasks.storage import Store

CHUNK_CLIPS = 32
"""Clips whose decoding is started at once: enough that starting its processes costs little, few enough that the first are soon there."""


class FramesAhead:
    """The test snippets of clips for one or several networks, decoded into this machine's cache chunk by chunk, in their order, while the block goes on.

    What is ahead lies on disk, not in memory. An error of decoding shows at the first clip of its chunk that is waited for.
    """

    def __init__(self, store: Store, clips: Sequence[StoredClip], specs: Sequence[NetworkSpec]) -> None:
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._specs = specs
        self._paths: dict[str, Future[list[dict[str, Path]]]] = {}
        for first in range(0, len(clips), CHUNK_CLIPS):
            chunk = clips[first : first + CHUNK_CLIPS]
            job = self._decoder.submit(self._decode, store, chunk)
            self._paths.update(dict.fromkeys((clip.uid for clip in chunk), job))

    def __enter__(self) -> "FramesAhead":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._decoder.shutdown(cancel_futures=True)

    def wait(self, clip: StoredClip) -> None:
        """Return when the clip is decoded."""
        self._paths[clip.uid].result()

    def load(self, clip: StoredClip) -> list[NDArray[np.uint8]]:
        """For each network the clip's snippets, uint8 (t, h, w, p), once it is decoded."""
        return [load_snippets(paths[clip.uid], spec) for paths, spec in zip(self._paths[clip.uid].result(), self._specs, strict=True)]

    def _decode(self, store: Store, clips: Sequence[StoredClip]) -> list[dict[str, Path]]:
        return [cache_test_frames(store, clips, spec) for spec in self._specs]
