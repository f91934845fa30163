"""How times, sizes and addresses are written, in pages and in cards."""

import base64
from datetime import UTC, datetime

from tasks.results.record import SplitName
from tasks.wording import count

UNKNOWN_TIME = "unknown date"


def counted(number: int, noun: str) -> str:
    """`1 clip`, `1,200 clips`, `2 classes`."""
    return f"{number:,} {noun}es" if noun.endswith("s") and number != 1 else count(number, noun)


def decimal(number: float, digits: int = 3) -> str:
    """A number with a fixed count of digits after the point: `1,234.500`."""
    return f"{number:,.{digits}f}"


def seconds(duration: float) -> str:
    """A duration in the unit that fits: `18 ms`, `1.85 s`, `2 h 03 min`."""
    if duration < 0.9995:
        return f"{1000 * duration:.{0 if duration >= 0.00995 else 2}f} ms"
    if duration < 120:
        return f"{duration:.2f} s"
    minutes = round(duration / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def size(num_bytes: int) -> str:
    """`512 MiB`, `1.9 GiB`."""
    mebibytes = num_bytes / 2**20
    return f"{mebibytes:.0f} MiB" if mebibytes < 1000 else f"{mebibytes / 1024:.1f} GiB"


def quantity(number: int) -> str:
    """A large number to three digits: `24.5 million`, `655 billion`; a small one as it is."""
    for unit, word in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million")):
        # What rounds up to a thousand of a unit belongs to the next.
        if number >= 0.9995 * unit:
            return f"{number / unit:.{max(0, 2 - len(str(int(number / unit + 0.0005))) + 1)}f} {word}"
    return f"{number:,}"


def utc(iso: str) -> str:
    """ISO 8601 as `2026-11-26 00:25 UTC`, and `unknown date` for what is no time. A time without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(iso)
    except ValueError:
        return UNKNOWN_TIME
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def is_web_address(text: str) -> bool:
    """Whether `text` may become a link: http or https, never `javascript:` or the like."""
    return text.startswith(("https://", "http://"))


def data_uri(content: bytes, media_type: str) -> str:
    """`content` as an address that holds it."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def setting(value: object) -> str:
    """The value of an option in words."""
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
    """An address or a key as a code span of Markdown, to be copied as it is; on one line, for use outside tables."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def leaning(split: SplitName) -> str:
    """What must be said where val decides, as plain text; empty for a split that chose nothing."""
    if split != "val":
        return ""
    return (
        "Val decides, and also chose which epoch, or which weights of a fusion, are kept: its figures lean towards the fine-tuned network. "
        "Those of a test split (test_share) do not."
    )
