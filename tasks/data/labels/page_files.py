"""Put the labels of the labelling page between the annotation files, by time, so that a later label wins."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime

from tasks.csv_table import csv_table
from tasks.data.labels.rows import AnnotationFile
from tasks.data.labels.statements import Ledger, PageLabel, PagePart
from tasks.store.records.labelling import ClassMerge, IntervalStatement
from tasks.wording import safe_cell

PAGE = "the page Label"
"""The name of the page's files, and the origin of its labels, without a line: who said what is in the log."""

COLUMNS = ("uid", "verb", "noun")
INTERVAL_COLUMNS = ("video", "start_seconds", "stop_seconds", "verb", "noun")
MERGE_COLUMNS = ("target", "name", "same_as")


def with_page_labels(
    uploaded: Sequence[tuple[str, AnnotationFile]],
    labels: Sequence[PageLabel],
    parts: Sequence[PagePart],
    merges: Sequence[ClassMerge],
) -> list[AnnotationFile]:
    """Write the page's labels as annotation files between those that were uploaded before and after them.

    `uploaded` are the annotation files with their times of upload, in order. Between two of them come intervals, then labels of clips, then
    those intervals of a clip that are later than its label. Merged classes come last; they hold for all files.
    """
    times = [datetime.fromisoformat(modified) for modified, _ in uploaded]
    number_by_uid = {label.uid: label.number for label in labels}

    def place(one: PageLabel | PagePart) -> int:
        return bisect_right(times, one.place)

    clips, early, late = _grouped(labels, place), defaultdict[int, list[PagePart]](list), defaultdict[int, list[PagePart]](list)
    for part in parts:
        (late if part.number > number_by_uid.get(part.uid, part.number) else early)[place(part)].append(part)
    files = list[AnnotationFile]()
    for number in range(len(uploaded) + 1):
        files += [*_interval_file(early[number]), *_clip_file(clips[number]), *_interval_file(late[number])]
        files += [uploaded[number][1]] if number < len(uploaded) else []
    return [*files, *merge_file(merges)]


def _grouped(labels: Sequence[PageLabel], place: Callable[[PageLabel], int]) -> defaultdict[int, list[PageLabel]]:
    found: defaultdict[int, list[PageLabel]] = defaultdict(list)
    for label in labels:
        found[place(label)].append(label)
    return found


def with_page_intervals(uploaded: Sequence[tuple[str, AnnotationFile]], ledger: Ledger) -> list[AnnotationFile]:
    """Write the intervals of the page that hold between the uploads, those of a video at the time of its latest; `uploaded` as above.

    Merged classes come last.
    """
    times = [datetime.fromisoformat(modified) for modified, _ in uploaded]
    found: defaultdict[int, list[IntervalStatement]] = defaultdict(list)
    for own in filter(None, map(ledger.intervals, ledger.videos)):
        found[bisect_right(times, max(one.place for one in own))] += own
    files = list[AnnotationFile]()
    for number in range(len(uploaded) + 1):
        files += _interval_file(found[number])
        files += [uploaded[number][1]] if number < len(uploaded) else []
    return [*files, *merge_file(ledger.merges)]


def _interval_file(intervals: Sequence[IntervalStatement | PagePart]) -> list[AnnotationFile]:
    rows = [
        {
            "video": safe_cell(one.video),
            "start_seconds": f"{one.start_seconds:.6f}",
            "stop_seconds": f"{one.stop_seconds:.6f}",
            "verb": one.verb,
            "noun": one.noun,
        }
        for one in intervals
    ]
    return [AnnotationFile(PAGE, csv_table(INTERVAL_COLUMNS, rows))] if rows else []


def _clip_file(labels: Sequence[PageLabel]) -> list[AnnotationFile]:
    rows = [{"uid": one.uid, "verb": one.verb, "noun": one.noun} for one in labels]
    return [AnnotationFile(PAGE, csv_table(COLUMNS, rows))] if rows else []


def merge_file(merges: Sequence[ClassMerge]) -> list[AnnotationFile]:
    """Write the merged names as an annotation file; none without merges."""
    rows = [{"target": merge.target, "name": merge.name, "same_as": merge.same_as} for merge in merges]
    return [AnnotationFile(PAGE, csv_table(MERGE_COLUMNS, rows))] if rows else []
