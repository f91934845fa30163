"""Say what people labelled as intervals of videos: theirs as they were written, and labels of clips that no interval says."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter

from tasks.data.labels.intervals import ROUNDING_SECONDS, merged, winners
from tasks.data.labels.rows import IntervalRow
from tasks.data.labels.spans import LabelSpan, joined_alike
from tasks.data.labels.vocabulary import Lexicon
from tasks.store.records.dataset import LabelledClip


@dataclass(frozen=True)
class StandingIntervals:
    """The labelled intervals that hold, by video, and the classes that they name."""

    by_video: Mapping[str, Sequence[IntervalRow]]
    verbs: Lexicon
    nouns: Lexicon

    def spans(self, video: str) -> list[LabelSpan]:
        """List the intervals of a video; equal ones count once."""
        spans = (
            LabelSpan(row.start_seconds, row.stop_seconds, row.verb, row.noun, self.verbs.id_of(row.verb), self.nouns.id_of(row.noun))
            for row in self.by_video.get(video, ())
        )
        return list(dict.fromkeys(spans))


def exported_labels(
    intervals: StandingIntervals, clips: Iterable[LabelledClip], by_interval: Collection[str], min_overlap: float
) -> dict[str, list[LabelSpan]]:
    """List the labels of each video. Clips in a row that one line labels alike are one span.

    `clips` are all clips, and `by_interval` the uids of those that an interval labels. Where a whole clip was labelled otherwise than the
    intervals around it say, it is cut out of them: one file cannot say which came later.
    """
    whole: defaultdict[str, list[LabelledClip]] = defaultdict(list)
    for one in clips:
        if one.action and one.clip.uid not in by_interval:
            whole[one.clip.video].append(one)
    videos = {*intervals.by_video, *whole}
    return {
        video: _of_video(intervals.spans(video), _unsaid(intervals.by_video.get(video, ()), whole[video], min_overlap)) for video in videos
    }


def _unsaid(rows: Sequence[IntervalRow], whole: Sequence[LabelledClip], min_overlap: float) -> tuple[list[LabelSpan], list[LabelSpan]]:
    """List the labels of clips that the intervals do not say: of clips of the grid, and of clips around intervals."""
    ordered = sorted((one.clip for one in whole), key=lambda clip: clip.start_seconds)
    said = {clip.uid: (winner.row.verb, winner.row.noun) for clip, winner in winners(ordered, rows, min_overlap)}
    unsaid = [one for one in whole if said.get(one.clip.uid) != (one.verb, one.noun)]
    return [_span(one) for one in unsaid if not one.clip.around], [_span(one) for one in unsaid if one.clip.around]


def _span(one: LabelledClip) -> LabelSpan:
    """Write the label of a clip; a clip with the whole of the interval that it is cut around stands for that."""
    clip, part = one.clip, one.clip.around
    if not part or not _is_within(part.start_seconds, part.stop_seconds, clip.start_seconds, clip.stop_seconds):
        part = None
    start, stop = (part.start_seconds, part.stop_seconds) if part else (clip.start_seconds, clip.stop_seconds)
    return LabelSpan(start, stop, str(one.verb), str(one.noun), one.verb_class, one.noun_class, one.origin)


def _of_video(intervals: Sequence[LabelSpan], unsaid: tuple[Sequence[LabelSpan], Sequence[LabelSpan]]) -> list[LabelSpan]:
    on_grid, around = unsaid
    together = list(joined_alike(on_grid))
    by_label: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for span in together:
        by_label[span.verb, span.noun].append((span.start_seconds, span.stop_seconds))
    alone = [span for span in dict.fromkeys(around) if not any(_within(by_label[span.verb, span.noun], [span]))]
    return list(dict.fromkeys([*together, *alone, *_without(intervals, [*on_grid, *around])]))


def _without(intervals: Sequence[LabelSpan], parts: Sequence[LabelSpan]) -> Iterator[LabelSpan]:
    """Cut parts of another label out of the intervals of each label that together cover the whole of a part."""
    by_label: defaultdict[tuple[str, str], list[LabelSpan]] = defaultdict(list)
    for span in intervals:
        by_label[span.verb, span.noun].append(span)
    ordered = sorted(parts, key=attrgetter("start_seconds"))
    gaps = {
        label: merged(part for part in _within(merged(own), ordered) if label != (part.verb, part.noun)) for label, own in by_label.items()
    }
    unsaid = {label: list(range(len(own) + 1)) for label, own in gaps.items()}
    # In the order of the lines, which decides between labels that cover as much of a clip.
    for span in intervals:
        yield from _pieces(span, gaps[span.verb, span.noun], unsaid[span.verb, span.noun])


def _within(covered: Iterable[tuple[float, float]], parts: Sequence[LabelSpan]) -> Iterator[LabelSpan]:
    """Yield the parts, sorted by start, that lie within a covered stretch."""
    for start, stop in covered:
        first = bisect_left(parts, start - ROUNDING_SECONDS, key=attrgetter("start_seconds"))
        last = bisect_right(parts, stop, first, key=attrgetter("start_seconds"))
        yield from (part for part in parts[first:last] if part.stop_seconds <= stop + ROUNDING_SECONDS)


def _pieces(span: LabelSpan, gaps: Sequence[tuple[float, float]], unsaid: list[int]) -> Iterator[LabelSpan]:
    """Yield what gaps leave of a span. Whole pieces between two gaps come once: `unsaid` leads from the gap after each to the next to come."""
    first, last = bisect_right(gaps, span.start_seconds, key=itemgetter(1)), bisect_left(gaps, span.stop_seconds, key=itemgetter(0))
    if first >= last:
        yield span
        return
    pieces = [(span.start_seconds, gaps[first][0])]
    number = first + 1
    while (number := _next(unsaid, number)) < last:
        pieces.append((gaps[number - 1][1], gaps[number][0]))
        unsaid[number] = number + 1
    pieces.append((gaps[last - 1][1], span.stop_seconds))
    yield from (replace(span, start_seconds=start, stop_seconds=stop) for start, stop in pieces if stop - start > ROUNDING_SECONDS)


def _next(unsaid: list[int], number: int) -> int:
    while unsaid[number] != number:
        unsaid[number] = unsaid[unsaid[number]]
        number = unsaid[number]
    return number


def _is_within(start: float, stop: float, outer_start: float, outer_stop: float) -> bool:
    return start >= outer_start - ROUNDING_SECONDS and stop <= outer_stop + ROUNDING_SECONDS
