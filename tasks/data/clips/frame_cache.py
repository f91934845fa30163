"""Cache decoded frames and optical flow for networks, and decode frames ahead of their use.

This module does not import torch.
"""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet

import logging
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.flow_and_sound import cache_audio, cache_root, compute_flow, flow_uri, leave_out_silent, without_flow
from tasks.data.clips.stored_clips import StoredClip
from tasks.data.video.frames import BadEntry, CacheItem, cache_frames, kept_decoders, num_fields
from tasks.disk import work_folder
from tasks.errors import BadInput, BadVideo
from tasks.keys import flow_recipe_of
from tasks.learn.inputs.snippets import frames_in_test, kept_frames, read_tested
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.wording import count_with_verb, some

log = logging.getLogger("retake")

ChosenFrames = Callable[[StoredClip, NetworkSpec], tuple[int, ...]]
"""Chooses frames of a clip for a network."""

CHUNK_CLIPS = 32
"""Most clips of a chunk: enough to amortise starting the processes, few enough that the first are ready soon."""

CHUNK_FRAMES = 2048
"""Most frames of a chunk of several clips, of all networks: about half a gigabyte. All frames of a clip are tens of megabytes."""

NO_FRAMES: NDArray[np.uint8] = np.empty((0, 0, 0, 3), np.uint8)


def rgb_frames(num_segments: int) -> NetworkSpec:
    """Build a spec of one RGB frame per segment, for contact sheets and fingerprints."""
    return NetworkSpec(backbone="none", num_segments=num_segments)


def passing_frames() -> AbstractContextManager[Path]:
    """Create a `work_folder` on the cache's disk, for frames that are used once."""
    root = cache_root()
    root.mkdir(parents=True, exist_ok=True)
    return work_folder(root)


def sharing_decoders() -> AbstractContextManager[None]:
    """Let the same processes decode all frames that are cached in the block."""
    return kept_decoders(load(MachineSettings).num_processes)


def cache_test_frames(store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, root: Path | None = None) -> dict[str, Path]:
    """Cache the test frames of each clip, snippet by snippet; return paths by uid.

    Arrays are (t * m, h, w, 3), or (t * m, h, w, 2) for flow; of a video network all frames at its rate, because its views overlap; of sound
    they are those of `cache_audio`. They are in this machine's cache, or under `root`.

    Raises:
        BadVideo: a clip does not decode, or clips have no readable flow in the store and it cannot be computed from them; the message lists
            them. No clip is skipped, since networks are compared on the same clips.
    """
    if spec.sound:
        return cache_audio(store, clips, root or cache_root())
    if spec.flow and (bad := _complete_flow(store, clips, spec.flow)):
        raise _without_flow(bad, len(clips))
    return _cache(store, clips, [frames_in_test(_num_frames(clip, spec), spec) for clip in clips], spec, root or cache_root())


def cache_train_frames(store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, options: TrainOptions) -> dict[str, Path]:
    """Cache the frames that training samples from; return paths by uid.

    Arrays are (t, h, w, 3), or (t, h, w, 2) for flow: every `frame_step`-th frame of the sampling window, all of its frames if a snippet has
    several, or the test frames if training does not sample. A clip whose flow is missing and cannot be computed, or in which a network of
    sound has nothing to hear, is skipped with a warning.

    Raises:
        BadVideo: a clip does not decode, or no clip has flow.
    """
    if spec.sound:
        return leave_out_silent(clips, cache_audio(store, clips, cache_root()))
    if spec.flow and (bad := _complete_flow(store, clips, spec.flow)):
        error, lacking = _without_flow(bad, len(clips)), {clip.name for clip in bad}
        if len(lacking) == len(clips):
            raise error
        log.warning("skipped in training: %s", error)
        clips = [clip for clip in clips if clip.uid not in lacking]
    step = options.frame_step if spec.modality is Modality.RGB and not spec.video else 1

    def seen(num_frames: int) -> tuple[int, ...]:
        if options.train_frames == "middle":
            return frames_in_test(num_frames, spec)
        return tuple(kept_frames(num_frames, spec)[::step])

    return _cache(store, clips, [seen(_num_frames(clip, spec)) for clip in clips], spec, cache_root())


def load_few(store: Store, clips: Sequence[StoredClip], spec: NetworkSpec) -> list[NDArray[np.uint8]]:
    """Load the test input of each of these clips into memory.

    Frames are uint8 (t, h, w, p). Raises as `cache_test_frames`.
    """
    paths = cache_test_frames(store, clips, spec)
    return [read_tested(paths[clip.uid], spec) for clip in clips]


def _num_frames(clip: StoredClip, spec: NetworkSpec) -> int:
    return num_fields(clip.num_frames) if spec.flow else clip.num_frames


def _cache(store: Store, clips: Sequence[StoredClip], frames: Sequence[tuple[int, ...]], spec: NetworkSpec, root: Path) -> dict[str, Path]:
    items = [
        CacheItem(
            key=flow_uri(clip.uri, spec.flow) if spec.flow else clip.uri,
            sha256=clip.sha256,
            width=clip.width,
            height=clip.height,
            indices=indices,
            flow=flow_recipe_of(spec.flow) if spec.flow else None,
            interpolation=spec.interpolation,
        )
        for clip, indices in zip(clips, frames, strict=True)
    ]
    computed_again: set[str] = set()
    while True:
        try:
            paths = cache_frames(
                items,
                root,
                short_side=SHORT_SIDE,
                fetch=store.read_file,
                num_processes=load(MachineSettings).num_processes,
                progress=_report,
            )
        except BadEntry as error:
            if spec.flow is None or error.key in computed_again:
                raise
            log.warning("%s; recomputing this optical flow", error)
            damaged = [clip for clip in clips if flow_uri(clip.uri, spec.flow) == error.key]
            if bad := compute_flow(store, damaged, spec.flow).set_aside:
                raise BadVideo(f"{error}; its clip cannot be read to recompute it: {_without_flow(bad, len(clips))}") from error
            computed_again.add(error.key)
        else:
            return {clip.uid: path for clip, path in zip(clips, paths, strict=True)}


