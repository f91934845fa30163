"""Turn the statements of the labelling page into labels, between the annotation files, by time.

The latest statement about a clip wins. The intervals of a clip that hold label it together, by the label that covers most of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TypeVar

from pydantic import ValidationError

from tasks.data.labels.csv_rows import AnnotationFile, ClipRow, IntervalRow, LabelLine, LabelRow, Line, SameAsLine, reason_of
from tasks.data.labels.intervals import ROUNDING_SECONDS, Span, overlap_finder, overlap_seconds
from tasks.data.labels.ledger import ClipSpan, Ledger, Words, key_of, words_of
from tasks.data.labels.reading import ReadFile, Refusals
from tasks.store.records.labelling import ClassMerge, ClipStatement, IntervalStatement
from tasks.store.records.video import ClipRecord

S = TypeVar("S", bound=Span)

PAGE = "the page Label"
"""The name of the page's files, and the origin of its labels, without a line: the log has who gave which."""

NUM_DECIMALS = 6
"""Of seconds, as in clips that were cut around intervals."""


@dataclass(frozen=True)
class PageLabel:
    """The label of a clip by its latest statement."""

    uid: str
    verb: str
    noun: str
    place: datetime
    """The statement's time among files."""
    number: int
    """The statement's place in the log."""


@dataclass(frozen=True)
class ClippedInterval:
    """The part of an interval in one clip; `place` and `number` are the latest there."""

    uid: str
    video: str
    start_seconds: float
    stop_seconds: float
    verb: str
    noun: str
    place: datetime
    number: int


def page_labels(ledger: Ledger, clips: Sequence[ClipRecord], min_overlap: float) -> list[PageLabel]:
    """Label each clip by the latest statement that covers `min_overlap` of it.

    A person who is unsure labels nothing. A clip around an interval needs a statement about the whole of it.
    """
    find = _finder(_by_video(ledger))
    labels = []
    for clip in clips:
        share = min_overlap if clip.around is None else 1
        demanded = max(share * (clip.stop_seconds - clip.start_seconds), 2 * ROUNDING_SECONDS) - ROUNDING_SECONDS
        about = [statement for statement in find(clip) if overlap_seconds(clip, statement) >= demanded]
        latest = max(about, key=ledger.number, default=None)
        words = words_of(latest) if latest else None
        if latest and words:
            labels.append(PageLabel(clip.uid, *words, latest.place, ledger.number(latest)))
    return labels


def clipped_intervals(ledger: Ledger, clips: Sequence[ClipSpan]) -> list[ClippedInterval]:
    """Cut the intervals that hold at the clips, to label each clip on its own."""
    find = _finder({video: ledger.intervals(video) for video in ledger.videos})
    parts = []
    for clip in clips:
        inside = [interval for interval in find(clip) if overlap_seconds(clip, interval) > ROUNDING_SECONDS]
        latest = max(inside, key=ledger.number, default=None)
        if latest:
            parts += [
                ClippedInterval(
                    uid=clip.uid,
                    video=clip.video,
                    start_seconds=max(clip.start_seconds, interval.start_seconds),
                    stop_seconds=min(clip.stop_seconds, interval.stop_seconds),
                    verb=interval.verb,
                    noun=interval.noun,
                    place=latest.place,
                    number=ledger.number(latest),
                )
                for interval in inside
            ]
    return parts


def touched_clips(ledger: Ledger, clips: Sequence[ClipSpan]) -> set[str]:
    """List the clips that any statement overlaps, even of a person who is unsure."""
    statements = _by_video(ledger)
    find = _finder({video: [*statements.get(video, ()), *ledger.intervals(video)] for video in {*statements, *ledger.videos}})
    return {clip.uid for clip in clips if any(find(clip))}


def people_of(ledger: Ledger, clips: Sequence[ClipRecord], min_overlap: float) -> dict[str, str]:
    """Find who gave the latest statement that labels each clip, by uid."""
    statements = chain(
        (statement for _, about in ledger.clips() for statement in about),
        (interval for video in ledger.videos for interval in ledger.intervals(video)),
    )
    by_number = {ledger.number(statement): statement.by for statement in statements}
    labels: list[PageLabel | ClippedInterval] = [*page_labels(ledger, clips, min_overlap), *clipped_intervals(ledger, clips)]
    return {label.uid: by_number[label.number] for label in sorted(labels, key=lambda label: label.number)}


def accepted_clips(ledger: Ledger, clips: Sequence[ClipSpan]) -> set[str]:
    """List the clips whose latest answer, or an interval in them, is the page's suggestion."""
    find = _finder({video: filter(_is_accepted, ledger.intervals(video)) for video in ledger.videos})
    return {clip.uid for clip in clips if any(map(_is_accepted, ledger.about(key_of(clip))[-1:])) or any(find(clip))}


