"""Say what people labelled as intervals of videos: theirs as they were written, and labels of clips that no interval says."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

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
    alone = [span for span in dict.fromkeys(around) if not any(_says(one, span) for one in together)]
    return [*together, *alone, *_without(intervals, [*on_grid, *around])]


def _says(one: LabelSpan, other: LabelSpan) -> bool:
    alike = (one.verb, one.noun) == (other.verb, other.noun)
    return alike and _is_within(other.start_seconds, other.stop_seconds, one.start_seconds, one.stop_seconds)


def _without(intervals: Sequence[LabelSpan], parts: Sequence[LabelSpan]) -> Iterator[LabelSpan]:
    """Cut parts of another label out of the intervals of each label that together cover the whole of a part."""
    by_label: defaultdict[tuple[str, str], list[LabelSpan]] = defaultdict(list)
    for span in intervals:
        by_label[span.verb, span.noun].append(span)
    gaps = {
        label: merged(_covered(merged(own), [part for part in parts if label != (part.verb, part.noun)])) for label, own in by_label.items()
    }
    # In the order of the lines, which decides between labels that cover as much of a clip.
    for span in intervals:
        yield from _pieces(span, gaps[span.verb, span.noun])


def _covered(covered: Sequence[tuple[float, float]], parts: Iterable[LabelSpan]) -> Iterator[LabelSpan]:
    starts = [start for start, _ in covered]
    for part in parts:
        place = bisect_right(starts, part.start_seconds + ROUNDING_SECONDS) - 1
        if place >= 0 and _is_within(part.start_seconds, part.stop_seconds, *covered[place]):
            yield part


def _pieces(span: LabelSpan, gaps: Sequence[tuple[float, float]]) -> Iterator[LabelSpan]:
    start = span.start_seconds
    for gap_start, gap_stop in gaps:
        if gap_stop > start and gap_start < span.stop_seconds:
            if gap_start - start > ROUNDING_SECONDS:
                yield replace(span, start_seconds=start, stop_seconds=gap_start)
            start = gap_stop
    if span.stop_seconds - start > ROUNDING_SECONDS or start == span.start_seconds:
        yield replace(span, start_seconds=start)


def _is_within(start: float, stop: float, outer_start: float, outer_stop: float) -> bool:
    return start >= outer_start - ROUNDING_SECONDS and stop <= outer_stop + ROUNDING_SECONDS
