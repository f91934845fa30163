"""Name clips, and find a video's clips, cut by any version of ffmpeg."""

import logging

from pydantic import BaseModel

from tasks.errors import BadInput, MissingObject
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.video import ClipRecord, ClipsFile

log = logging.getLogger("retake")

StoredClip = ClipRecord | DatasetClip
"""A clip in the store, in a dataset or not."""


class _Options(BaseModel):
    """The part of a `ClipsFile` that is read if another version of Retake wrote it."""

    options: SegmentOptions


def clip_uid(video: str, start_seconds: float, stop_seconds: float) -> str:
    """Build a clip's uid of 12 hex digits of its video's hash, and milliseconds."""
    return f"{video[:12]}_{round(start_seconds * 1000):09d}-{round(stop_seconds * 1000):09d}"


def find_cut(store: Store, store_uri: str, video: str, options: SegmentOptions) -> ClipsFile | None:
    """Find the clips of a video cut with `options`; None if it was not cut.

    The ffmpeg version does not matter: after an upgrade clips keep their addresses, labels and optical flow. If machines with different
    versions cut a video at the same time, all readers take the same folder: the one without a version, else the first by name. Of clips around
    intervals, the latest revision counts. Defaults of new options must cut as before, because older files lack these options.

    Raises:
        BadInput: another version of Retake wrote the clips of these options, and this version cannot read them.
    """
    unnamed = recipe_of(options)
    files = [_read(store, Clips(folder), options) for folder in store.folders(Layout(store_uri).clips_of(video))]
    return min((file for file in files if file), key=lambda file: (-file.revision, file.recipe != unnamed, file.recipe), default=None)


def _read(store: Store, clips: Clips, options: SegmentOptions) -> ClipsFile | None:
    """Read a folder's clips; None if its options differ, or cutting has not finished."""
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
