"""How messages quote what people wrote: short, printable, with what they may have meant."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MAX_QUOTED = 60
MAX_LISTED = 5


def quoted(text: str) -> str:
    """`text` in quotes, cut to a readable length, with nothing that a terminal would obey."""
    short = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
    return f"'{printable(short)}'"


def printable(text: str, kept: str = "") -> str:
    """Replace in `text` whatever a terminal would obey, except characters in `kept`."""
    return "".join(char if char.isprintable() or char in kept else "\N{REPLACEMENT CHARACTER}" for char in text)


def near(text: str, known: Iterable[str]) -> str:
    """` (near: 'a', 'b')` with up to three of `known` that resemble `text`, or nothing."""
    matches = get_close_matches(text[:200], known, n=3, cutoff=0.6)
    return f" (near: {', '.join(map(quoted, matches))})" if matches else ""


def some(texts: Sequence[str]) -> str:
    """`a, b, c and 2 more`: up to five."""
    return ", ".join(texts[:MAX_LISTED]) + (f" and {len(texts) - MAX_LISTED} more" if len(texts) > MAX_LISTED else "")


def count(number: int, noun: str) -> str:
    """`1 clip`, `2 clips`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
