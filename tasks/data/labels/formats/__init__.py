"""List the formats of other tools, and recognise their files by content."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from tasks.data.labels.exported import VideoSpans, interval_csv
from tasks.data.labels.formats import boris, cvat, elan, epic, label_studio, via, video_datasets
from tasks.data.labels.formats.documents import ZIP, from_zip, parse_json, root_tag
from tasks.data.labels.formats.items import MAX_ITEMS, Document, Read, ReadLines, line_by_line
from tasks.errors import BadLabels
from tasks.wording import quoted


@dataclass(frozen=True)
class Tool:
    """A format, as people call it, and its reader."""

    name: str
    read: Read


class TableFormat(NamedTuple):
    """A table's required columns, in lower case with `_` for spaces, its reader, and how many items that reads in time."""

    columns: tuple[str, ...]
    read: ReadLines
    max_items: int = MAX_ITEMS


JSON_FORMATS: tuple[tuple[Callable[[object], bool], Tool], ...] = (
    (label_studio.is_json, Tool("Label Studio JSON", label_studio.read_json)),
    (label_studio.is_json_min, Tool("Label Studio JSON-MIN", label_studio.read_json_min)),
    (via.is_project, Tool("VIA 3 project", via.read_project)),
    (video_datasets.is_activitynet, Tool("ActivityNet or HACS JSON", video_datasets.read_activitynet)),
    (video_datasets.is_fiftyone, Tool("FiftyOne temporal detections", video_datasets.read_fiftyone)),
)
XML_FORMATS: Mapping[str, Tool] = {
    "annotations": Tool("CVAT XML", cvat.read),
    elan.ROOT: Tool("ELAN", elan.read),
}
"""By the tag of the outermost element."""

ARCHIVED = "annotations.xml"
"""The file that is read in a zip archive, which is CVAT's."""

TABLES: Mapping[str, TableFormat] = {
    "Label Studio CSV": TableFormat(("annotation_id", "annotator"), label_studio.read_table),
    "EPIC-KITCHENS-100": TableFormat(epic.EPIC_100, line_by_line(partial(epic.read, has_ids=False))),
    "EPIC-KITCHENS-55": TableFormat(epic.EPIC_55, line_by_line(partial(epic.read, has_ids=True))),
    "BORIS": TableFormat(boris.COLUMNS, line_by_line(boris.read)),
    "HACS clips": TableFormat(video_datasets.HACS_CLIPS, line_by_line(video_datasets.read_hacs_clip)),
    "Kinetics": TableFormat(video_datasets.KINETICS, line_by_line(video_datasets.read_kinetics), video_datasets.MAX_KINETICS_LINES),
}
"""By the format's name; of two that fit, the first is taken."""

WRITERS: Mapping[str, tuple[str, Callable[[Sequence[VideoSpans]], bytes]]] = {
    "label-studio": (".json", label_studio.write),
    "cvat": (".zip", cvat.write),
    "elan": (".zip", elan.write),
    "fiftyone": (".json", video_datasets.write_fiftyone),
    "epic": (".csv", epic.write),
    "activitynet": (".json", video_datasets.write_activitynet),
    "csv": (".csv", interval_csv),
}
"""By name: the suffix of the file, and the writer."""


def recognise(name: str, content: bytes) -> tuple[Tool, Document] | None:
    """Recognise JSON, XML and archives; None if it may be a table.

    Raises:
        BadLabels: it is JSON, XML or an archive, but of no known tool, or unreadable.
    """
    document = Document(name, content)
    if content.startswith(ZIP):
        document = replace(document, content=from_zip(content, ARCHIVED))
    start = document.content[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")[:1]
    if start == b"<":
        tag = root_tag(document.content)
        if tag not in XML_FORMATS:
            raise BadLabels(f"is XML of no known tool: its outermost element is {quoted(tag)}, not {' or '.join(XML_FORMATS)}")
        return XML_FORMATS[tag], document
    if start in (b"{", b"["):
        parsed = parse_json(document.content)
        for is_format, tool in JSON_FORMATS:
            if is_format(parsed):
                return tool, replace(document, parsed=parsed)
        if video_datasets.is_results(parsed):
            raise BadLabels("holds predictions in ActivityNet's format for results, not labels; labels have a 'database'")
        raise BadLabels(f"is JSON of no known tool; known are {', '.join(tool.name for _, tool in JSON_FORMATS)}")
    return (Tool("VIA 3 CSV", via.read_csv), document) if via.is_csv(content) else None


def recognise_list(name: str, content: bytes) -> tuple[Tool, Document] | None:
    """Recognise a list that has no header; None if it is none."""
    return (
        (Tool("list of videos and labels", video_datasets.read_list), Document(name, content)) if video_datasets.is_list(content) else None
    )
