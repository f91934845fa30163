"""Keep flow and described sound of clips in the store, and cache sound for networks.

This module does not import torch.
"""

import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.stored_clips import StoredClip
from tasks.data.video.audio import decode_audio
from tasks.data.video.flow import FlowMaker
from tasks.data.video.frames import FLOW_SUFFIX, num_fields
from tasks.disk import work_folder
from tasks.errors import BadVideo, MissingObject
from tasks.keys import flow_recipe_of
from tasks.learn.inputs.sound_features import (
    SOUND_SUFFIX,
    SPECTRUM_RATE_HZ,
    VERSION,
    Sound,
    describe,
    quantised,
    read_sound,
    rows_of,
    sound_key,
    write_sound,
)
from tasks.learn.networks.spec import SHORT_SIDE, SNIPPETS
from tasks.options import FlowOptions, Modality
from tasks.settings import MachineSettings, load
from tasks.store.layout import flow_of_clip, folders_of, sound_note_of_clip, sound_of_clip
from tasks.store.objects import Store
from tasks.store.records.record import SetAside
from tasks.store.records.video import FlowClip, SoundNote
from tasks.store.stored import Stored
from tasks.wording import count, plain_reason, some

log = logging.getLogger("retake")

FLOWS_AT_ONCE = 8
CLIPS_AT_ONCE = 4
NUM_FETCHERS = 8
SPEECH_RATE_HZ = 16_000

AnyClip = StoredClip | FlowClip
C = TypeVar("C", bound=AnyClip)
T = TypeVar("T")


@dataclass(frozen=True)
class Computed:
    """The result of `compute_flow`, with the clips that have no flow."""

    num_clips: int
    num_fields: int
    seconds: float
    set_aside: tuple[SetAside, ...]

    @property
    def fields_per_second(self) -> float:
        """Compute the throughput, including download, decoding, flow and upload."""
        return self.num_fields / self.seconds if self.num_fields else 0.0


def flow_uri(clip_uri: str, options: FlowOptions) -> str:
    """Return the address of a clip's flow."""
    return flow_of_clip(clip_uri, flow_recipe_of(options))


def without_flow(store: Store, clips: Sequence[C], options: FlowOptions) -> list[C]:
    """Select the clips whose flow is not in the store."""
    wanted = [flow_uri(clip.uri, options) for clip in clips]
    there = {listed.uri for folder in folders_of(wanted) for listed in store.list(folder)}
    return [clip for clip, uri in zip(clips, wanted, strict=True) if uri not in there]


def shortness(clip: AnyClip) -> str | None:
    """Explain why this clip shows a network less motion than others do; None otherwise."""
    num, wanted = num_fields(clip.num_frames), SNIPPETS[Modality.FLOW].num_frames
    if clip.num_frames == 1:
        return f"a single frame shows no motion; one field of zero motion is repeated for the {wanted} that a network needs"
    if num < wanted:
        return f"{clip.num_frames} frames make {count(num, 'field')} of flow, but a network needs {wanted} in a row; the last is repeated"
    return None


