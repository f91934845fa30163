"""Read ELAN's .eaf: tiers of annotations, in milliseconds, on the time line of all cameras."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from mimetypes import guess_type
from pathlib import PurePosixPath
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement

from tasks.data.labels.exported import VideoSpans, xml_archive
from tasks.data.labels.formats import DocumentFormat, Writer
from tasks.data.labels.formats.items import Document, Items, Piece, Refused, Videos, joined, number, part_of
from tasks.data.labels.formats.safe_parsing import Node, elements
from tasks.errors import BadLabels
from tasks.wording import plain_count, quoted

ROOT = "ANNOTATION_DOCUMENT"
ATTRIBUTES = (
    *("TIME_UNITS", "MEDIA_URL", "RELATIVE_MEDIA_URL", "MIME_TYPE", "TIME_ORIGIN", "TIME_SLOT_ID", "TIME_VALUE"),
    *("TIER_ID", "ANNOTATION_ID", "ANNOTATION_REF", "TIME_SLOT_REF1", "TIME_SLOT_REF2"),
)
MAX_REFERENCES = 20
EAF_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
EAF_DATE = "1970-01-01T00:00:00Z"
"""Always the same, so that equal labels make equal files."""


def read(document: Document, videos: Videos) -> Items:
    """Read the tiers that are called verb, noun, action or label, or the only tier.

    A person's own tiers have the person's name behind `@`.
    """
    (root,) = elements(document.content, (ROOT,), ATTRIBUTES)
    cameras = _cameras(root, videos)
    times = _Times(root)
    tiers = [tier for tier in root.named("TIER") if tier.children]
    pieces: defaultdict[str, list[Piece]] = defaultdict(list)
    for tier in tiers:
        name, _, person = tier.attributes.get("TIER_ID", "").partition("@")
        part = part_of(name) or ("text" if len(tiers) == 1 else "")
        if not part:
            reason = f"tier {quoted(name)} is not called verb, noun, action or label: {plain_count(len(tier.children), 'annotation')}"
            yield Refused(tier.line, "", reason + _better_name(name, person))
            continue
        for annotation in (inner for outer in tier.named("ANNOTATION") for inner in outer.children):
            value = next((child.text for child in annotation.named("ANNOTATION_VALUE")), "")
            try:
                if not value:
                    raise ValueError("has no text")
                start, stop = times.of(annotation)
            except ValueError as error:
                yield Refused(annotation.line, "", str(error))
                continue
            pieces[person].append(Piece(annotation.line, "", start, stop, {part: value}))
    for of_person in pieces.values():
        yield from joined(of_person, cameras)


def _better_name(name: str, person: str) -> str:
    """Propose a name for a tier such as `Verb_Anna`; empty if it seems without labels."""
    words = [word for word in re.split(r"[\W_]+", name) if word]
    part = next((word for word in words if part_of(word)), "")
    people = [word for word in (*words, person) if word and word != part]
    return f"; if it holds labels, call it {quoted('@'.join((part.casefold(), '_'.join(people))))}" if part and people else ""


class _Times:
    """The times of annotations in seconds; an annotation without times has those of its parent."""

    def __init__(self, root: Node) -> None:
        units = next((header.attributes.get("TIME_UNITS", "milliseconds") for header in root.named("HEADER")), "milliseconds")
        if units != "milliseconds":
            raise BadLabels(f"is of ELAN with times in {quoted(units)}, not in milliseconds")
        self._slots = {slot.attributes.get("TIME_SLOT_ID", ""): slot.attributes.get("TIME_VALUE") for slot in root.below("TIME_SLOT")}
        self._by_id: Mapping[str, Node] = {
            inner.attributes["ANNOTATION_ID"]: inner
            for outer in root.below("ANNOTATION")
            for inner in outer.children
            if "ANNOTATION_ID" in inner.attributes
        }

    def of(self, annotation: Node) -> tuple[float, float]:
        for _ in range(MAX_REFERENCES):
            if "TIME_SLOT_REF1" in annotation.attributes:
                return self._seconds(annotation.attributes["TIME_SLOT_REF1"]), self._seconds(
                    annotation.attributes.get("TIME_SLOT_REF2", "")
                )
            parent = self._by_id.get(annotation.attributes.get("ANNOTATION_REF", ""))
            if parent is None:
                raise ValueError("has neither times nor a parent with times")
            annotation = parent
        raise ValueError(f"has more than {MAX_REFERENCES} parents")

    def _seconds(self, slot: str) -> float:
        value = self._slots.get(slot)
        if value is None:
            raise ValueError(f"has no time: its slot {quoted(slot)} is not aligned")
        return number(value, "TIME_VALUE") / 1000


def _cameras(root: Node, videos: Videos) -> list[tuple[tuple[str, ...], float]]:
    """List known videos, else the first, with their seconds before the time line."""
    cameras = []
    for media in root.below("MEDIA_DESCRIPTOR"):
        names = tuple(name for key in ("MEDIA_URL", "RELATIVE_MEDIA_URL") if (name := media.attributes.get(key, "").strip()))
        if names and not media.attributes.get("MIME_TYPE", "").startswith("audio"):
            try:
                cameras.append((names, number(media.attributes.get("TIME_ORIGIN") or 0, "TIME_ORIGIN") / 1000))
            except ValueError as error:
                raise BadLabels(f"is of ELAN, and {error}") from None
    if not cameras:
        raise BadLabels("is of ELAN, but names no video in a MEDIA_DESCRIPTOR")
    return [camera for camera in cameras if any(map(videos.finds, camera[0]))] or cameras[:1]


def write(videos: Sequence[VideoSpans]) -> bytes:
    """Write ELAN's .eaf for each video, with tiers for labels at the same time."""
    return xml_archive(videos, ".eaf", _document)


