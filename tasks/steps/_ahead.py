"""Clips decoded beside the work on those that are decoded already."""

# t: frames, h, w: pixels

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from tasks.results.dataset import DatasetClip
from tasks.steps._frames import cache_test_frames
from tasks.storage import Store

CHUNK_CLIPS = 32
"""Clips whose decoding is started at once: enough that starting its processes costs little, few enough that the first are soon there."""


class FramesAhead:
    """The test frames of clips, decoded into this machine's cache chunk by chunk, in their order, while the block goes on.

    What is ahead lies on disk, not in memory. An error of decoding shows at the first clip of its chunk that is waited for.
    """

    def __init__(self, store: Store, clips: Sequence[DatasetClip], num_segments: int) -> None:
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._paths: dict[str, Future[dict[str, Path]]] = {}
        for first in range(0, len(clips), CHUNK_CLIPS):
            chunk = clips[first : first + CHUNK_CLIPS]
            job = self._decoder.submit(cache_test_frames, store, chunk, num_segments)
            self._paths.update(dict.fromkeys((clip.uid for clip in chunk), job))

    def __enter__(self) -> "FramesAhead":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._decoder.shutdown(cancel_futures=True)

    def wait(self, clip: DatasetClip) -> None:
        """Return when the clip is decoded."""
        self._paths[clip.uid].result()

    def load(self, clip: DatasetClip) -> NDArray[np.uint8]:
        """The clip's frames, uint8 RGB (t, h, w, 3), once it is decoded."""
        frames: NDArray[np.uint8] = np.load(self._paths[clip.uid].result()[clip.uid])
        return frames
