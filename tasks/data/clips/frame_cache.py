"""Cache decoded frames and optical flow on this machine, as networks need them. Does not import torch."""

# t: segments, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.clip_properties import StoredClip
from tasks.data.clips.heard_cache import cache_heard, cache_root, leave_out_unheard
from tasks.data.clips.stored_flow import compute_flow, flow_uri, without_flow
from tasks.data.clips.stored_sound import MakeDescriber
from tasks.data.video.cache import BadEntry, CacheItem, cache_frames, temporary_cache
from tasks.data.video.fields import num_fields
from tasks.errors import BadVideo
from tasks.keys import flow_recipe_of
from tasks.learn.inputs.clip_files import read_tested
from tasks.learn.inputs.sampling import frames_in_test, kept_frames
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.record import SetAside

log = logging.getLogger("retake")

ChosenFrames = Callable[[StoredClip, NetworkSpec], tuple[int, ...]]
"""Chooses frames of a clip for a network."""

NUM_NAMED = 5
"""Maximum number of clips listed in an error."""


def rgb_frames(num_segments: int, sampling_window: float = 1) -> NetworkSpec:
    """Build a spec of one RGB frame per segment, for contact sheets and fingerprints."""
    return NetworkSpec(backbone="none", num_segments=num_segments, sampling_window=sampling_window)


def passing_frames() -> AbstractContextManager[Path]:
    """Create a temporary folder on the cache's disk, for frames that are used once."""
    return temporary_cache(cache_root())


def cache_test_frames(
    store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, root: Path | None = None, describer: MakeDescriber | None = None
) -> dict[str, Path]:
    """Cache the test frames of each clip, snippet by snippet; return paths by uid.

    Arrays are (t * m, h, w, 3), or (t * m, h, w, 2) for flow; of a video network all frames at its rate, because its views overlap; of sound
    they are those of `heard_cache`, which takes the `describer`. They are in this machine's cache, or under `root`.

    Raises:
        BadVideo: a clip does not decode, or clips have no readable flow in the store and it cannot be computed from them; the message lists
            them. No clip is skipped, since networks are compared on the same clips.
    """
    if spec.modality.is_heard:
        return cache_heard(store, clips, spec, root or cache_root(), describer)
    if spec.flow and (bad := _complete_flow(store, clips, spec.flow)):
        raise _without_flow(bad, len(clips))
    return _cache(store, clips, [frames_in_test(_num_frames(clip, spec), spec) for clip in clips], spec, root or cache_root())


def num_test_frames(clip: StoredClip, spec: NetworkSpec) -> int:
    """Count the frames that `cache_test_frames` keeps of a clip; sound has none."""
    return 0 if spec.modality.is_heard else len(frames_in_test(_num_frames(clip, spec), spec))


def cache_chosen_frames(
    store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, chosen: ChosenFrames, root: Path | None = None
) -> dict[str, Path]:
    """Cache the chosen frames of each clip, (t, h, w, 3); return paths by uid, without clips of which none is chosen.

    Raises:
        BadVideo: a clip does not decode.
    """
    wanted = [(clip, frames) for clip in clips if (frames := chosen(clip, spec))]
    return _cache(store, [clip for clip, _ in wanted], [frames for _, frames in wanted], spec, root or cache_root()) if wanted else {}


def cache_train_frames(
    store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, options: TrainOptions, describer: MakeDescriber | None = None
) -> dict[str, Path]:
    """Cache the frames that training samples from; return paths by uid.

    Arrays are (t, h, w, 3), or (t, h, w, 2) for flow: every `frame_step`-th frame of the sampling window, all of its frames if a snippet has
    several, or the test frames if training does not sample. A clip whose flow is missing and cannot be computed, or in which a network of
    sound has nothing to hear, is skipped with a warning.

    Raises:
        BadVideo: a clip does not decode, or no clip has flow.
    """
    if spec.modality.is_heard:
        return leave_out_unheard(clips, cache_heard(store, clips, spec, cache_root(), describer))
    if spec.flow and (bad := _complete_flow(store, clips, spec.flow)):
        error, lacking = _without_flow(bad, len(clips)), {one.name for one in bad}
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


def load_few(
    store: Store, clips: Sequence[StoredClip], spec: NetworkSpec, describer: MakeDescriber | None = None
) -> list[NDArray[np.uint8]]:
    """Load the test input of each of these clips into memory, uint8 (t, h, w, p) of frames.

    Raises as `cache_test_frames`.
    """
    paths = cache_test_frames(store, clips, spec, describer=describer)
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
    """Compute missing flow, for example for a champion with other flow options.

    Returns the clips, by uid, for which this fails.
    """
    missing = without_flow(store, clips, options)
    if not missing:
        return ()
    log.info("%d of %d clips have no optical flow (%s) in the store; computing it now", len(missing), len(clips), options.flow_method)
    return compute_flow(store, missing, options).set_aside


def _without_flow(bad: Sequence[SetAside], num_clips: int) -> BadVideo:
    return BadVideo(
        f"{len(bad)} of {num_clips} clips have no optical flow: {'; '.join(f'{clip.name}: {clip.reason}' for clip in bad[:NUM_NAMED])}"
        f"{'; …' if len(bad) > NUM_NAMED else ''}. Delete the clips.json beside them in the store and cut their videos again "
        "(ingest_videos), or choose an input other than flow"
    )


def _report(num_done: int, num_all: int) -> None:
    if num_done == num_all or num_done % max(1, num_all // 10) == 0:
        log.info("frames cached for %d of %d clips", num_done, num_all)