def _document(video: VideoSpans) -> Element:
    schema = {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:noNamespaceSchemaLocation": EAF_SCHEMA}
    root = Element(ROOT, {"AUTHOR": "Retake", "DATE": EAF_DATE, "FORMAT": "3.0", "VERSION": "3.0", **schema})
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    kind, path = guess_type(video.name)[0] or "video/mp4", quote(video.name)
    SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=f"file:///{path}", MIME_TYPE=kind, RELATIVE_MEDIA_URL=f"./{PurePosixPath(path).name}")
    order = SubElement(root, "TIME_ORDER")
    times = [(_millis(span.start_seconds), max(_millis(span.stop_seconds), _millis(span.start_seconds) + 1)) for span in video.labels]
    # ELAN wants the slots by time, and one for each end of each annotation.
    ends = sorted((millis, index, side) for index, of_span in enumerate(times) for side, millis in enumerate(of_span))
    slots = {(index, side): f"ts{place}" for place, (_, index, side) in enumerate(ends, start=1)}
    for millis, index, side in ends:
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slots[index, side], TIME_VALUE=str(millis))
    tiers: list[tuple[Element, int]] = []
    for index, (span, (start, stop)) in enumerate(zip(video.labels, times, strict=True)):
        place = next((place for place, (_, end) in enumerate(tiers) if end <= start), len(tiers))
        name = f"action@{place + 1}" if place else "action"
        tier = tiers[place][0] if place < len(tiers) else SubElement(root, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=name)
        tiers[place : place + 1] = [(tier, stop)]
        refs = {"TIME_SLOT_REF1": slots[index, 0], "TIME_SLOT_REF2": slots[index, 1]}
        annotation = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{index + 1}", **refs})
        SubElement(annotation, "ANNOTATION_VALUE").text = span.text
    SubElement(root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="default-lt", TIME_ALIGNABLE="true")
    return root


def _millis(seconds: float) -> int:
    return round(1000 * seconds)


FORMATS = (DocumentFormat("ELAN", read, xml_root=ROOT, suffixes=(".eaf",)), Writer("elan", ".zip", write))
