"""Gather labels for other tools: intervals as written, and clips labelled by no interval."""

import io
import json
import math
import re
import zipfile
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter, itemgetter
from xml.etree.ElementTree import Element, indent, tostring

from tasks.data.labels.csv_rows import IntervalRow
from tasks.data.labels.intervals import ROUNDING_SECONDS, union, winners
from tasks.data.labels.video_names import video_names, without_extension
from tasks.data.labels.vocabulary import Lexicon
from tasks.store.records.dataset import NO_OBJECT, NUM_EPIC_NOUNS, NUM_EPIC_VERBS, LabelledClip, action_name
from tasks.store.records.video import VideoRecord
from tasks.store.stored import without_connection
from tasks.wording import csv_table, safe_cell

NOT_IN_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
CSV_COLUMNS = ("video", "start_seconds", "stop_seconds", "verb", "noun", "verb_class", "noun_class")


@dataclass(frozen=True)
class LabelSpan:
    """A part of a video with a label, its line (`origin`) or a prediction's probability."""

    start_seconds: float
    stop_seconds: float
    verb: str
    noun: str
    verb_class: int | None = None
    noun_class: int | None = None
    origin: str | None = None
    score: float | None = None

    @property
    def text(self) -> str:
        """Return the label as a text that reads as the same verb and noun."""
        # A verb of several words alone would be read as a verb and a noun.
        return f"{self.verb} {NO_OBJECT}" if self.noun == NO_OBJECT and "-" in self.verb else action_name(self.verb, self.noun)

    def frames(self, fps: float) -> tuple[int, int]:
        """Return the first and the last frame, counted from 1 and rounded outwards."""
        first = math.floor(round(self.start_seconds * fps, 6))
        return first + 1, max(first + 1, math.ceil(round(self.stop_seconds * fps, 6)))


@dataclass(frozen=True)
class VideoSpans:
    """A video under a name that finds it, with labels and predictions by time."""

    name: str
    uri: str
    fps: float
    duration_seconds: float
    labels: tuple[LabelSpan, ...]
    predictions: tuple[LabelSpan, ...]

    @property
    def name_without_extension(self) -> str:
        """Return the name as data sets of videos have it."""
        return without_extension(self.name)


def video_spans(
    videos: Sequence[VideoRecord], labels: Mapping[str, Sequence[LabelSpan]], predicted: Mapping[str, Sequence[LabelSpan]]
) -> list[VideoSpans]:
    """List the videos by name, with labels by time that begin in the video.

    Equal predictions in a row are one span.
    """
    names = video_names(videos)
    listed = [
        VideoSpans(
            name=names[video.video],
            uri=without_connection(video.uri),
            fps=video.fps,
            duration_seconds=video.duration_seconds,
            labels=tuple(
                sorted(
                    (span for span in labels.get(video.video, ()) if span.start_seconds < video.duration_seconds),
                    key=lambda span: (span.start_seconds, span.stop_seconds),
                )
            ),
            predictions=tuple(joined_alike(predicted.get(video.video, ()))),
        )
        for video in videos
    ]
    return sorted(listed, key=lambda video: video.name)


def joined_alike(spans: Iterable[LabelSpan]) -> Iterator[LabelSpan]:
    """Join spans in a row with equal label and line; average scores over time."""
    together: list[LabelSpan] = []
    for span in sorted(spans, key=lambda span: span.start_seconds):
        if together and not _continues(together[-1], span):
            yield _joined(together)
            together = []
        together.append(span)
    if together:
        yield _joined(together)


def _continues(span: LabelSpan, other: LabelSpan) -> bool:
    same = (span.verb, span.noun, span.origin) == (other.verb, other.noun, other.origin)
    return same and abs(other.start_seconds - span.stop_seconds) <= ROUNDING_SECONDS


def _joined(spans: Sequence[LabelSpan]) -> LabelSpan:
    first, last = spans[0], spans[-1]
    seconds = [(span.stop_seconds - span.start_seconds, span.score) for span in spans]
    known = [(length, score) for length, score in seconds if score is not None]
    total = sum(length for length, _ in known)
    score = sum(length * score for length, score in known) / total if total else first.score
    return replace(first, stop_seconds=last.stop_seconds, score=score)


