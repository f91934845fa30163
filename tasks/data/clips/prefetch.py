"""Prefetch clips: decode the next ones while the current ones are in use."""

# t: segments, h, w: pixels, p: 8-bit planes of a snippet

import shutil
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.clip_properties import StoredClip
from tasks.data.clips.frame_cache import ChosenFrames, cache_chosen_frames, cache_test_frames, num_test_frames
from tasks.data.clips.stored_sound import MakeDescriber
from tasks.errors import BadInput
from tasks.learn.inputs.clip_files import read_tested
from tasks.learn.networks.spec import NetworkSpec
from tasks.store.objects import Store

CHUNK_CLIPS = 32
"""Most clips decoded per chunk. Enough to amortise starting the processes, few enough that the first are ready soon."""

CHUNK_FRAMES = 2048
"""Most frames of a chunk of several clips, of all networks: about half a gigabyte. All frames of a clip are tens of megabytes."""

NO_FRAMES: NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)


@dataclass(frozen=True)
class DecodedClip:
    """The paths of a clip's arrays, one for each network; `further` is None for a network that takes no further frames of it."""

    tested: list[Path]
    further: list[Path | None]


Decoded = dict[str, DecodedClip | BadInput]
"""By uid: a clip's arrays, or the error."""


class FramesAhead:
    """Decode the test snippets of clips in the background, chunk by chunk, in order.

    One chunk is decoded while another is in use. A decoding error affects only its clip, and is raised when that clip is requested.

    Args:
        store: the store with the clips.
        clips: the clips, in the order in which they will be requested.
        specs: the networks' specs, at least one.
        folder: temporary folder for arrays that are used once: a chunk is deleted when the next one is reached, so that the disk holds at
            most three, and the rest at the end of the block. Without it the arrays stay in this machine's cache.
        describer: describes sound that is missing, as in `cache_test_frames`.
        further: chooses frames besides those of a test, for `load_further`.
    """

    def __init__(
        self,
        store: Store,
        clips: Sequence[StoredClip],
        specs: Sequence[NetworkSpec],
        folder: Path | None = None,
        *,
        describer: MakeDescriber | None = None,
        further: ChosenFrames = lambda clip, spec: (),
    ) -> None:
        self._store = store
        self._specs = specs
        self._folder = folder
        self._describer = describer
        self._further = further
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        size = self._chunk_size(clips)
        self._chunks = [clips[first : first + size] for first in range(0, len(clips), size)]
        self._places = {clip.uid: number for number, chunk in enumerate(self._chunks) for clip in chunk}
        self._jobs: list[Future[Decoded]] = []
        self._start(1)

    def __enter__(self) -> "FramesAhead":
        return self

    def __exit__(self, *_: object) -> None:
        self._decoder.shutdown(cancel_futures=True)
        for number in range(len(self._jobs)):
            self._drop(number)

    def wait(self, clip: StoredClip) -> None:
        """Wait until the clip is decoded.

        Raises:
            BadInput: it is gone, or does not decode.
        """
        self._paths(clip)

    def load(self, clip: StoredClip) -> list[NDArray[np.uint8]]:
        """Wait for the clip, and load its snippets for each network.

        They are uint8 (t, h, w, p). Raises as `wait`.
        """
        return [read_tested(path, spec) for path, spec in zip(self._paths(clip).tested, self._specs, strict=True)]

    def load_further(self, clip: StoredClip) -> list[NDArray[np.uint8]]:
        """Wait for the clip, and load its further frames for each network, uint8 (t, h, w, 3).

        They are empty where none are chosen. Raises as `wait`.
        """
        return [NO_FRAMES if path is None else np.load(path, allow_pickle=False) for path in self._paths(clip).further]

    def _paths(self, clip: StoredClip) -> DecodedClip:
        number = self._places[clip.uid]
        self._start(number + 2)
        if number:
            self._drop(number - 1)
        found = self._jobs[number].result()[clip.uid]
        if isinstance(found, BadInput):
            raise found
        return found

    def _chunk_size(self, clips: Sequence[StoredClip]) -> int:
        """Choose how many clips of the greatest length make a chunk."""
        longest = max(clips, key=lambda clip: clip.num_frames, default=None)
        if longest is None:
            return CHUNK_CLIPS
        num_frames = sum(num_test_frames(longest, spec) + len(self._further(longest, spec)) for spec in self._specs)
        return max(1, min(CHUNK_CLIPS, CHUNK_FRAMES // max(1, num_frames)))

    def _start(self, num_chunks: int) -> None:
        for number, chunk in list(enumerate(self._chunks))[len(self._jobs) : num_chunks]:
            self._jobs.append(self._decoder.submit(self._decode, chunk, self._folder and self._folder / str(number)))

    def _drop(self, number: int) -> None:
        if self._folder:
            shutil.rmtree(self._folder / str(number), ignore_errors=True)

    def _decode(self, clips: Sequence[StoredClip], root: Path | None) -> Decoded:
        try:
            tested = [cache_test_frames(self._store, clips, spec, root, self._describer) for spec in self._specs]
            further = [cache_chosen_frames(self._store, clips, spec, self._further, root) for spec in self._specs]
        except BadInput as error:
            if len(clips) == 1:
                return {clips[0].uid: error}
            # Bisect to find the bad clip: decoded clips are cached, so this costs only a few starts of the decoder.
            middle = len(clips) // 2
            return self._decode(clips[:middle], root) | self._decode(clips[middle:], root)
        return {clip.uid: DecodedClip([paths[clip.uid] for paths in tested], [paths.get(clip.uid) for paths in further]) for clip in clips}
