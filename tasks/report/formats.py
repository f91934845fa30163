"""Format times, sizes and addresses for pages and cards."""

import base64
from datetime import UTC, datetime

from tasks.results.record import SplitName
from tasks.wording import count

UNKNOWN_TIME = "unknown date"


def counted(number: int, noun: str) -> str:
    """Format a count with its noun: `1 clip`, `1,200 clips`, `2 classes`."""
    return f"{number:,} {noun}es" if noun.endswith("s") and number != 1 else count(number, noun)


def decimal(number: float, digits: int = 3) -> str:
    """Format a number with a fixed number of decimals: `1,234.500`."""
    return f"{number:,.{digits}f}"


def seconds(duration: float) -> str:
    """Format a duration in a fitting unit: `18 ms`, `1.85 s`, `2 h 03 min`."""
    if duration < 0.9995:
        return f"{1000 * duration:.{0 if duration >= 0.00995 else 2}f} ms"
    if duration < 120:
        return f"{duration:.2f} s"
    minutes = round(duration / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def size(num_bytes: int) -> str:
    """Format a size: `512 MiB`, `1.9 GiB`."""
    mebibytes = num_bytes / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def quantity(number: int) -> str:
    """Format a large number to three digits, `24.5 million`, `655 billion`; leave small ones as they are."""
    for unit, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        # A number that rounds up to 1000 of a unit is written in the next unit.
        if number >= 0.9995 * unit:
            return f"{number / unit:.{max(0, 2 - len(str(int(number / unit + 0.0005))) + 1)}f} {word}"
    return f"{number:,}"


def utc(iso: str) -> str:
    """Format ISO 8601 as `2026-11-26 00:25 UTC`, or `unknown date` if it does not parse. A time without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return UNKNOWN_TIME
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def is_web_address(text: str) -> bool:
    """Check whether `text` may become a link: http or https, never `javascript:` or the like."""
    return text.startswith(("https://", "http://"))


def data_uri(content: bytes, media_type: str) -> str:
    """Encode `content` as a data URI."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def setting(value: object) -> str:
    """Format an option's value."""
    if value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def code(text: str) -> str:
    """Format an address or key as a Markdown code span on one line, for copying; not for tables."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def leaning(split: SplitName) -> str:
    """Return the caveat for a val split that decides, as plain text; empty for test."""
    if split != "val":
        return ""
    return (
        "Val decides, and it also selected the kept epoch (or the fusion weights), so its scores are biased in favour of the fine-tuned network. "
        "A test split (test_share) has no such bias."
    )