@dataclass(frozen=True)
class CurrentIntervals:
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
    intervals: CurrentIntervals, clips: Iterable[LabelledClip], by_interval: Collection[str], min_overlap: float
) -> dict[str, list[LabelSpan]]:
    """List each video's labels; clips in a row with one line's label are one span.

    `by_interval` are the uids of clips that an interval labels. Where a whole clip was labelled otherwise than the intervals around it, it is cut
    out of them: one file cannot state which came later.
    """
    whole: defaultdict[str, list[LabelledClip]] = defaultdict(list)
    for labelled in clips:
        if labelled.action and labelled.clip.uid not in by_interval:
            whole[labelled.clip.video].append(labelled)
    labels = dict[str, list[LabelSpan]]()
    for video in {*intervals.by_video, *whole}:
        other = _otherwise_labelled(whole[video], intervals.by_video.get(video, ()), min_overlap)
        labels[video] = _of_video(intervals.spans(video), other)
    return labels


def _otherwise_labelled(whole: Sequence[LabelledClip], rows: Sequence[IntervalRow], min_overlap: float) -> list[LabelledClip]:
    """List the clips whose labels the intervals do not give."""
    ordered = sorted((labelled.clip for labelled in whole), key=lambda clip: clip.start_seconds)
    by_intervals = {clip.uid: (winner.row.verb, winner.row.noun) for clip, winner in winners(ordered, rows, min_overlap)}
    return [labelled for labelled in whole if by_intervals.get(labelled.clip.uid) != (labelled.verb, labelled.noun)]


def _span(labelled: LabelledClip) -> LabelSpan:
    """Write a clip's label as a span: of its own interval, if it shows that."""
    clip, part = labelled.clip, labelled.clip.around
    start, stop = clip.start_seconds, clip.stop_seconds
    if part and part.start_seconds >= start - ROUNDING_SECONDS and part.stop_seconds <= stop + ROUNDING_SECONDS:
        start, stop = part.start_seconds, part.stop_seconds
    return LabelSpan(start, stop, str(labelled.verb), str(labelled.noun), labelled.verb_class, labelled.noun_class, labelled.origin)


def _of_video(intervals: Sequence[LabelSpan], clips: Sequence[LabelledClip]) -> list[LabelSpan]:
    on_grid = [_span(labelled) for labelled in clips if not labelled.clip.around]
    around = [_span(labelled) for labelled in clips if labelled.clip.around]
    together = list(joined_alike(on_grid))
    by_label: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for span in together:
        by_label[span.verb, span.noun].append((span.start_seconds, span.stop_seconds))
    alone = [span for span in dict.fromkeys(around) if not any(_within(by_label[span.verb, span.noun], [span]))]
    return list(dict.fromkeys([*together, *alone, *_without(intervals, [*on_grid, *around])]))


def _without(intervals: Sequence[LabelSpan], parts: Sequence[LabelSpan]) -> Iterator[LabelSpan]:
    """Cut parts of other labels out of intervals of one label that cover them together."""
    by_label: defaultdict[tuple[str, str], list[LabelSpan]] = defaultdict(list)
    for span in intervals:
        by_label[span.verb, span.noun].append(span)
    ordered = sorted(parts, key=attrgetter("start_seconds"))
    gaps = {
        label: union(part for part in _within(union(own), ordered) if label != (part.verb, part.noun)) for label, own in by_label.items()
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
    """Yield the pieces that gaps leave of a span.

    Whole pieces between two gaps come once: `unsaid` leads from the gap after each to the next piece to come.
    """
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


def interval_csv(videos: Sequence[VideoSpans]) -> bytes:
    """Write Retake's interval file, with EPIC's class ids alone: other stores have other ids."""
    return csv_table(
        CSV_COLUMNS,
        (
            {
                "video": safe_cell(video.name),
                "start_seconds": f"{span.start_seconds:.6f}".rstrip("0").rstrip("."),
                "stop_seconds": f"{span.stop_seconds:.6f}".rstrip("0").rstrip("."),
                "verb": span.verb,
                "noun": "" if span.noun == NO_OBJECT else span.noun,
                "verb_class": _epic_id(span.verb_class, NUM_EPIC_VERBS),
                "noun_class": _epic_id(span.noun_class, NUM_EPIC_NOUNS),
            }
            for video in videos
            for span in video.labels
        ),
    )


def _epic_id(class_id: int | None, num_classes: int) -> int | str:
    return class_id if class_id is not None and class_id < num_classes else ""


def as_json(value: object) -> bytes:
    """Write JSON in readable lines."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


def xml_archive(videos: Sequence[VideoSpans], suffix: str, document: Callable[[VideoSpans], Element]) -> bytes:
    """Zip a document for each labelled video, under its name; equal documents make equal archives."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for video in videos:
            if video.labels:
                root = document(video)
                indent(root)  # a line for each label, so that a refusal names it
                text = NOT_IN_XML.sub("\ufffd", tostring(root, encoding="unicode"))
                content = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()
                archive.writestr(zipfile.ZipInfo(f"{video.name}{suffix}"), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()
