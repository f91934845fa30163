"""Define what the readers of other tools' files give: labels in seconds, and refused items with reasons."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Protocol

from tasks.wording import quoted

MAX_ITEMS = 450_000
VERB_NAMES = ("verb", "verbs")
NOUN_NAMES = ("noun", "nouns", "object")
TEXT_NAMES = ("action", "actions", "label", "labels", "activity", "activities", "narration")
"""Names of tiers, attributes and controls that hold a label. Others, such as `quality`, do not."""


class Said(NamedTuple):
    """A label as a tool has it: a verb and a noun, or one text with both."""

    verb: str = ""
    noun: str = ""
    text: str = ""
    verb_class: int | None = None
    noun_class: int | None = None


class Found(NamedTuple):
    """A label of a part of a video, or of the whole video if it has no times.

    `line` is a line of the file, or the number of an item; `where` is the item's path where lines say nothing. `video` may have several
    spellings, the most likely first.
    """

    line: int
    where: str
    video: tuple[str, ...]
    start_seconds: float | None
    stop_seconds: float | None
    said: Said

    def saying(self, said: Said) -> "Found":
        """Return this with another label, in less time than `_replace`."""
        return self if said is self.said else Found(*self[:5], said)


class Refused(NamedTuple):
    """An item that cannot be used, and the reason."""

    line: int
    where: str
    reason: str


class Remark(NamedTuple):
    """What a person should know about how the whole file was read."""

    text: str


class Videos(Protocol):
    """What a reader may ask about the videos of the store."""

    def fps(self, names: Sequence[str]) -> float:
        """Return the frame rate of the video with one of these names.

        Raises:
            ValueError: there is no such video, or several; the message is for people.
        """

    def finds(self, name: str) -> bool:
        """Check whether a video has this name."""


@dataclass(frozen=True)
class Document:
    """A file of a tool, parsed as far as recognising it takes."""

    name: str
    content: bytes
    parsed: object = None
    columns: Mapping[str, int] = field(default_factory=dict)


Items = Iterator[Found | Refused | Remark]
Read = Callable[[Document, Videos], Items]


def number(value: object, name: str) -> float:
    """Read a finite number, also one that is written as text.

    Raises:
        ValueError: it is none; the message names it.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{name} {quoted(str(value))} is not a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} {quoted(str(value)[:100])} is not a number") from None
    if not math.isfinite(found):
        raise ValueError(f"{name} {quoted(str(value))} is not a number")
    return found


def frame(value: object, name: str) -> int:
    """Read the number of a frame.

    Raises:
        ValueError: it is none, or negative; the message names it.
    """
    found = number(value, name)
    if found < 0 or found != int(found):
        raise ValueError(f"{name} {found:g} is not the number of a frame")
    return int(found)


def rate(value: object, name: str) -> float:
    """Read a frame rate.

    Raises:
        ValueError: it is none; the message names it.
    """
    found = number(value, name)
    if not 0.1 <= found <= 1000:
        raise ValueError(f"{name} {found:g} is not a frame rate")
    return found


def text(value: object, name: str) -> str:
    """Read a text that is not empty.

    Raises:
        ValueError: it is none; the message names it.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} {quoted(str(value))} is not a text" if value not in (None, "") else f"has no {name}")
    return value.strip()


def mapping(value: object, name: str) -> Mapping[str, object]:
    """Read an object of JSON.

    Raises:
        ValueError: it is none; the message names it.
    """
    if not isinstance(value, dict):
        raise ValueError(f"{name} is not an object" if value is not None else f"has no {name}")
    return value


def sequence(value: object, name: str) -> Sequence[object]:
    """Read a list of JSON.

    Raises:
        ValueError: it is none; the message names it.
    """
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list" if value is not None else f"has no {name}")
    return value


@lru_cache(maxsize=64)
def part_of(name: str) -> str:
    """Say which part of a label a tier, an attribute or a control with this name holds.

    One of `verb`, `noun` and `text`; empty if none.
    """
    plain = name.strip().casefold()
    parts = {"verb": VERB_NAMES, "noun": NOUN_NAMES, "text": TEXT_NAMES}
    return next((part for part, names in parts.items() if plain in names), "")
