"""Find the clips that trials of another way of cutting are scored by."""

from collections.abc import Sequence

from tasks.data.clips.clips import find_cut
from tasks.data.labels.intervals import ROUNDING_SECONDS, overlap_seconds
from tasks.errors import BadDataset
from tasks.options import SegmentOptions
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.video import ClipRecord


def covering_clips(
    store: Store, store_uri: str, scored: Sequence[DatasetClip], segment: SegmentOptions
) -> list[list[tuple[ClipRecord, float]]]:
    """List, for each scored clip, the clips of the grid that overlap it, with common seconds.

    `segment` says how long these are.

    Raises:
        BadDataset: a clip is covered by none.
    """
    files = {video: find_cut(store, store_uri, video, segment.on_grid) for video in {clip.video for clip in scored}}
    return [covering(clip, file.clips if (file := files[clip.video]) else ()) for clip in scored]


def covering(clip: DatasetClip, others: Sequence[ClipRecord]) -> list[tuple[ClipRecord, float]]:
    """List the clips of the same video that overlap this one, with the seconds that they have in common.

    Raises:
        BadDataset: none does.
    """
    found = [(other, seconds) for other in others if (seconds := overlap_seconds(clip, other)) > ROUNDING_SECONDS]
    if not found:
        raise BadDataset(f"no clip of this length covers {clip.uid}, on which trials are scored; do not search this clip length")
    return found
