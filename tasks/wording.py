"""Format numbers and names for people, alike in every table, sentence and tag.

Shares are between 0 and 1.
"""

import csv
import io
import math
import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

MAX_QUOTED = 60
MAX_LISTED = 5
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
WORD_JOINER = "\u2060"
"""A zero-width character without a line break. Inserted into an address, it keeps renderers from making a link."""

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SPECIALS = re.compile(r"[\\`*_{}\[\]#|~!]")
_OPENERS = re.compile(r"^(\d*)([-+=.)])")
_ADDRESSES = re.compile(r":?//|@|(?<=\w)\.(?=[^\W\d])")

# A password may hold the characters that end a host: if `:`, `?` and `@` follow each other, all is hidden. MLflow's pages have `#/`.
# The text after `://` is consumed up to the next space, so that the time is linear.
# Digits and a path are a port, not a password, if each `@` begins a name of the path.
_PORT = r"\d{1,5}/(?:[^\s@?#]|(?<=/)@)*+(?!@)"
# A password with a space, if the colon ends neither the address nor a sentence.
_SPACED = r"[^\s/?#:\['\",]*:(?=[^\s\d'\"),.;\]}]|\d+[^\s\d/?#'\"),.;:\]}]|\d+ \S+@)[^\n@]{0,200}@"
# Any login with a space whose host has a path: up to the last `@` of the line, or before the next address.
_BEFORE_PATH = rf"[^\s/?#:\[]*:(?=\S)(?!{_PORT})(?:(?!://)\S){{0,200}}+ (?:(?!://)[^\n]){{0,400}}@(?=[\w.\-\[\]:]+/)"
_S3 = r"\bs3(?:\+[a-z\d_-]{1,32})?://"
_SECRETS = re.compile(
    rf"(?i)(?P<s3>{_S3})|://(?:{_BEFORE_PATH}(?P<host>[^\s?#]*)|(?=[^\s/?#:\[]*:[^\s?#]*[?#]\S*@)|"
    rf"(?:[^\s/?#:\[]*:(?!{_PORT})[^\s?#]*@|[^\s/?#]*@|{_SPACED}(?:[^\s?#]*@)?)?(?P<place>[^\s?#]*(?:#/[^\s?]*)?))"
    r"(?P<secret>(?:[^\s:;,.)'\"\]}]++|[:;,.)'\"\]}]++(?=\S))*+)"
)
# No bucket has a colon or `@` in its name. The rest of an address may have them, and `?`.
_S3_LOGIN = re.compile(
    rf"(?i)({_S3})(?:[^\s/:]*:\S(?:(?!://)[^\n]){{0,400}}@(?=[a-z\d][\w.-]*/)|"
    r"(?:(?:[^\s/:@'\",]*:\S[^\n@]{0,200}|[^\s/@'\",]*)@)+)"
)

_LINE_ENDS = re.compile(r"\s*[\t\n\r]\s*")

# Full-width and superscript characters also start formulas, and in some locales a semicolon separates cells.
FORMULA_SIGN = r"[=+@\-\uff1d\uff0b\uff20\uff0d\u2212\ufe62\ufe63\ufe66\ufe6b\u207a-\u207c\u208a-\u208c]"
_FORMULA = re.compile(rf"(^|[;|])([ \"]*)(?={FORMULA_SIGN})")
# A run of spaces and quotes after which a cell may begin, taken whole, so that the time is linear.
_BEFORE_CELL = r"((?:^|[;|]|(?<![\s\"])(?=[\s\"]*[\t\r\n]))[\s\"]*+)"
_MAYBE_QUOTED = re.compile(rf"{_BEFORE_CELL}(?='*{FORMULA_SIGN})")
_QUOTED = re.compile(rf"{_BEFORE_CELL}'(?='*{FORMULA_SIGN})")


def percent(share: float) -> str:
    """Format a share: `34.8 %`."""
    return f"{100 * share:.1f} %"


def percent_interval(interval: tuple[float, float]) -> str:
    """Format an interval of shares or differences, in per cent or points: `[11.0, 52.1]`."""
    low, high = (_rounded(100 * limit) for limit in interval)
    return minus(f"[{low:.1f}, {high:.1f}]")


def count(number: int, noun: str) -> str:
    """Format a count with its noun: `1 clip`, `12,000 clips`, `2 classes`."""
    return f"{number:,} {noun}es" if noun.endswith("s") and number != 1 else _counted(f"{number:,}", noun)


def count_with_verb(number: int, noun: str, one: str = "is", many: str = "are", *, of: int | None = None) -> str:
    """Format a count with its verb: `1 clip is`, `0 of 12 clips are`."""
    counted = count(number, noun) if of is None else f"{number:,} of {count(of, noun)}"
    return f"{counted} {one if 1 in (number, of) else many}"


def plain_count(number: int, noun: str) -> str:
    """Format a count without separators: `12000 clips`."""
    # Datasets' digests cover this form, so it must never change.
    return _counted(str(number), noun)


def crops_in_words(crops: int) -> str:
    """Describe the test crops: `centre crop`, `10 crops`."""
    return "centre crop" if crops == 1 else f"{crops} crops"