def _is_accepted(statement: ClipStatement | IntervalStatement) -> bool:
    suggested = statement.suggested
    return bool(suggested and suggested.shown) and words_of(statement) == (suggested and (suggested.verb, suggested.noun))


def _finder(spans_by_video: Mapping[str, Iterable[S]]) -> Callable[[ClipSpan], Iterator[S]]:
    """Make a function that finds the spans of a clip's video that overlap the clip."""
    finders = {video: overlap_finder(spans) for video, spans in spans_by_video.items()}
    return lambda clip: finders[clip.video](clip) if clip.video in finders else iter(())


def _by_video(ledger: Ledger) -> Mapping[str, list[ClipStatement]]:
    by_video: defaultdict[str, list[ClipStatement]] = defaultdict(list)
    for (video, _, _), statements in ledger.clips():
        by_video[video].append(statements[-1])
    return by_video


@dataclass(frozen=True)
class PageFile:
    """The page's statements between two uploads, as an annotation file."""

    statements: Sequence[PageLabel | ClippedInterval | IntervalStatement | ClassMerge]
    name: str = PAGE

    def read(self) -> ReadFile:
        """Make rows of the statements; refuse words that are no names, and empty times."""
        read, labels = ReadFile(self.name, "statements", Refusals()), dict[Words, LabelLine]()
        for number, statement in enumerate(self.statements, start=1):
            try:
                read.add(_row(number, statement, labels))
            except ValueError as error:
                read.refused.add(number, reason_of(error) if isinstance(error, ValidationError) else str(error))
        return read


AnyFile = AnnotationFile | PageFile
Placed = tuple[datetime, PageLabel | ClippedInterval | IntervalStatement]
"""A statement, and its place among the uploads."""


def _row(
    number: int, statement: PageLabel | ClippedInterval | IntervalStatement | ClassMerge, labels: dict[Words, LabelLine]
) -> Line | LabelRow:
    if isinstance(statement, ClassMerge):
        return SameAsLine(line=number, target=statement.target, name=statement.name, same_as=statement.same_as)
    words = statement.verb, statement.noun
    # There may be very many, so equal labels are shared.
    label = labels.get(words) or labels.setdefault(words, LabelLine(line=number, verb=words[0], noun=words[1]))
    if isinstance(statement, PageLabel):
        return ClipRow(number, label, statement.uid, None)
    start, stop = round(statement.start_seconds, NUM_DECIMALS), round(statement.stop_seconds, NUM_DECIMALS)
    if stop <= start:
        raise ValueError(f"stop_seconds {stop:g} is not after start_seconds {start:g}")
    return IntervalRow(number, label, statement.video, start, stop)


def with_page_labels(
    uploaded: Sequence[tuple[str, AnnotationFile]],
    labels: Sequence[PageLabel],
    parts: Sequence[ClippedInterval],
    merges: Sequence[ClassMerge],
) -> list[AnyFile]:
    """Put the page's labels between the annotation files that were uploaded before and after them.

    `uploaded` are the annotation files with their times of upload, in order. Between two of them come intervals, then labels of clips, then a
    clip's intervals that are later than its label. Merged classes come last; they hold for all files.
    """
    number_by_uid = {label.uid: label.number for label in labels}
    early, late = list[Placed](), list[Placed]()
    for part in parts:
        (late if part.number > number_by_uid.get(part.uid, part.number) else early).append((part.place, part))
    return _between(uploaded, (early, [(label.place, label) for label in labels], late), merges)


def with_page_intervals(uploaded: Sequence[tuple[str, AnnotationFile]], ledger: Ledger) -> list[AnyFile]:
    """Put each video's intervals that hold at the time of the latest, between the uploads."""
    of_videos = filter(None, map(ledger.intervals, ledger.videos))
    latest = ((max(interval.place for interval in own), own) for own in of_videos)
    return _between(uploaded, ([(place, interval) for place, own in latest for interval in own],), ledger.merges)


def _between(
    uploaded: Sequence[tuple[str, AnnotationFile]], kinds: Sequence[Sequence[Placed]], merges: Sequence[ClassMerge]
) -> list[AnyFile]:
    """Put each kind of statements between the uploads, by time, and merges behind all."""
    times = [datetime.fromisoformat(modified) for modified, _ in uploaded]
    stated: defaultdict[tuple[int, int], list[PageLabel | ClippedInterval | IntervalStatement]] = defaultdict(list)
    for kind, placed in enumerate(kinds):
        for place, statement in placed:
            stated[bisect_right(times, place), kind].append(statement)
    files = list[AnyFile]()
    for number in range(len(uploaded) + 1):
        files += [PageFile(stated[number, kind]) for kind in range(len(kinds)) if (number, kind) in stated]
        files += [uploaded[number][1]] if number < len(uploaded) else []
    return [*files, PageFile(merges)] if merges else files
