"""Read from a file's path which camera wrote it, and its place among the files of a recording.

Sources: GoPro's table of file names; Insta360's and DJI's names with time and lens; Frigate's tree of recordings.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

GOPRO = re.compile(r"G([HXSL])([0-9]{2})([0-9]{4})")
"""Encoding, chapter, recording."""
SMALL_COPY = "L"
"""The encoding of a chapter that lies beside another one as its preview."""
GOPRO_FIRST, GOPRO_NEXT = re.compile(r"GOPR([0-9]{4})"), re.compile(r"GP([0-9]{2})([0-9]{4})")
"""Up to HERO5. The first chapter has no number."""
INSTA360 = re.compile(r"(?:PRO_)?(?:VID|LRV)_([0-9]{8}_[0-9]{6})_[0-9]{2}_[0-9]{3}")
DJI = re.compile(r"DJI_([0-9]{14})_[0-9]{4}(?:_[A-Z])?")
FRIGATE = re.compile(
    r"(?P<root>.*/)?(?P<day>20[0-9]{2}-[0-9]{2}-[0-9]{2})/(?P<hour>[0-9]{2})/(?P<camera>[^/]+)/(?P<time>[0-9]{2}\.[0-9]{2})"
)
STAMP = re.compile(
    r"(?<![0-9])(20[0-9]{2})[-_.]?([0-9]{2})[-_.]?([0-9]{2})[-_ .T]{0,3}([0-9]{2})[-_.:h]?([0-9]{2})[-_.:m]?([0-9]{2})(?:[0-9]{3})?(?![0-9])"
)
"""Date and time to the second, then maybe milliseconds: `20260501120000`, `2026-05-01_12-00-00`, `2026_0501_120000`, `20260501_120000123`."""
CHANNEL = re.compile(r"[-_. ][0-9]+([FRBI])")
"""Behind a time, the number of a dashcam's file and its camera: front, rear or back, or interior, as in `_000123F`."""
NUMBERED = re.compile(r"(.*?)([0-9]{3,8})")
NO_CAMERAS = ("", "VID", "IMG", "MOV", "PXL", "REC", "VIDEO")
"""Prefixes before a time that name no camera."""


@dataclass(frozen=True)
class Chapter:
    """A numbered chapter. Files of one `series` are one recording, if nothing contradicts that; copies have another `encoding`."""

    series: str
    number: int
    encoding: str


@dataclass(frozen=True)
class Timed:
    """A file with its start in the name, by the camera's clock. Files of several `lenses` may start together."""

    series: str
    start: datetime
    camera: str | None = None
    has_lenses: bool = False


@dataclass(frozen=True)
class Numbered:
    """A file with a number of its series; only the container's time tells whether it goes on where the one before ends."""

    series: str
    number: int


FileName = Chapter | Timed | Numbered


def read_file_name(path: str) -> FileName | None:
    """Read a file's path; None if it follows no known pattern."""
    path = path.replace("\\", "/")
    # A name without a folder has an empty one.
    above, _, file = path.rpartition("/")
    folder, stem = f"{above}/" if above else "", PurePosixPath(file).stem
    return _chapter(folder, stem.upper()) or _timed(folder, stem) or _numbered(folder, stem)


def _chapter(folder: str, stem: str) -> Chapter | None:
    if (match := GOPRO.fullmatch(stem)) and match[2] != "00":
        return Chapter(f"{folder}GoPro {match[3]}", int(match[2]), match[1])
    if match := GOPRO_FIRST.fullmatch(stem):
        return Chapter(f"{folder}GOPR{match[1]}", 0, "")
    if (match := GOPRO_NEXT.fullmatch(stem)) and match[1] != "00":
        return Chapter(f"{folder}GOPR{match[2]}", int(match[1]), "")
    return None


def _timed(folder: str, stem: str) -> Timed | None:
    with suppress(ValueError):
        if match := INSTA360.fullmatch(stem):
            return Timed(f"{folder}Insta360", datetime.strptime(match[1], "%Y%m%d_%H%M%S"), has_lenses=True)
        if match := DJI.fullmatch(stem):
            return Timed(f"{folder}DJI", datetime.strptime(match[1], "%Y%m%d%H%M%S"), has_lenses=True)
        if match := FRIGATE.fullmatch(f"{folder}{stem}"):
            start = datetime.strptime(f"{match['day']} {match['hour']}.{match['time']}", "%Y-%m-%d %H.%M.%S")
            return Timed(f"{match['root'] or ''}{match['camera']}", start, match["camera"])
        if match := STAMP.search(stem):
            year, month, day, hour, minute, second = map(int, match.groups())
            before, after = stem[: match.start()], stem[match.end() :]
            channel = CHANNEL.fullmatch(after)
            words = [channel[1]] if channel else [word for word in re.split(r"[-_. ]+", after) if word.isalpha()]
            camera = "-".join([before.strip("-_. "), *words]).strip("-")
            series = f"{folder}{before}*{'-'.join(words)}"
            return Timed(series, datetime(year, month, day, hour, minute, second), None if camera.upper() in NO_CAMERAS else camera)
    return None


def _numbered(folder: str, stem: str) -> Numbered | None:
    match = NUMBERED.fullmatch(stem)
    return Numbered(f"{folder}{match[1]}{'#' * len(match[2])}", int(match[2])) if match else None
