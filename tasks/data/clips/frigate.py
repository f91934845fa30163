"""Take a camera's recordings out of Frigate, by hourly exports of its API.

Source: docs.frigate.video, HTTP API.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import quote

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from tasks.download import ask, download
from tasks.errors import BadInput, Unavailable

TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]+(?:Z|[+-][0-9:]+)?)?"
SOURCE = re.compile(rf"frigate\+(?P<server>https?://[^/?#@]+)/(?P<camera>[A-Za-z0-9_-]+)/(?P<after>{TIME})(?:/(?P<before>{TIME}))?/?")
REMEDY = "write frigate+http://HOST:5000/CAMERA/2026-05-01T08:00/2026-05-01T18:00, in UTC, or only the first time"
HOUR = timedelta(hours=1)
SETTLED = timedelta(minutes=5)
"""Frigate keeps the latest recordings in a cache before it lists them."""
POLL_SECONDS = 5
EXPORT_SECONDS = 900
"""Frigate copies an hour without encoding it, but may have other exports before it."""

T = TypeVar("T")

log = logging.getLogger("retake")


class Hour(BaseModel):
    """An hour with recordings, in Frigate's summary."""

    hour: int = Field(ge=0, le=23)
    duration: float


class Day(BaseModel):
    """A day of Frigate's summary."""

    day: date
    hours: list[Hour]


class Started(BaseModel):
    """Frigate's answer to the start of an export."""

    export_id: str


class Export(BaseModel):
    """An export of Frigate's list."""

    id: str
    name: str
    video_path: str
    in_progress: bool


DAYS, STARTED, EXPORTS = TypeAdapter(list[Day]), TypeAdapter(Started), TypeAdapter(list[Export])


@dataclass(frozen=True)
class Footage:
    """A camera's recordings between two times; without `before`, up to now."""

    server: str
    camera: str
    after: datetime
    before: datetime | None

    @property
    def name(self) -> str:
        """Return a file name with camera and start, which recordings are grouped by."""
        return f"{self.camera}-{self.after:%Y%m%d%H%M%S}.mp4"

    @property
    def source(self) -> str:
        """Return the address of exactly this footage."""
        times = (f"{value:%Y-%m-%dT%H:%M:%SZ}" for value in (self.after, self.before) if value)
        return "/".join((f"frigate+{self.server}", self.camera, *times))


def is_frigate(source: str) -> bool:
    """Check whether a source is footage of Frigate."""
    return source.startswith(("frigate+http://", "frigate+https://"))


def recorded_hours(source: str, *, allow_private: bool) -> Iterator[Footage]:
    """Yield the whole hours with recordings that the times of `source` touch.

    The current hour waits until it is over. No hour is ever cut: parts of an hour could come to two splits.

    Raises:
        BadInput: the address is malformed or private, or Frigate refuses.
        Unavailable: Frigate does not answer.
    """
    wanted = _footage(source)
    url = f"{wanted.server}/api/{wanted.camera}/recordings/summary?timezone=utc"
    days, settled = _ask(DAYS, "GET", url, allow_private), datetime.now(UTC) - SETTLED
    for day in sorted(days, key=lambda day: day.day):
        for hour in sorted(day.hours, key=lambda hour: hour.hour):
            start = datetime(day.day.year, day.day.month, day.day.day, tzinfo=UTC) + hour.hour * HOUR
            # Differences: the last hour of the year 9999 has no end.
            is_wanted = wanted.after - start < HOUR and (wanted.before is None or start < wanted.before)
            if hour.duration and is_wanted and settled - start >= HOUR:
                yield Footage(wanted.server, wanted.camera, start, start + HOUR)


def fetch_footage(source: str, path: Path, *, max_bytes: int, allow_private: bool) -> None:
    """Let Frigate export the footage, download it to `path`, and remove the export.

    Raises:
        BadInput: as `recorded_hours` and `download`, or the export fails.
        Unavailable: as `download`, or the export takes too long.
        OSError: the disk is full, for example.
    """
    wanted = _footage(source)
    export = _exported(wanted, allow_private)
    try:
        url = f"{wanted.server}/exports/{quote(PurePosixPath(export.video_path).name)}"
        download(url, path, max_bytes=max_bytes, allow_private=allow_private)
    finally:
        _remove(wanted, export, allow_private)  # Frigate would keep it for ever


def _footage(source: str) -> Footage:
    match = SOURCE.fullmatch(source)
    if match is None:
        raise BadInput(f"{source!r} names no footage; {REMEDY}")
    try:
        after, before = _time(match["after"]), _time(match["before"]) if match["before"] else None
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{source!r} names no footage ({error}); {REMEDY}") from error
    return Footage(match["server"], match["camera"], after, before)


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _exported(wanted: Footage, allow_private: bool) -> Export:
    """Start an export, or find that of an interrupted ingest, and wait for its end."""
    if wanted.before is None:
        raise BadInput(f"{wanted.source} has no end; {REMEDY}")
    name = f"Retake {wanted.name.removesuffix('.mp4')} {(wanted.before - wanted.after).total_seconds():.0f} s"
    export = next((export for export in _exports(wanted, allow_private) if export.name == name), None)
    if export is None:
        url = f"{wanted.server}/api/export/{wanted.camera}/start/{wanted.after.timestamp():.0f}/end/{wanted.before.timestamp():.0f}"
        body = {"name": name, "source": "recordings", "playback": "realtime"}
        export_id, is_listed = _ask(STARTED, "POST", url, allow_private, body).export_id, False
    else:
        export_id, is_listed = export.id, True
    stop = monotonic() + EXPORT_SECONDS
    while export is None or export.in_progress:
        if monotonic() > stop:
            raise Unavailable(f"{wanted.source}: Frigate has not finished the export within {EXPORT_SECONDS} s; a later ingest finds it")
        sleep(POLL_SECONDS)
        export = next((export for export in _exports(wanted, allow_private) if export.id == export_id), None)
        if is_listed and export is None:
            raise BadInput(f"{wanted.source}: Frigate's export failed; its log says why")
        is_listed = export is not None
    return export


def _exports(wanted: Footage, allow_private: bool) -> list[Export]:
    return _ask(EXPORTS, "GET", f"{wanted.server}/api/exports", allow_private)


def _remove(wanted: Footage, export: Export, allow_private: bool) -> None:
    try:
        try:
            ask("POST", f"{wanted.server}/api/exports/delete", allow_private=allow_private, body={"ids": [export.id]})
        except BadInput:
            # Frigate up to 0.16.
            ask("DELETE", f"{wanted.server}/api/export/{quote(export.id, safe='')}", allow_private=allow_private)
    except (BadInput, Unavailable) as error:
        log.warning("the export %r stays in Frigate: %s", export.name, error)


def _ask(expected: TypeAdapter[T], method: str, url: str, allow_private: bool, body: dict[str, str] | None = None) -> T:
    answer = ask(method, url, allow_private=allow_private, body=body)
    try:
        return expected.validate_python(answer)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{url}: Frigate answers otherwise than expected ({first['msg']}); is it Frigate 0.14 or later?") from error
