"""Find the clips of another length that cover a clip."""

from collections.abc import Mapping, Sequence

from tasks.errors import BadDataset
from tasks.results.dataset import DatasetClip
from tasks.results.search import SearchPlanResult, Value
from tasks.results.video import ClipRecord
from tasks.search.space import CLIP_SECONDS

ROUNDING_SECONDS = 1e-6


def clip_seconds_of(values: Mapping[str, Value], plan: SearchPlanResult) -> float:
    """Return the clip length of a trial."""
    return float(values.get(CLIP_SECONDS, plan.clip_seconds))


def covering(clip: DatasetClip, others: Sequence[ClipRecord]) -> list[tuple[ClipRecord, float]]:
    """List the clips of the same video that overlap this one, with the seconds that they have in common.

    Raises:
        BadDataset: none does.
    """
    shared = [(other, min(clip.stop_seconds, other.stop_seconds) - max(clip.start_seconds, other.start_seconds)) for other in others]
    found = [(other, seconds) for other, seconds in shared if seconds > ROUNDING_SECONDS]
    if not found:
        raise BadDataset(f"no clip of this length covers {clip.uid}, on which trials are scored; do not search this clip length")
    return found
