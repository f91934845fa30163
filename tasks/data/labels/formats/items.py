"""Define the items of other tools' files: labels in seconds, and refusals with reasons.

Verbs and nouns that a tool keeps apart, in tiers or controls of their own, are joined by their times. The functions that read a value raise
a ValueError that names it.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol, Self

from tasks.data.labels.intervals import overlap_seconds
from tasks.data.labels.tables import Cells
from tasks.wording import quoted

VIDEO_SUFFIXES = (
    *(".3gp", ".asf", ".avi", ".flv", ".insv", ".lrv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogg", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
"""Usual endings of the containers that are read."""
MAX_ITEMS = 450_000
PARTS = {
    "verb": ("verb", "verbs"),
    "noun": ("noun", "nouns", "object"),
    "text": ("action", "actions", "label", "labels", "activity", "activities", "narration"),
}
"""Names of tiers, attributes and controls that hold a part of a label. Others, such as `quality`, hold none."""

MAX_COMPARED = 100


class ToolLabel(NamedTuple):
    """A label as a tool has it: verb and noun, or one text with both."""

    verb: str = ""
    noun: str = ""
    text: str = ""
    verb_class: int | None = None
    noun_class: int | None = None


class Labelled(NamedTuple):
    """A label of a part of a video, or without times of the whole video.

    `line` is a line of the file, or the number of an item; `where` is the item's path where lines say nothing. `video` may have several
    spellings, the most likely first.
    """

    line: int
    where: str
    video: tuple[str, ...]
    start_seconds: float | None
    stop_seconds: float | None
    label: ToolLabel

    def with_label(self, label: ToolLabel) -> "Labelled":
        """Replace the label, in less time than `_replace`."""
        return self if label is self.label else Labelled(*self[:5], label)


class Refused(NamedTuple):
    """An item that cannot be used, and the reason."""

    line: int
    where: str
    reason: str


class Remark(NamedTuple):
    """A text for people about how the whole file was read."""

    text: str


class Videos(Protocol):
    """The videos of the store, as readers know them."""

    def fps(self, names: Sequence[str]) -> float:
        """Return the frame rate of the video with one of these names.

        Raises:
            ValueError: no video has such a name, or several have.
        """

    def finds(self, name: str) -> bool:
        """Check whether a video has this name."""

    def beside(self, videos: frozenset[str]) -> Self:
        """Prefer these videos where several have a name."""


@dataclass(frozen=True)
class Document:
    """A file of a tool; JSON is parsed."""

    name: str
    content: bytes
    parsed: object = None


Items = Iterator[Labelled | Refused | Remark]
Read = Callable[[Document, Videos], Items]
ReadLines = Callable[[Iterator[tuple[int, Cells | str]], Videos], Items]


def line_by_line(read: Callable[[int, Cells, Videos], Labelled]) -> ReadLines:
    """Make a reader of tables from a reader of lines, which may raise a ValueError."""

    def read_lines(lines: Iterator[tuple[int, Cells | str]], videos: Videos) -> Items:
        for line, cells in lines:
            try:
                if isinstance(cells, str):
                    raise ValueError(cells)
                yield read(line, cells, videos)
            except ValueError as error:
                yield Refused(line, "", str(error))

    return read_lines


def number(value: object, name: str) -> float:
    """Read a finite number, also one that is written as text."""
    parsed = math.nan
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            parsed = float(value)
    if not math.isfinite(parsed):
        raise ValueError(f"{name} {quoted(str(value))} is not a number")
    return parsed


def frame(value: object, name: str) -> int:
    """Read the number of a frame."""
    parsed = number(value, name)
    if parsed < 0 or parsed != int(parsed):
        raise ValueError(f"{name} {parsed:g} is not the number of a frame")
    return int(parsed)


def rate(value: object, name: str) -> float:
    """Read a frame rate."""
    parsed = number(value, name)
    if not 0.1 <= parsed <= 1000:
        raise ValueError(f"{name} {parsed:g} is not a frame rate")
    return parsed


def text(value: object, name: str) -> str:
    """Read a text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} {quoted(str(value))} is not a text" if value not in (None, "") else f"has no {name}")
    return value.strip()


def mapping(value: object, name: str) -> Mapping[str, object]:
    """Read an object of JSON."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object" if value is not None else f"has no {name}")
    return value


def sequence(value: object, name: str) -> Sequence[object]:
    """Read a list of JSON."""
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list" if value is not None else f"has no {name}")
    return value


@lru_cache(maxsize=64)
def part_of(name: str) -> str:
    """Find the part that a tier, attribute or control of this name holds, if any."""
    plain = name.strip().casefold()
    return next((part for part, names in PARTS.items() if plain in names), "")


class Piece(NamedTuple):
    """A verb, a noun, a text, or several of them, with their time."""

    line: int
    where: str
    start_seconds: float
    stop_seconds: float
    parts: Mapping[str, str]


def joined(pieces: Sequence[Piece], videos: Sequence[tuple[tuple[str, ...], float]]) -> Iterator[Labelled | Refused]:
    """Give each verb without a noun the noun that overlaps it most.

    Of equal nouns the earlier counts. Of nouns that begin before the verb's end, the latest hundred are compared. A noun that no verb takes is
    refused. A label is of each of `videos`, names with the seconds that are added to its times.
    """
    nouns = sorted((piece for piece in pieces if piece.parts.keys() == {"noun"}), key=lambda piece: piece.start_seconds)
    starts = [noun.start_seconds for noun in nouns]
    longest = max((noun.stop_seconds - noun.start_seconds for noun in nouns), default=0.0)
    taken: set[int] = set()
    for piece in pieces:
        if piece.parts.keys() == {"noun"}:
            continue
        parts = dict(piece.parts)
        if "verb" in parts and "noun" not in parts and nouns:
            last = bisect_left(starts, piece.stop_seconds)
            first = max(bisect_left(starts, piece.start_seconds - longest), last - MAX_COMPARED)
            overlaps = [(overlap_seconds(piece, nouns[place]), -place) for place in range(first, last)]
            most, place = max(overlaps, default=(0.0, 0))
            if most > 0:
                parts["noun"] = nouns[-place].parts["noun"]
                taken.add(-place)
        for video, seconds in videos:
            start, stop = piece.start_seconds + seconds, piece.stop_seconds + seconds
            yield Labelled(piece.line, piece.where, video, start, stop, label_of(parts))
    for place, noun in enumerate(nouns):
        if place not in taken:
            yield Refused(noun.line, noun.where, f"noun {quoted(noun.parts['noun'])} has no verb at its time")


def label_of(parts: Mapping[str, str]) -> ToolLabel:
    """Make a label of parts; a `verb` wins over a `text`."""
    if "verb" in parts:
        return ToolLabel(verb=parts["verb"], noun=parts.get("noun", ""))
    # A text with a noun of its own is a verb, such as the label `put` with the attribute `noun`.
    return ToolLabel(verb=parts["text"], noun=parts["noun"]) if "noun" in parts else ToolLabel(text=parts["text"])
