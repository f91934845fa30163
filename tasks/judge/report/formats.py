"""Format times, options and addresses for pages and cards."""

import base64
from datetime import UTC, datetime

from tasks.store.records.record import SplitName

UNKNOWN_TIME = "unknown date"


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
    """Format an address or key as a Markdown code span on one line.

    For copying; not for tables.
    """
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def leaning(split: SplitName) -> str:
    """Return the caveat for a val split that decides, as plain text; empty for test."""
    if split != "val":
        return ""
    return (
        "Val decides, and it also selected the kept epoch (or the fusion weights), so its scores are biased in favour of the fine-tuned network. "
        "A test split (test_share) has no such bias."
    )
