"""Choose the interval that labels a clip, and the clips that no interval touches.

On the grid, the label that covers most of the clip wins; parts that several of its intervals cover count once. A clip around an interval takes
the label of that interval.
"""

import hashlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from itertools import accumulate
from operator import attrgetter
from typing import NamedTuple, Protocol, TypeVar

from tasks.data.labels.csv_rows import FullyLabelledLine, IntervalRow
from tasks.data.labels.video_names import VideoIndex
from tasks.store.records.dataset import Problem
from tasks.store.records.video import ClipRecord, Interval

ROUNDING_SECONDS = 1e-6

MAX_RUNNING = 100
"""Intervals compared that begin before a clip and reach into it: those that end last."""

MAX_NEAR = 250
"""Intervals compared that begin in a clip around an interval: the nearest by start to each side of that interval."""

MIN_LIKENESS = 0.5
"""To the interval that a clip is cut around. A later interval that covers less than half of it, and does not replace it, is less like."""


class Span(Protocol):
    """A part of a video: a clip or an interval."""

    @property
    def start_seconds(self) -> float:
        """Return its start in the video."""

    @property
    def stop_seconds(self) -> float:
        """Return its end in the video."""


class Clip(Span, Protocol):
    """A clip, on the grid or around an interval."""

    @property
    def around(self) -> Span | None:
        """Return the interval that it was cut around; None on the grid."""


C = TypeVar("C", bound=Clip)
S = TypeVar("S", bound=Span)


class Around(NamedTuple):
    """A part of a video by start and end."""

    start_seconds: float
    stop_seconds: float


class Winner(NamedTuple):
    """The interval that labels a clip, and the longest of a second sufficient label."""

    row: IntervalRow
    second: IntervalRow | None


def overlap_seconds(span: Span, other: Span) -> float:
    """Compute the overlap of two parts of the same video."""
    return max(0.0, min(span.stop_seconds, other.stop_seconds) - max(span.start_seconds, other.start_seconds))


def overlap_finder(spans: Iterable[S]) -> Callable[[Span], Iterator[S]]:
    """Make a function that finds the spans that overlap a clip, by bisection."""
    ordered = sorted(spans, key=attrgetter("start_seconds"))
    starts = [span.start_seconds for span in ordered]
    longest_seconds = max((span.stop_seconds - span.start_seconds for span in ordered), default=0.0) + ROUNDING_SECONDS

    def find(clip: Span) -> Iterator[S]:
        first, last = bisect_left(starts, clip.start_seconds - longest_seconds), bisect_left(starts, clip.stop_seconds)
        return (span for span in ordered[first:last] if span.stop_seconds > clip.start_seconds)

    return find


def longest_first(interval: Span) -> tuple[float, float]:
    """Order intervals by start, the longest first of those that begin together."""
    return interval.start_seconds, -interval.stop_seconds


def winners(clips: Sequence[C], rows: Iterable[IntervalRow], min_overlap: float) -> Iterator[tuple[C, Winner]]:
    """Yield each clip that intervals label, with the interval.

    `clips` are those of one video, sorted by time, and `rows` its intervals in the order of the file. In a sweep over time, the cost of a clip
    grows with the intervals that overlap it, not with all.
    """
    ordered = _without_repeats(rows)
    num_before = 0
    running: list[IntervalRow] = []
    for clip in clips:
        first = bisect_left(ordered, clip.start_seconds, num_before, key=attrgetter("start_seconds"))
        last = bisect_left(ordered, clip.stop_seconds, first, key=attrgetter("start_seconds"))
        running = _running([*running, *ordered[num_before:first]], clip.start_seconds)
        num_before = first
        if clip.around:
            place = bisect_left(ordered, longest_first(clip.around), first, last, key=longest_first)
            near = ordered[max(first, place - MAX_NEAR) : min(last, place + MAX_NEAR)]
            winner = _of_own_interval(clip, clip.around, [*running, *near], min_overlap)
        else:
            winner = _winner(clip, [*running, *ordered[first:last]], min_overlap)
        if winner:
            yield clip, winner


def union(intervals: Iterable[Span]) -> list[tuple[float, float]]:
    """Join overlapping intervals to sorted starts and ends in seconds."""
    joined: list[tuple[float, float]] = []
    for start, stop in sorted((interval.start_seconds, interval.stop_seconds) for interval in intervals):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], stop)
        else:
            joined.append((start, stop))
    return joined


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Interval]:
    """List the parts of spans that lie in none of the others."""
    find = overlap_finder([Around(*hole) for hole in union(others)])
    parts = []
    for span in spans:
        start = span.start_seconds
        for hole in find(span):
            if hole.start_seconds > start:
                parts.append(Interval(start_seconds=start, stop_seconds=hole.start_seconds))
            start = hole.stop_seconds
        if start < span.stop_seconds:
            parts.append(Interval(start_seconds=start, stop_seconds=span.stop_seconds))
    return parts


def not_replaced(earlier: Iterable[IntervalRow], later: Iterable[IntervalRow]) -> list[IntervalRow]:
    """List the earlier intervals that later ones together cover by less than half."""
    covered = union(later)
    starts = [start for start, _ in covered]
    seconds_before = [0.0, *accumulate(stop - start for start, stop in covered)]

    def covered_until(seconds: float) -> float:
        number = bisect_left(starts, seconds)
        beyond = max(covered[number - 1][1] - seconds, 0.0) if number else 0.0
        return seconds_before[number] - beyond

    covered_seconds = ((row, covered_until(row.stop_seconds) - covered_until(row.start_seconds)) for row in earlier)
    return [row for row, seconds in covered_seconds if seconds < (row.stop_seconds - row.start_seconds) / 2]


