"""Put the labels of the labelling page between the annotation files, by time, so that a later label wins."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from tasks.csv_table import csv_table
from tasks.dataset.rows import AnnotationFile
from tasks.dataset.statements import Ledger, PageLabel
from tasks.results.labelling import ClassMerge

ORIGIN = "the page, by "
"""The start of the name of each file of labels, and so of the origin of a clip's label."""

COLUMNS = ("uid", "verb", "noun")
INTERVAL_COLUMNS = ("video", "start_seconds", "stop_seconds", "verb", "noun")
MERGE_COLUMNS = ("target", "name", "same_as")


def with_page_labels(
    uploaded: Sequence[tuple[str, AnnotationFile]], labels: Sequence[PageLabel], merges: Sequence[ClassMerge]
) -> list[AnnotationFile]:
    """Write the page's labels as annotation files, one for each person between two uploads.

    `uploaded` are the annotation files with their times of upload, in order. Merged classes come last; they hold for all files.
    """
    times = [datetime.fromisoformat(modified) for modified, _ in uploaded]
    between: defaultdict[int, defaultdict[str, list[PageLabel]]] = defaultdict(lambda: defaultdict(list))
    for label in labels:
        between[bisect_right(times, datetime.fromisoformat(label.at))][label.by].append(label)
    files = []
    for place in range(len(uploaded) + 1):
        files += [_file(by, between[place][by]) for by in sorted(between[place])]
        files += [uploaded[place][1]] if place < len(uploaded) else []
    return [*files, *_merged(merges)]


def interval_file(ledger: Ledger) -> list[AnnotationFile]:
    """Write the intervals of the page that hold as an annotation file; none without intervals."""
    rows = [
        {
            "video": one.video,
            "start_seconds": f"{one.start_seconds:.3f}",
            "stop_seconds": f"{one.stop_seconds:.3f}",
            "verb": one.verb,
            "noun": one.noun,
        }
        for video in ledger.videos
        for one in ledger.intervals(video)
    ]
    return [AnnotationFile(f"{ORIGIN}intervals", csv_table(INTERVAL_COLUMNS, rows))] if rows else []


def _file(by: str, labels: Sequence[PageLabel]) -> AnnotationFile:
    return AnnotationFile(f"{ORIGIN}{by}", csv_table(COLUMNS, ({"uid": one.uid, "verb": one.verb, "noun": one.noun} for one in labels)))


def _merged(merges: Sequence[ClassMerge]) -> list[AnnotationFile]:
    latest = {(merge.target, merge.name): merge for merge in merges}
    rows = [{"target": merge.target, "name": merge.name, "same_as": merge.same_as} for merge in latest.values()]
    return [AnnotationFile("the page, classes", csv_table(MERGE_COLUMNS, rows))] if rows else []
