"""Draw small pictures of a page's clips, and load the clips that it plays."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tasks.data.clips.frame_cache import cache_test_frames, rgb_frames
from tasks.data.clips.stored_clips import StoredClip
from tasks.errors import BadInput
from tasks.judge.report.png_figures import contact_sheet
from tasks.learn.networks.spec import NetworkSpec
from tasks.pipeline._results import log
from tasks.store.objects import Store
from tasks.wording import count

MAX_THUMBNAILS = 200
"""Small pictures of a page, 1 to 2 kB each of a video and 5 kB of noise; other named clips have their links alone."""

THUMBNAIL_WIDTH = 96

MAX_PLAYABLE_BYTES = 16 << 20
"""Maximum size of the clips in a page; others are named by their address."""

ONE_FRAME = rgb_frames(1)


def thumbnails(
    store: Store, clips: Iterable[StoredClip], uids: Sequence[str], seen: NetworkSpec = ONE_FRAME, root: Path | None = None
) -> dict[str, bytes]:
    """Draw the middle frame of the first clips among `uids`, as JPEGs by uid.

    There are none if a clip is gone or does not decode.

    Args:
        uids: the clips that the page names; those that need a picture most come first.
        seen: the frames that are in this machine's cache.
        root: keeps the frames in place of the cache.
    """
    shown = dict.fromkeys(uids[:MAX_THUMBNAILS])
    wanted = [clip for clip in clips if clip.uid in shown]
    log.info("drawing the page, with frames of %s", count(len(wanted), "clip"))
    try:
        frames = cache_test_frames(store, wanted, seen, root)
    except BadInput as error:
        log.warning("the page has no small pictures: %s", error)
        return {}
    return {uid: _thumbnail(frames[uid]) for uid in shown if uid in frames}


def _thumbnail(path: Path) -> bytes:
    frames = np.load(path, mmap_mode="r")
    middle = len(frames) // 2
    return contact_sheet(frames[middle : middle + 1], THUMBNAIL_WIDTH)


def playable(store: Store, uris: Iterable[str]) -> dict[str, bytes]:
    """Load clips by address, in order, up to the maximum size of a page."""
    clips: dict[str, bytes] = {}
    left_bytes = MAX_PLAYABLE_BYTES
    for uri in dict.fromkeys(uris):
        stored = store.stat(uri)
        if stored and stored.size_bytes <= left_bytes:
            clips[uri] = store.read_bytes(uri)
            left_bytes -= stored.size_bytes
    return clips