def _complete_flow(store: Store, clips: Sequence[StoredClip], options: FlowOptions) -> tuple[SetAside, ...]:
    """Compute missing flow, as for a champion with other options; return the failing clips."""
    missing = without_flow(store, clips, options)
    if not missing:
        return ()
    log.info("%d of %d clips have no optical flow (%s) in the store; computing it now", len(missing), len(clips), options.flow_method)
    return compute_flow(store, missing, options).set_aside


def _without_flow(bad: Sequence[SetAside], num_clips: int) -> BadVideo:
    return BadVideo(
        f"{count_with_verb(len(bad), 'clip', 'has', 'have', of=num_clips)} no optical flow: {some([f'{clip.name}: {clip.reason}' for clip in bad])}. "
        "Delete the clips.json beside them in the store and cut their videos again (ingest_videos), or choose an input other than flow"
    )


def _report(num_done: int, num_all: int) -> None:
    if num_done == num_all or num_done % max(1, num_all // 10) == 0:
        log.info("frames cached for %d of %d clips", num_done, num_all)


@dataclass(frozen=True)
class DecodedClip:
    """The paths of a clip's arrays, one for each network.

    `further` has None for a network that takes no further frames.
    """

    tested: list[Path]
    further: list[Path | None]


Decoded = dict[str, DecodedClip | BadInput]
"""By uid: a clip's arrays, or the error."""


class FramesAhead:
    """Decode the test snippets of clips in the background, chunk by chunk, in order.

    One chunk is decoded while another is in use. A decoding error affects only its clip, and is raised when that clip is requested.

    Args:
        clips: in the order in which they will be requested.
        folder: temporary folder for arrays that are used once: a chunk is deleted when the next one is reached, so that the disk holds at
            most three, and the rest at the end of the block. Without it the arrays stay in this machine's cache.
        further: chooses frames besides those of a test, for `load_further`.
    """

    def __init__(
        self,
        store: Store,
        clips: Sequence[StoredClip],
        specs: Sequence[NetworkSpec],
        folder: Path | None = None,
        *,
        further: ChosenFrames = lambda clip, spec: (),
    ) -> None:
        self._store = store
        self._specs = specs
        self._folder = folder
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
            BadInput: it is gone or does not decode.
        """
        self._paths(clip)

    def load(self, clip: StoredClip) -> list[NDArray[np.uint8]]:
        """Load the clip's snippets, uint8 (t, h, w, p), for each network, after `wait`."""
        return [read_tested(path, spec) for path, spec in zip(self._paths(clip).tested, self._specs, strict=True)]

    def load_further(self, clip: StoredClip) -> list[NDArray[np.uint8]]:
        """Load the clip's further frames, uint8 (t, h, w, 3), for each network, after `wait`."""
        return [NO_FRAMES if path is None else np.load(path, allow_pickle=False) for path in self._paths(clip).further]

    def _paths(self, clip: StoredClip) -> DecodedClip:
        number = self._places[clip.uid]
        self._start(number + 2)
        if number:
            self._drop(number - 1)
        decoded = self._jobs[number].result()[clip.uid]
        if isinstance(decoded, BadInput):
            raise decoded
        return decoded

    def _chunk_size(self, clips: Sequence[StoredClip]) -> int:
        """Choose how many clips of the greatest length make a chunk."""
        longest = max(clips, key=lambda clip: clip.num_frames, default=None)
        if longest is None:
            return CHUNK_CLIPS
        tested = (len(frames_in_test(_num_frames(longest, spec), spec)) for spec in self._specs if not spec.sound)
        num_frames = sum(tested) + sum(len(self._further(longest, spec)) for spec in self._specs)
        return max(1, min(CHUNK_CLIPS, CHUNK_FRAMES // max(1, num_frames)))

    def _start(self, num_chunks: int) -> None:
        for number, chunk in list(enumerate(self._chunks))[len(self._jobs) : num_chunks]:
            self._jobs.append(self._decoder.submit(self._decode, chunk, self._folder and self._folder / str(number)))

    def _drop(self, number: int) -> None:
        if self._folder:
            shutil.rmtree(self._folder / str(number), ignore_errors=True)

    def _decode(self, clips: Sequence[StoredClip], root: Path | None) -> Decoded:
        try:
            tested = [cache_test_frames(self._store, clips, spec, root) for spec in self._specs]
            further = [self._cache_further(clips, spec, root or cache_root()) for spec in self._specs]
        except BadInput as error:
            if len(clips) == 1:
                return {clips[0].uid: error}
            # Bisect to find the bad clip: decoded clips are cached, so this costs only a few starts of the decoder.
            middle = len(clips) // 2
            return self._decode(clips[:middle], root) | self._decode(clips[middle:], root)
        return {clip.uid: DecodedClip([paths[clip.uid] for paths in tested], [paths.get(clip.uid) for paths in further]) for clip in clips}

    def _cache_further(self, clips: Sequence[StoredClip], spec: NetworkSpec, root: Path) -> dict[str, Path]:
        wanted = [(clip, frames) for clip in clips if (frames := self._further(clip, spec))]
        return _cache(self._store, [clip for clip, _ in wanted], [frames for _, frames in wanted], spec, root) if wanted else {}
