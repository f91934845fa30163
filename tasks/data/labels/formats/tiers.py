"""Join verbs and nouns that a tool keeps apart, in tiers or controls of their own, by their times."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.data.labels.formats.found import Refused, Said
from tasks.wording import quoted

MAX_COMPARED = 100


class Piece(NamedTuple):
    """A part of a label with its time; `parts` has a `verb`, a `noun`, a `text`, or several of them."""

    line: int
    where: str
    start_seconds: float
    stop_seconds: float
    parts: Mapping[str, str]


class Whole(NamedTuple):
    """A label with its time."""

    line: int
    where: str
    start_seconds: float
    stop_seconds: float
    said: Said


def joined(pieces: Sequence[Piece]) -> Iterator[Whole | Refused]:
    """Give each verb without a noun the noun that overlaps it most.

    Of nouns that begin before its end, the latest hundred are compared. A noun that no verb takes is refused. If two nouns overlap a verb equally, the earlier is taken.
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
            overlaps = [(_overlap(piece, nouns[place]), -place) for place in range(first, last)]
            most, place = max(overlaps, default=(0.0, 0))
            if most > 0:
                parts["noun"] = nouns[-place].parts["noun"]
                taken.add(-place)
        yield Whole(piece.line, piece.where, piece.start_seconds, piece.stop_seconds, said_of(parts))
    for place, noun in enumerate(nouns):
        if place not in taken:
            yield Refused(noun.line, noun.where, f"noun {quoted(noun.parts['noun'])} has no verb at its time")


def said_of(parts: Mapping[str, str]) -> Said:
    """Make a label of parts, of which a `verb` wins over a `text`."""
    if "verb" in parts:
        return Said(verb=parts["verb"], noun=parts.get("noun", ""))
    # A text with a noun of its own is a verb, such as the label `put` with the attribute `noun`.
    return Said(verb=parts["text"], noun=parts["noun"]) if "noun" in parts else Said(text=parts["text"])


def _overlap(one: Piece, other: Piece) -> float:
    return min(one.stop_seconds, other.stop_seconds) - max(one.start_seconds, other.start_seconds)