def compute_flow(store: Store, clips: Sequence[AnyClip], options: FlowOptions) -> Computed:
    """Compute and upload the flow of these clips; set aside clips that cannot be read."""
    started = time.monotonic()
    num_all = 0

    def compute(clip: AnyClip, source: Path) -> int:
        made = source.with_suffix(FLOW_SUFFIX)
        num = maker.write(source, made, num_frames=clip.num_frames, short_side=SHORT_SIDE)
        store.write_file(flow_uri(clip.uri, options), made)
        return num

    def report(num: int) -> str:
        nonlocal num_all
        num_all += num
        return f"{num} fields, {num_all / (time.monotonic() - started):.1f} fields/s"

    with FlowMaker(options, load(MachineSettings).num_processes) as maker:
        # One clip cannot keep many threads busy, and too many delay the first upload.
        at_once = min(FLOWS_AT_ONCE, 1 + maker.num_threads // 4)
        set_aside = derive_each(store, clips, compute, report, kind="flow", num_at_once=at_once, failed="has no optical flow")
    return Computed(len(clips) - len(set_aside), num_all, time.monotonic() - started, set_aside)


Listen = Callable[[NDArray[np.float32]], float]
"""Computes the share of speech in sound (n,) at `SPEECH_RATE_HZ`."""


@dataclass(frozen=True)
class Described:
    """The result of `describe_sound`, with the clips that cannot be read."""

    num_clips: int
    seconds: float
    set_aside: tuple[SetAside, ...]


def sound_uri(clip_uri: str) -> str:
    """Return the address of a clip's described sound."""
    return sound_of_clip(clip_uri, sound_key())


def note_of(clip: AnyClip) -> Stored[SoundNote]:
    """Find the note on a clip's described sound."""
    return sound_note_of_clip(clip.uri, sound_key())


def read_notes(store: Store, clips: Sequence[StoredClip]) -> list[SoundNote | None]:
    """Read the note on the sound of each clip; None where sound is not described."""
    described = {clip.uri for clip in clips} - {clip.uri for clip in without_sound(store, clips)}
    with ThreadPoolExecutor(NUM_FETCHERS, thread_name_prefix="sound-notes") as pool:
        return list(pool.map(lambda clip: store.read(note_of(clip)) if clip.uri in described else None, clips))


def without_sound(store: Store, clips: Sequence[C]) -> list[C]:
    """Select the clips whose sound is not described in the store."""
    wanted = [(sound_uri(clip.uri), note_of(clip).uri) for clip in clips]
    there = {listed.uri for folder in folders_of(uri for uri, _ in wanted) for listed in store.list(folder)}
    return [clip for clip, uris in zip(clips, wanted, strict=True) if not there.issuperset(uris)]


def complete_sound(store: Store, clips: Sequence[StoredClip]) -> None:
    """Describe the sound that is missing, for example after another version of PyAV was installed.

    Raises:
        BadVideo: clips cannot be read; the message lists them.
    """
    missing = without_sound(store, clips)
    if not missing:
        return
    log.info("the sound of %d of %d clips is not described in the store; describing it now", len(missing), len(clips))
    if bad := describe_sound(store, missing).set_aside:
        raise BadVideo(
            f"{len(bad)} of {len(clips)} clips cannot be read: {some([f'{clip.name}: {clip.reason}' for clip in bad])}. "
            "Delete the clips.json beside them in the store and cut their videos again (ingest_videos)"
        )


def describe_sound(store: Store, clips: Sequence[StoredClip], listen: Listen | None = None) -> Described:
    """Describe the sound of these clips, even silence, and upload the descriptions.

    Notes have the share of speech if `listen` is given.
    """
    started = time.monotonic()
    lock = Lock()
    rates_hz = (SPECTRUM_RATE_HZ, SPEECH_RATE_HZ) if listen else (SPECTRUM_RATE_HZ,)

    def describe_one(clip: StoredClip, source: Path) -> SoundNote:
        # The sound itself is not returned: all of them at once need not fit into memory.
        decoded = decode_audio(source, rates_hz)
        sound = describe(decoded.samples[SPECTRUM_RATE_HZ], seconds=decoded.seconds, state=decoded.state, reason=decoded.reason)
        made = source.with_suffix(SOUND_SUFFIX)
        write_sound(made, sound)
        store.write_file(sound_uri(clip.uri), made)
        with lock:
            share = listen(decoded.samples[SPEECH_RATE_HZ]) if listen else None
        note = SoundNote(state=sound.state, reason=sound.reason, speech_share=share)
        store.write(note_of(clip), note)
        return note

    def report(note: SoundNote) -> str:
        return note.reason or note.state.value

    set_aside = derive_each(store, clips, describe_one, report, kind="sound", num_at_once=CLIPS_AT_ONCE, failed="cannot be heard")
    return Described(len(clips) - len(set_aside), time.monotonic() - started, set_aside)


def read_stored(store: Store, clip: StoredClip) -> Sound:
    """Read the described sound of a clip.

    Raises:
        MissingObject: its sound is not described.
        BadVideo: the description is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="retake-sound-") as name:
        path = Path(name) / f"0{SOUND_SUFFIX}"
        store.read_file(sound_uri(clip.uri), path)
        return read_sound(path)


def cache_audio(store: Store, clips: Sequence[StoredClip], root: Path) -> dict[str, Path]:
    """Cache the features of each clip's sound under `root`; return paths by uid.

    Sound that is not in the store is described now. A clip in which there is nothing to hear has zeros.

    Raises:
        BadVideo: a clip cannot be read.
    """
    folder = root / "sound" / sound_key()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {clip.uid: folder / f"{clip.sha256}-sound-{VERSION}.npy" for clip in clips}
    missing = {paths[clip.uid]: clip for clip in clips if not _is_whole(paths[clip.uid])}
    if not missing:
        return paths
    complete_sound(store, list(missing.values()))
    with work_folder(folder) as work, ThreadPoolExecutor(NUM_FETCHERS, thread_name_prefix="sound") as pool:
        jobs = [pool.submit(_fetch, store, clip, work / path.name, path) for path, clip in missing.items()]
        for job in jobs:
            job.result()
    return paths


def leave_out_silent(clips: Sequence[StoredClip], paths: dict[str, Path]) -> dict[str, Path]:
    """Leave out, with a warning, the clips in which there is nothing to hear.

    Raises:
        BadVideo: no clip is left to train on.
    """
    unheard = {clip.uid for clip in clips if not np.load(paths[clip.uid], allow_pickle=False).any()}
    if len(unheard) == len(clips):
        raise BadVideo("no training clip has sound; choose an input other than sound, or add videos with sound")
    if unheard:
        log.warning("%d of %d training clips have nothing to hear and are left out: %s", len(unheard), len(clips), some(sorted(unheard)))
    return {uid: path for uid, path in paths.items() if uid not in unheard}


def spectrograms(store: Store, clips: Sequence[StoredClip]) -> dict[str, NDArray[np.uint8] | None]:
    """Load the spectrogram of each described clip for people, uint8 (s, 128), by uid.

    It is None if there is nothing to hear. Clips that only another version of Retake or PyAV has described are left out.

    Raises:
        BadVideo: a description is damaged.
    """
    loaded: dict[str, NDArray[np.uint8] | None] = {}
    for clip in clips:
        with suppress(MissingObject):
            sound = read_stored(store, clip)
            loaded[clip.uid] = quantised(sound.log_mel) if sound.is_heard else None
    return loaded


def cache_root() -> Path:
    """Return the folder of this machine's cache of frames and sound."""
    return load(MachineSettings).cache_dir / "frames"


def _fetch(store: Store, clip: StoredClip, made: Path, path: Path) -> None:
    try:
        sound = read_stored(store, clip)
    except BadVideo as error:
        log.warning("%s; describing this sound again", error)
        describe_sound(store, [clip])
        sound = read_stored(store, clip)
    np.save(made, rows_of(sound), allow_pickle=False)
    made.replace(path)


def _is_whole(path: Path) -> bool:
    try:
        return bool(len(np.load(path, mmap_mode="r", allow_pickle=False)))
    except (OSError, ValueError, EOFError):
        return False


def derive_each(
    store: Store,
    clips: Sequence[C],
    derive: Callable[[C, Path], T],
    report: Callable[[T], str],
    *,
    kind: str,
    num_at_once: int,
    failed: str,
) -> tuple[SetAside, ...]:
    """Derive something of each clip, several at a time; return the clips that fail.

    `derive` gets a clip and its file, beside which it may write. The log has `report` of the result, or `failed`, such as `has no optical
    flow`.
    """

    def run(clip: C) -> T | SetAside:
        with tempfile.TemporaryDirectory(prefix=f"retake-{kind}-") as folder:
            file = Path(folder) / "clip.mp4"
            try:
                store.read_file(clip.uri, file)
                return derive(clip, file)
            except MissingObject:
                return SetAside(name=clip.uid, reason="the clip is not in the store")
            except BadVideo as error:
                return SetAside(name=clip.uid, reason=plain_reason(error, file.name))

    set_aside = []
    with ThreadPoolExecutor(num_at_once, thread_name_prefix=f"{kind}-clips") as pool:
        jobs = [pool.submit(run, clip) for clip in clips]
        try:
            for number, (clip, job) in enumerate(zip(clips, jobs, strict=True), 1):
                outcome = job.result()
                if isinstance(outcome, SetAside):
                    set_aside.append(outcome)
                    log.warning("%d of %d clips: %s %s: %s", number, len(clips), clip.uri, failed, outcome.reason)
                else:
                    log.info("%d of %d clips: %s: %s", number, len(clips), clip.uid, report(outcome))
        finally:
            pool.shutdown(cancel_futures=True)
    return tuple(set_aside)
