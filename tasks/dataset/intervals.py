"""Which interval labels a clip: the label with the largest total overlap."""

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Sequence

from tasks.dataset.rows import IntervalRow
from tasks.results.video import ClipRecord

ROUNDING_SECONDS = 1e-6


def without_overlaps(rows: Sequence[IntervalRow]) -> tuple[list[IntervalRow], list[tuple[int, str]]]:
    """The intervals of one video by time, and those refused because they overlap one on an earlier line."""
    kept: list[IntervalRow] = []
    refused = []
    for row in sorted(rows, key=lambda row: row.line):
        after = bisect_left(kept, row.start_seconds, key=lambda other: other.start_seconds)
        for other in kept[max(0, after - 1) : after + 1]:
            if min(row.stop_seconds, other.stop_seconds) - max(row.start_seconds, other.start_seconds) > ROUNDING_SECONDS:
                refused.append((row.line, f"overlaps line {other.line} ({other.start_seconds:g} to {other.stop_seconds:g} s)"))
                break
        else:
            insort(kept, row, key=lambda other: other.start_seconds)
    return kept, refused


def overlap_seconds(clip: ClipRecord, row: IntervalRow) -> float:
    """How long the interval shows in the clip."""
    return max(0.0, min(clip.stop_seconds, row.stop_seconds) - max(clip.start_seconds, row.start_seconds))


def winning_row(clip: ClipRecord, rows: Sequence[IntervalRow], min_overlap: float) -> IntervalRow | None:
    """The longest interval of the label that covers most of the clip; None if it covers less than the share `min_overlap`.

    `rows` are of the clip's video, by time, without overlaps. Of equal labels the earlier one wins.
    """
    first = max(0, bisect_left(rows, clip.start_seconds, key=lambda row: row.start_seconds) - 1)
    total: defaultdict[tuple[str, str], float] = defaultdict(float)
    longest: dict[tuple[str, str], tuple[float, IntervalRow]] = {}
    for row in rows[first:]:
        if row.start_seconds >= clip.stop_seconds:
            break
        seconds, label = overlap_seconds(clip, row), (row.verb, row.noun)
        total[label] += seconds
        if label not in longest or seconds > longest[label][0]:
            longest[label] = (seconds, row)
    if not total:
        return None
    label = max(total, key=lambda label: total[label])
    demanded = max(min_overlap * (clip.stop_seconds - clip.start_seconds), ROUNDING_SECONDS)
    return longest[label][1] if total[label] >= demanded - ROUNDING_SECONDS and total[label] > 0 else None
