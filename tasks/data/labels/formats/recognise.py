"""Recognise the files of other tools by their content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from tasks.data.labels.formats import activitynet, cvat, elan, fiftyone, kinetics, label_studio, via
from tasks.data.labels.formats.documents import ZIP, from_zip, parse_json, root_tag
from tasks.data.labels.formats.found import Document, Read
from tasks.errors import BadLabels
from tasks.wording import quoted


@dataclass(frozen=True)
class Tool:
    """A format, as people call it, and its reader."""

    name: str
    read: Read


JSON_FORMATS: tuple[tuple[Callable[[object], bool], Tool], ...] = (
    (label_studio.is_json, Tool("Label Studio JSON", label_studio.read_json)),
    (label_studio.is_json_min, Tool("Label Studio JSON-MIN", label_studio.read_json_min)),
    (via.is_project, Tool("VIA 3 project", via.read_project)),
    (activitynet.is_json, Tool("ActivityNet or HACS JSON", activitynet.read_json)),
    (fiftyone.is_json, Tool("FiftyOne temporal detections", fiftyone.read)),
)
XML_FORMATS: Mapping[str, Tool] = {
    "annotations": Tool("CVAT XML", cvat.read),
    elan.ROOT: Tool("ELAN", elan.read),
}
"""By the tag of the outermost element."""

ARCHIVED = "annotations.xml"
"""The file that is read in a zip archive, which is CVAT's."""


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
        if activitynet.is_results(parsed):
            raise BadLabels("holds predictions in ActivityNet's format for results, not labels; labels have a 'database'")
        raise BadLabels(f"is JSON of no known tool; known are {', '.join(tool.name for _, tool in JSON_FORMATS)}")
    return (Tool("VIA 3 CSV", via.read_csv), document) if via.is_csv(content) else None


def recognise_list(name: str, content: bytes) -> tuple[Tool, Document] | None:
    """Recognise a list that has no header; None if it is none."""
    return (Tool("list of videos and labels", kinetics.read_list), Document(name, content)) if kinetics.is_list(content) else None
