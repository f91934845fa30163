"""Choose the interval that labels a clip: the label with the largest total overlap wins."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Protocol

from tasks.dataset.rows import IntervalRow
from tasks.results.video import ClipRecord

ROUNDING_SECONDS = 1e-6


def without_overlaps(rows: Sequence[IntervalRow]) -> tuple[list[IntervalRow], list[tuple[int, str]]]:
    """Sort a video's intervals by time, and reject those that overlap an earlier line."""
    kept: list[IntervalRow] = []
    refused: list[tuple[int, str]] = []
    for together in _touching(sorted(rows, key=attrgetter("start_seconds"))):
        kept += together if len(together) == 1 else _first_come(together, refused)
    return kept, refused


def _touching(rows: Iterable[IntervalRow]) -> Iterator[list[IntervalRow]]:
    """Group rows sorted by time into runs that do not overlap each other.

    Most runs have one row.
    """
    together: list[IntervalRow] = []
    end_seconds = 0.0
    for row in rows:
        if together and end_seconds - row.start_seconds <= ROUNDING_SECONDS:
            yield together
            together = []
        end_seconds = max(end_seconds, row.stop_seconds) if together else row.stop_seconds
        together.append(row)
    if together:
        yield together


def _first_come(rows: Sequence[IntervalRow], refused: list[tuple[int, str]]) -> list[IntervalRow]:
    """Keep the rows that overlap none on an earlier line, sorted by time.

    The others are added to `refused`.
    """
    kept: list[IntervalRow] = []
    starts: list[float] = []
    for row in sorted(rows, key=lambda row: row.line):
        after = bisect_right(starts, row.start_seconds)
        for other in kept[max(0, after - 1) : after + 1]:
            if min(row.stop_seconds, other.stop_seconds) - max(row.start_seconds, other.start_seconds) > ROUNDING_SECONDS:
                refused.append((row.line, f"overlaps line {other.line} ({other.start_seconds:g} to {other.stop_seconds:g} s)"))
                break
        else:
            kept.insert(after, row)
            starts.insert(after, row.start_seconds)
    return kept


class Span(Protocol):
    """A part of a video: a clip or an interval."""

    @property
    def start_seconds(self) -> float:
        """Return its start in the video."""

    @property
    def stop_seconds(self) -> float:
        """Return its end in the video."""


def overlap_seconds(one: Span, other: Span) -> float:
    """Compute the overlap of two parts of the same video."""
    return max(0.0, min(one.stop_seconds, other.stop_seconds) - max(one.start_seconds, other.start_seconds))


def winning_row(clip: ClipRecord, rows: Sequence[IntervalRow], min_overlap: float) -> IntervalRow | None:
    """Find the longest interval of the label that covers most of the clip.

    None if it covers less than the share `min_overlap`. `rows` are the intervals of the clip's video, sorted by time, without overlaps.
    Ties go to the earlier label.
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
