"""Gather the labelled intervals that hold, of all annotation files."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from tasks.data.labels.intervals import not_replaced
from tasks.data.labels.labelled_rows import LabelFile
from tasks.data.labels.places import Places
from tasks.data.labels.rows import IntervalRow


def standing_intervals(files: Iterable[LabelFile], places: Places, videos: Collection[str]) -> dict[str, list[IntervalRow]]:
    """List, by video, the intervals that hold; `files` are in upload order.

    Those of a later file replace the earlier ones that they cover by half or more.
    """
    found: dict[str, list[IntervalRow]] = {}
    for file in files:
        own: defaultdict[str, list[IntervalRow]] = defaultdict(list)
        for video, row in interval_rows(file, places, videos):
            own[video].append(row)
        for video, rows in own.items():
            found[video] = [*not_replaced(found.get(video, ()), rows), *rows]
    return found


def interval_rows(file: LabelFile, places: Places, videos: Collection[str]) -> Iterator[tuple[str, IntervalRow]]:
    """Yield the intervals of a file that lie in these videos, each with its video."""
    for row in file.rows:
        if isinstance(row, IntervalRow) and (video := _video(places, row.video, file.is_of_tool)) in videos:
            yield video, row


def _video(places: Places, name: str, is_of_tool: bool) -> str:
    try:
        return places.named(name, loosely=is_of_tool)
    except ValueError:
        return ""
