"""Choose the interval that labels a clip: the label that covers most of the clip wins.

Intervals may overlap. The parts of a clip that intervals of one label cover together count once.
"""

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple, Protocol

from tasks.dataset.rows import IntervalRow
from tasks.results.video import ClipRecord

ROUNDING_SECONDS = 1e-6


class Span(Protocol):
    """A part of a video: a clip or an interval."""

    @property
    def start_seconds(self) -> float:
        """Return its start in the video."""

    @property
    def stop_seconds(self) -> float:
        """Return its end in the video."""


class Winner(NamedTuple):
    """The interval that labels a clip, and the longest of a second label that also covers the demanded share."""

    row: IntervalRow
    second: IntervalRow | None


def overlap_seconds(one: Span, other: Span) -> float:
    """Compute the overlap of two parts of the same video."""
    return max(0.0, min(one.stop_seconds, other.stop_seconds) - max(one.start_seconds, other.start_seconds))


def winners(clips: Sequence[ClipRecord], rows: Iterable[IntervalRow], min_overlap: float) -> Iterator[tuple[ClipRecord, Winner]]:
    """Yield each clip that intervals label, with the interval.

    A sweep over time: `clips` are those of one video, sorted by time, and `rows` its intervals in the order of the file. Memory and time
    grow with the number of intervals that overlap a clip, not with all of them.
    """
    waiting = iter(_without_repeats(rows))
    next_row = next(waiting, None)
    active: list[IntervalRow] = []
    for clip in clips:
        while next_row and next_row.start_seconds < clip.stop_seconds:
            active.append(next_row)
            next_row = next(waiting, None)
        active = [row for row in active if row.stop_seconds > clip.start_seconds]
        if winner := _winner(clip, active, min_overlap):
            yield clip, winner


def _without_repeats(rows: Iterable[IntervalRow]) -> list[IntervalRow]:
    """Sort by time, without intervals that lie inside an earlier one of the same label: they change nothing."""
    kept: list[IntervalRow] = []
    latest: dict[tuple[str, str], float] = {}
    # Of those that begin together the longest comes first, and of equal ones that of the earlier line.
    for row in sorted(sorted(rows, key=attrgetter("stop_seconds"), reverse=True), key=attrgetter("start_seconds")):
        label = (row.verb, row.noun)
        if row.stop_seconds > latest.get(label, -1.0):
            latest[label] = row.stop_seconds
            kept.append(row)
    return kept


class _Covered:
    """How much of a clip one label covers; rows are added by their start."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.until = 0.0
        self.longest: IntervalRow | None = None
        self.longest_seconds = 0.0

    def add(self, clip: ClipRecord, row: IntervalRow) -> None:
        start, stop = max(clip.start_seconds, row.start_seconds), min(clip.stop_seconds, row.stop_seconds)
        self.seconds += max(0.0, stop - max(start, self.until))
        self.until = max(self.until, stop)
        if stop - start > self.longest_seconds:
            self.longest, self.longest_seconds = row, stop - start


def _winner(clip: ClipRecord, rows: Sequence[IntervalRow], min_overlap: float) -> Winner | None:
    """Find the label that covers most of the clip, and the next; ties go to the label that begins earlier.

    None if it covers less than the share `min_overlap`.
    """
    covered: dict[tuple[str, str], _Covered] = {}
    for row in rows:
        label = (row.verb, row.noun)
        if label not in covered:
            covered[label] = _Covered()
        covered[label].add(clip, row)
    demanded = max(min_overlap * (clip.stop_seconds - clip.start_seconds), ROUNDING_SECONDS) - ROUNDING_SECONDS
    enough = [one for one in covered.values() if one.longest and one.seconds >= demanded and one.seconds > 0]
    first = max(enough, key=attrgetter("seconds"), default=None)
    if first is None or first.longest is None:
        return None
    second = max((one for one in enough if one is not first), key=attrgetter("seconds"), default=None)
    return Winner(first.longest, second.longest if second else None)