def _without_repeats(rows: Iterable[IntervalRow]) -> list[IntervalRow]:
    """Sort intervals by time, without those inside an earlier one of the same label."""
    kept: list[IntervalRow] = []
    latest: dict[tuple[str, str], float] = {}
    # By `longest_first`, in two sorts by attributes, which are quicker for a million rows.
    for row in sorted(sorted(rows, key=attrgetter("stop_seconds"), reverse=True), key=attrgetter("start_seconds")):
        label = (row.verb, row.noun)
        if row.stop_seconds > latest.get(label, -1.0):
            latest[label] = row.stop_seconds
            kept.append(row)
    return kept


def _running(rows: list[IntervalRow], seconds: float) -> list[IntervalRow]:
    """Keep the intervals that end after `seconds`, at most `MAX_RUNNING`."""
    rows = [row for row in rows if row.stop_seconds > seconds]
    if len(rows) <= MAX_RUNNING:
        return rows
    last = sorted(range(len(rows)), key=lambda place: (-rows[place].stop_seconds, place))[:MAX_RUNNING]
    return [rows[place] for place in sorted(last)]


class _Covered:
    """The seconds of a clip that a label covers; rows are added by their start."""

    def __init__(self, first: IntervalRow) -> None:
        self.seconds = 0.0
        self.until = 0.0
        self.longest = first
        self.longest_seconds = 0.0

    def add(self, clip: Span, row: IntervalRow) -> None:
        start, stop = max(clip.start_seconds, row.start_seconds), min(clip.stop_seconds, row.stop_seconds)
        self.seconds += max(0.0, stop - max(start, self.until))
        self.until = max(self.until, stop)
        if stop - start > self.longest_seconds:
            self.longest, self.longest_seconds = row, stop - start


def _winner(clip: Span, rows: Sequence[IntervalRow], min_overlap: float) -> Winner | None:
    """Find the label that covers most of the clip, and the next; None below `min_overlap`.

    Ties go to the label with the longest interval in the clip, then to the earlier start, so that intervals cut at the clip give the same answer.
    """
    covered: dict[tuple[str, str], _Covered] = {}
    for row in rows:
        label = (row.verb, row.noun)
        if label not in covered:
            covered[label] = _Covered(row)
        covered[label].add(clip, row)
    demanded = max(min_overlap * (clip.stop_seconds - clip.start_seconds), ROUNDING_SECONDS) - ROUNDING_SECONDS
    enough = [label for label in covered.values() if label.seconds >= demanded and label.seconds > 0]
    best = [label.longest for label in sorted(enough, key=_rank)[:2]]
    return Winner(best[0], best[1] if len(best) > 1 else None) if best else None


def _rank(label: _Covered) -> tuple[float, float, float, float, int]:
    # Best first; sums of times are equal up to rounding.
    return -round(label.seconds, 6), -round(label.longest_seconds, 6), *longest_first(label.longest), label.longest.line


def _of_own_interval(clip: Span, around: Span, rows: Sequence[IntervalRow], min_overlap: float) -> Winner | None:
    """Find the interval most like `around`; None below `MIN_LIKENESS`, as after changes of labels.

    Likeness is intersection over union within the clip. The second label covers `min_overlap` of the clip.
    """
    core = _within(clip, around)
    likeness = [(_iou(core, _within(clip, row)), _iou(around, row)) for row in rows]
    best = max(range(len(rows)), key=lambda number: likeness[number], default=None)
    if best is None or likeness[best][0] < MIN_LIKENESS:
        return None
    own = rows[best]
    others = [row for row in rows if (row.verb, row.noun) != (own.verb, own.noun)]
    second = _winner(clip, others, min_overlap)
    return Winner(own, second.row if second else None)


def _within(clip: Span, part: Span) -> Around:
    start = max(clip.start_seconds, part.start_seconds)
    return Around(start, max(start, min(clip.stop_seconds, part.stop_seconds)))


def _iou(span: Span, other: Span) -> float:
    shared = overlap_seconds(span, other)
    together = span.stop_seconds - span.start_seconds + other.stop_seconds - other.start_seconds - shared
    return shared / together if together > 0 else 0.0


def fully_labelled(
    marks: Iterable[tuple[str, frozenset[str], FullyLabelledLine]], index: VideoIndex
) -> tuple[dict[str, tuple[str, int]], list[Problem]]:
    """Find fully labelled videos, with file and line, by their last marks; name unknown videos."""
    by_video: dict[str, tuple[str, int]] = {}
    problems = []
    for file, beside, row in marks:
        try:
            video = index.beside(beside).video(row.video)
        except ValueError as error:
            problems.append(Problem(file=file, line=row.line, reason=str(error)))
            continue
        by_video.pop(video, None)
        if row.fully_labelled:
            by_video[video] = file, row.line
    return by_video, problems


def uncovered(clips: Sequence[ClipRecord], intervals: Iterable[IntervalRow], known: Set[str], share: float) -> list[ClipRecord]:
    """Choose a share of a video's clips that no interval touches, except `known` ones.

    The choice is by the hash of a clip's uid, so that it is the same in each run, and a larger share adds to it.
    """
    covered = union(intervals)
    starts = [start for start, _ in covered]

    def is_touched(clip: ClipRecord) -> bool:
        before = bisect_left(starts, clip.stop_seconds)
        return before > 0 and covered[before - 1][1] > clip.start_seconds

    free = [clip for clip in clips if clip.uid not in known and not is_touched(clip)]
    return [clip for clip in free if drawn_by(clip.uid) < share]


def drawn_by(text: str) -> float:
    """Hash a text to a number in [0, 1)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
