"""Tell the clip length of a trial, and find the clips of another length that cover a clip."""

from collections.abc import Mapping, Sequence

from tasks.dataset.intervals import ROUNDING_SECONDS, overlap_seconds
from tasks.errors import BadDataset
from tasks.results.dataset import DatasetClip
from tasks.results.search import SearchPlanResult, Value
from tasks.results.video import ClipRecord
from tasks.search.space import CLIP_SECONDS


def clip_seconds_of(values: Mapping[str, Value], plan: SearchPlanResult) -> float:
    """Return the clip length of a trial."""
    return float(values.get(CLIP_SECONDS, plan.clip_seconds))


def has_other_length(values: Mapping[str, Value], plan: SearchPlanResult) -> bool:
    """Check whether the clips of a trial have another length than those that it is scored on."""
    return clip_seconds_of(values, plan) != plan.clip_seconds


def covering(clip: DatasetClip, others: Sequence[ClipRecord]) -> list[tuple[ClipRecord, float]]:
    """List the clips of the same video that overlap this one, with the seconds that they have in common.

    Raises:
        BadDataset: none does.
    """
    found = [(other, seconds) for other in others if (seconds := overlap_seconds(clip, other)) > ROUNDING_SECONDS]
    if not found:
        raise BadDataset(f"no clip of this length covers {clip.uid}, on which trials are scored; do not search this clip length")
    return found
