"""Write numbers and names as people read them, the same in every table, sentence and tag. Shares are between 0 and 1."""

import math
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

MAX_QUOTED = 60
MAX_LISTED = 5
WORD_JOINER = "\u2060"
"""Takes no room and breaks no line: what looks like an address is none once it stands within."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIALS = re.compile(r"[\\`*_{}\[\]#|~!]")
_OPENERS = re.compile(r"^(\d*)([-+=.)])")
_ADDRESSES = re.compile(r":?//|@|(?<=\w)\.(?=[^\W\d])")

_LINE_ENDS = re.compile(r"\s*[\t\n\r]\s*")

# Signs of full width and raised ones count, too, and spreadsheets of some countries end a cell at a semicolon.
FORMULA_SIGN = r"[=+@\-\uff1d\uff0b\uff20\uff0d\u2212\ufe62\ufe63\ufe66\ufe6b\u207a-\u207c\u208a-\u208c]"
_FORMULA = re.compile(rf"(^|[;|])([ \"]*)(?={FORMULA_SIGN})")


def percent(share: float) -> str:
    """A share: `34.8 %`."""
    return f"{100 * share:.1f} %"


def percent_interval(interval: tuple[float, float]) -> str:
    """An interval of shares or of differences, in per cent or points: `[11.0, 52.1]`."""
    low, high = (_rounded(100 * limit) for limit in interval)
    return f"[{low:.1f}, {high:.1f}]"


def count(number: int, noun: str) -> str:
    """A number of things: `1 clip`, `2 clips`, `12,000 clips`."""
    return _counted(f"{number:,}", noun)


def plain_count(number: int, noun: str) -> str:
    """`1 clip`, `12000 clips`: as in the reasons that a dataset's digest covers, so they never change."""
    return _counted(str(number), noun)


def crops_in_words(crops: int) -> str:
    """What is looked at of each clip: `centre crop`, `10 crops`."""
    return "centre crop" if crops == 1 else f"{crops} crops"


def signed(difference: float) -> str:
    """A difference of shares in percentage points: `+8.3`, `-8.3`, `0.0`."""
    value = _rounded(100 * difference)
    return f"{value:+.1f}" if value else "0.0"


def points(difference: float) -> str:
    """The size of a difference of shares: `8.3 points`, `1.0 point`."""
    size = f"{abs(100 * difference):.1f}"
    return f"{size} point" if size == "1.0" else f"{size} points"


def p_value(p: float) -> str:
    """`p = 0.016`, `p < 0.001`, `p = 1`."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.9995 else "p = 1"


def roughly(number: int) -> str:
    """A number that is an estimate, rounded up to two digits: `about 240`, `about 1,300`."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return f"about {math.ceil(number / unit) * unit:,}"


def quoted(text: str) -> str:
    """`text` on one line in quotes, cut to a readable length, with nothing that a terminal would obey."""
    short = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
    return f"'{printable(_LINE_ENDS.sub(' ', short))}'"


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


def plain_reason(text: object, name: str = "") -> str:
    """A room's message without the file name that it begins with: people know the video by another name, which stands beside the reason."""
    return re.sub(rf"^(source(\.\w+)?|{re.escape(PurePosixPath(name).name)}): ", "", str(text))


def plain_cell(value: object) -> object:
    """Put text on one line on which no spreadsheet sees a formula: files have names of any kind, and people write reasons of any kind."""
    if not isinstance(value, str):
        return value
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return _FORMULA.sub(r"\1\2'", line)


def markdown_text(text: str) -> str:
    """`text` so that Markdown shows it as it is, on one line: no link, picture, HTML, table cell, emphasis, code, list or heading.

    Addresses get a word joiner within, so that no renderer makes links of them by itself. HTML is written as entities, since some
    renderers do not know a backslash before it.
    """
    line = re.sub("[&<>]", lambda found: _ENTITIES[found[0]], " ".join(text.split()))
    line = _OPENERS.sub(r"\1\\\2", _SPECIALS.sub(r"\\\g<0>", line))
    return _ADDRESSES.sub(lambda found: WORD_JOINER + WORD_JOINER.join(found[0]) + WORD_JOINER, line)


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _rounded(value: float) -> float:
    # Adding zero turns -0.0 into 0.0.
    return round(value, 1) + 0.0


def _counted(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"
