"""Read ELAN's .eaf: tiers of annotations, in milliseconds on the time line of one recording with one camera or several."""

import re
from collections import defaultdict
from collections.abc import Mapping

from tasks.data.labels.formats.documents import Node, elements
from tasks.data.labels.formats.found import Document, Found, Items, Refused, Videos, number, part_of
from tasks.data.labels.formats.tiers import Piece, joined
from tasks.errors import BadLabels
from tasks.wording import plain_count, quoted

ROOT = "ANNOTATION_DOCUMENT"
ATTRIBUTES = [
    "TIME_UNITS",
    "MEDIA_URL",
    "RELATIVE_MEDIA_URL",
    "MIME_TYPE",
    "TIME_ORIGIN",
    "TIME_SLOT_ID",
    "TIME_VALUE",
    "TIER_ID",
    "ANNOTATION_ID",
    "ANNOTATION_REF",
    "TIME_SLOT_REF1",
    "TIME_SLOT_REF2",
]
MAX_REFERENCES = 20


def read(document: Document, videos: Videos) -> Items:
    """Read the tiers that are called verb, noun, action or label, or the only tier.

    A tier may have the name of a person behind `@`: verbs and nouns are joined person by person.
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
            told = f"tier {quoted(name)} is not called verb, noun, action or label: {plain_count(len(tier.children), 'annotation')}"
            yield Refused(tier.line, "", told + _better_name(name, person))
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
        for item in joined(of_person):
            if isinstance(item, Refused):
                yield item
                continue
            for names, origin in cameras:
                yield Found(item.line, "", names, item.start_seconds + origin, item.stop_seconds + origin, item.said)


def _better_name(name: str, person: str) -> str:
    """Propose the name that a tier such as `Verb_Anna` needs; empty if it does not look like one of labels."""
    words = [word for word in re.split(r"[\W_]+", name) if word]
    part = next((word for word in words if part_of(word)), "")
    people = [word for word in (*words, person) if word and word != part]
    return f"; if it holds labels, call it {quoted('@'.join((part.casefold(), '_'.join(people))))}" if part and people else ""


class _Times:
    """The times of annotations in seconds; one without times of its own has those of its parent."""

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
    """List the videos with the seconds that each began before the time line.

    Those that the store lacks are left out, unless it lacks all.
    """
    found = []
    for media in root.below("MEDIA_DESCRIPTOR"):
        names = tuple(name for key in ("MEDIA_URL", "RELATIVE_MEDIA_URL") if (name := media.attributes.get(key, "").strip()))
        if names and not media.attributes.get("MIME_TYPE", "").startswith("audio"):
            try:
                found.append((names, number(media.attributes.get("TIME_ORIGIN") or 0, "TIME_ORIGIN") / 1000))
            except ValueError as error:
                raise BadLabels(f"is of ELAN, and {error}") from None
    if not found:
        raise BadLabels("is of ELAN, but names no video in a MEDIA_DESCRIPTOR")
    return [camera for camera in found if any(map(videos.finds, camera[0]))] or found[:1]
