"""Finds the clips of a video in the store, whichever ffmpeg cut them, and names them."""

import logging

from pydantic import BaseModel

from tasks.errors import BadInput, MissingObject
from tasks.keys import recipe_of
from tasks.options import SegmentOptions
from tasks.results.video import ClipsFile
from tasks.store.layout import Clips, Layout
from tasks.store.objects import Store

log = logging.getLogger("retake")


class _Options(BaseModel):
    """What remains to be read of a file that another version of Retake wrote."""

    options: SegmentOptions


def clip_uid(video: str, start_seconds: float, stop_seconds: float) -> str:
    """What labels call a clip: its video's first 12 hex digits and its interval in ms, so that a clip of another cutting has another uid."""
    return f"{video[:12]}_{round(start_seconds * 1000):09d}-{round(stop_seconds * 1000):09d}"


def find_cut(store: Store, store_uri: str, video: str, options: SegmentOptions) -> ClipsFile | None:
    """Find the clips of a video that was cut with `options`; None where it was not.

    Whichever ffmpeg cut them: after an upgrade clips keep their place, their labels and their optical flow, and no video is cut again. Where
    two machines with two versions cut one video at the same time, names alone decide, the same for every later reader: the folder without
    a version, else the first. A new option must have a default that cuts as before, for it stands for what older files do not say.

    Raises:
        BadInput: another version of Retake wrote what this cutting gave, and this one cannot read it.
    """
    unnamed = recipe_of(options)
    found = [_read(store, Clips(folder), options) for folder in store.folders(Layout(store_uri).clips_of(video))]
    return min((file for file in found if file), key=lambda file: (file.recipe != unnamed, file.recipe), default=None)


def _read(store: Store, clips: Clips, options: SegmentOptions) -> ClipsFile | None:
    """What lies there, if these options gave it; a folder whose cutting did not end has no such file yet."""
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
    """Tell whether a file that cannot be read is of another way of cutting."""
    try:
        return store.read(uri, _Options).options != options
    except BadInput as error:
        log.warning("left out: %s", error)
        return True
