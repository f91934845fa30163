"""Find the clips of the grid that cover a clip which trials are scored on."""

from collections.abc import Sequence

from tasks.data.labels.intervals import ROUNDING_SECONDS, overlap_seconds
from tasks.errors import BadDataset
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.video import ClipRecord


def covering(clip: DatasetClip, others: Sequence[ClipRecord]) -> list[tuple[ClipRecord, float]]:
    """List the clips of the same video that overlap this one, with the seconds that they have in common.

    Raises:
        BadDataset: none does.
    """
    found = [(other, seconds) for other in others if (seconds := overlap_seconds(clip, other)) > ROUNDING_SECONDS]
    if not found:
        raise BadDataset(f"no clip of this length covers {clip.uid}, on which trials are scored; do not search this clip length")
    return found
