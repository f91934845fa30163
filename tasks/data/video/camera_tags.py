"""Read from a container's tags which camera wrote a video, and when. The tags are untrusted text."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime

MAX_CAMERA_LENGTH = 60
FIRST_YEAR, LAST_YEAR = 2000, 2099
"""A container without a time has that of its format's epoch: 1904 or 1970."""

MAKES = ("make", "com.apple.quicktime.make", "com.android.manufacturer")
MODELS = ("model", "com.apple.quicktime.model", "com.android.model")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?Z?")


def camera(tags: Mapping[str, str]) -> str | None:
    """Return make and model of the camera in printable text, if the tags name a model."""
    tags = {name.casefold(): text for name, text in tags.items()}
    make, model = _plain(tags, MAKES), _plain(tags, MODELS)
    if not model:
        return None
    named = model if model.casefold().startswith(make.casefold()) else f"{make} {model}"
    return named[:MAX_CAMERA_LENGTH].strip()


def recorded_at(tags: Mapping[str, str]) -> datetime | None:
    """Return the start of the recording by the camera's clock, if its year is plausible.

    Many cameras write their local time as if it were UTC.
    """
    text = next((text for name, text in tags.items() if name.casefold() == "creation_time"), "")
    if not TIME.fullmatch(text):
        return None
    try:
        time = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if is_plausible(time) else None


def is_plausible(time: datetime) -> bool:
    """Check whether a time is in UTC, and in a year of digital cameras."""
    return time.tzinfo == UTC and FIRST_YEAR <= time.year <= LAST_YEAR


def _plain(tags: Mapping[str, str], names: tuple[str, ...]) -> str:
    text = next((tags[name] for name in names if tags.get(name)), "")[: 4 * MAX_CAMERA_LENGTH]
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