def clock(seconds: float) -> str:
    """Format a position in a video: `0:08`, `1:02:03`, `0:08.5`."""
    whole, tenth = divmod(round(10 * seconds), 10)
    hours, minutes = divmod(whole // 60, 60)
    place = f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
    return f"{place}.{tenth}" if tenth else place


def stretch(start_seconds: float, stop_seconds: float) -> str:
    """Format a part of a video, from clock to clock."""
    return f"{clock(start_seconds)}\N{EN DASH}{clock(stop_seconds)}"


def signed(difference: float) -> str:
    """Format a difference of shares in percentage points: `+8.3`, or `0.0` without a sign."""
    value = _rounded(100 * difference)
    return minus(f"{value:+.1f}") if value else "0.0"


def minus(numbers: str) -> str:
    """Write the hyphens of formatted numbers as minus signs."""
    return numbers.replace("-", "\N{MINUS SIGN}")


def points(difference: float) -> str:
    """Format the absolute difference of shares: `8.3 points`, `1.0 point`."""
    size = f"{abs(100 * difference):.1f}"
    return f"{size} point" if size == "1.0" else f"{size} points"


def p_value(p: float) -> str:
    """Format a p-value: `p = 0.016`, `p < 0.001`, `p = 1`."""
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.9995 else "p = 1"


def roughly(number: int) -> str:
    """Format an estimated count, rounded up to two digits: `about 240`, `about 1,300`."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return f"about {math.ceil(number / unit) * unit:,}"


def quantity(number: int) -> str:
    """Format a large number to three digits, such as `24.5 million` or `655 billion`."""
    for unit, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        # A number that rounds up to 1000 of a unit is written in the next unit.
        if number >= 0.9995 * unit:
            return f"{number / unit:.{max(0, 2 - len(str(int(number / unit + 0.0005))) + 1)}f} {word}"
    return f"{number:,}"


def size(num_bytes: float) -> str:
    """Format a size: `98 MiB`, `1.5 GiB`."""
    power = 0
    while num_bytes >= 1024 and power < len(UNITS) - 1:
        num_bytes, power = num_bytes / 1024, power + 1
    return f"{num_bytes:.3g} {UNITS[power]}" if num_bytes < 1000 else f"{num_bytes:.0f} {UNITS[power]}"


def duration(seconds: float) -> str:
    """Format a duration: `18 ms`, `1.85 s`, `2 min 08 s`, `3 h 05 min`."""
    if 0 < seconds < 0.9995:
        return f"{1000 * seconds:.{0 if seconds >= 0.00995 else 2}f} ms"
    if seconds < 9.995 and seconds % 1:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def quoted(text: str) -> str:
    """Quote `text` on one line, truncated, without secrets and terminal control characters."""
    text = without_secrets(text)
    short = text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
    return f"'{printable(_LINE_ENDS.sub(' ', short))}'"


def without_secrets(text: str) -> str:
    """Remove users, passwords and queries, which may hold tokens, from addresses in a text."""
    if "://" not in text:
        return text

    def written(address: re.Match[str]) -> str:
        return address["s3"] or f"://{address['host'] or address['place'] or ''}{'?…' if address['secret'] else ''}"

    return _S3_LOGIN.sub(r"\1", _SECRETS.sub(written, text))


def printable(text: str, kept: str = "") -> str:
    """Replace control characters in `text`, except those in `kept`."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in kept else "\N{REPLACEMENT CHARACTER}" for char in text)


def near(text: str, known: Iterable[str]) -> str:
    """Suggest up to three close matches of `text`: ` (near: 'a', 'b')`, or nothing."""
    matches = get_close_matches(text[:200], known, n=3, cutoff=0.6)
    return f" (near: {', '.join(map(quoted, matches))})" if matches else ""


def some(texts: Sequence[str]) -> str:
    """Join up to five texts: `a, b, c, d, e and 2 more`."""
    return ", ".join(texts[:MAX_LISTED]) + (f" and {len(texts) - MAX_LISTED} more" if len(texts) > MAX_LISTED else "")


def plain_reason(text: object, name: str = "") -> str:
    """Remove the name of an internal file from the start of an error message."""
    return re.sub(rf"^(source(\.\w+)?|{re.escape(PurePosixPath(name).name)}): ", "", str(text))


def plain_cell(value: object) -> object:
    """Put untrusted text on one line that no spreadsheet interprets as a formula."""
    if not isinstance(value, str):
        return value
    line = " ".join("".join(c if c.isprintable() else " " for c in value).split())
    return _FORMULA.sub(r"\1\2'", line)


def safe_cell(text: str) -> str:
    """Put an apostrophe before each part that a spreadsheet would calculate. `text_of_cell` removes it."""
    return _MAYBE_QUOTED.sub(r"\1'", text)


def text_of_cell(cell: str) -> str:
    """Return the text that `safe_cell` wrote."""
    return _QUOTED.sub(r"\1", cell) if "'" in cell else cell


def markdown_text(text: str) -> str:
    """Escape `text` for Markdown, so that it is shown as plain text on one line."""
    # Some renderers ignore a backslash before HTML, and some make links of addresses.
    line = re.sub("[&<>]", lambda match: _ENTITIES[match[0]], " ".join(text.split()))
    line = _OPENERS.sub(r"\1\\\2", _SPECIALS.sub(r"\\\g<0>", line))
    return _ADDRESSES.sub(lambda match: WORD_JOINER + WORD_JOINER.join(match[0]) + WORD_JOINER, line)


def listed(parts: list[str]) -> str:
    """Join texts: `a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _rounded(value: float) -> float:
    return round(value, 1) + 0.0  # turns -0.0 into 0.0


def _counted(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def csv_table(columns: Collection[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Write rows by column as UTF-8, with a header; a missing cell is empty.

    Raises:
        ValueError: a row has another column.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def lacks(error: ModuleNotFoundError, program: str) -> str:
    """Say in one line which package this Python lacks, and which Python has it."""
    return f"{sys.executable} lacks {error.name}; `make run` installs it into .venv; then run .venv/bin/python -m {program} …"
