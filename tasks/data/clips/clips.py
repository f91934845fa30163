"""Name clips, find a video's clips cut by any version of ffmpeg, and derive something of each."""

import logging
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from tasks.errors import BadInput, BadVideo, MissingObject
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.record import SetAside
from tasks.store.records.video import ClipRecord, ClipsFile, FlowClip
from tasks.wording import plain_reason

log = logging.getLogger("retake")

StoredClip = ClipRecord | DatasetClip
"""A clip in the store, in a dataset or not."""

AnyClip = StoredClip | FlowClip
C = TypeVar("C", bound=AnyClip)
T = TypeVar("T")


class _Options(BaseModel):
    """The part of a `ClipsFile` that is read if another version of Retake wrote it."""

    options: SegmentOptions


def clip_uid(video: str, start_seconds: float, stop_seconds: float) -> str:
    """Build a clip's uid from the first 12 hex digits of its video's hash and its interval in ms."""
    return f"{video[:12]}_{round(start_seconds * 1000):09d}-{round(stop_seconds * 1000):09d}"


def find_cut(store: Store, store_uri: str, video: str, options: SegmentOptions) -> ClipsFile | None:
    """Find the clips of a video that was cut with `options`; None if it was not.

    The ffmpeg version does not matter: after an upgrade clips keep their addresses, labels and optical flow, and no
    video is cut again. If machines with different versions cut a video at the same time, all readers take the same folder: the one without
    a version, else the first by name. Of clips around intervals, the latest revision counts. Defaults of new options must cut as before,
    because older files lack these options.

    Raises:
        BadInput: another version of Retake wrote the clips of these options, and this version cannot read them.
    """
    unnamed = recipe_of(options)
    files = [_read(store, Clips(folder), options) for folder in store.folders(Layout(store_uri).clips_of(video))]
    return min((file for file in files if file), key=lambda file: (-file.revision, file.recipe != unnamed, file.recipe), default=None)


def _read(store: Store, clips: Clips, options: SegmentOptions) -> ClipsFile | None:
    """Read the file; None if its options differ, or if the cutting has not finished and it is missing."""
    try:
        file = store.read(clips)
    except MissingObject:
        return None
    except BadInput:
        if clips.recipe == recipe_of(options) or not _is_of_others(store, clips.uri, options):
            raise
        return None
    return file if file.options == options else None


def _is_of_others(store: Store, uri: str, options: SegmentOptions) -> bool:
    """Check whether an unreadable file belongs to other cutting options."""
    try:
        return store.read(uri, _Options).options != options
    except BadInput as error:
        log.warning("left out: %s", error)
        return True


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
    """Derive something of each clip, several at a time, and log it; return the clips that cannot be read, with the reason.

    `derive` gets a clip and its file, beside which it may write, and `report` describes its result in the log. `failed` says what a clip
    that cannot be read lacks.
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
