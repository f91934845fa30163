"""Read series, chapter and start of a recording from the file names that cameras give.

Known are GoPro, Insta360, DJI, Frigate, and any name with a date and time or a number.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath

from tasks.store.records.video import VideoRecord

GOPRO = re.compile(r"G([HXSL])([0-9]{2})([0-9]{4})")
"""Encoding, chapter, recording."""
SMALL_COPY = "L"
"""Encoding of the preview of a chapter."""
GOPRO_FIRST, GOPRO_NEXT = re.compile(r"GOPR([0-9]{4})"), re.compile(r"GP([0-9]{2})([0-9]{4})")
"""Up to HERO5. The first chapter has no number."""
INSTA360 = re.compile(r"(?:PRO_)?(?:VID|LRV)_([0-9]{8}_[0-9]{6})_[0-9]{2}_[0-9]{3}")
DJI = re.compile(r"DJI_([0-9]{14})_[0-9]{4}(?:_[A-Z])?")
FRIGATE = re.compile(
    r"(?P<root>.*/)?(?P<day>20[0-9]{2}-[0-9]{2}-[0-9]{2})/(?P<hour>[0-9]{2})/(?P<camera>[^/]+)/(?P<time>[0-9]{2}\.[0-9]{2})"
)
STAMP = re.compile(
    r"(?<![0-9])(20[0-9]{2})[-_.]?([0-9]{2})[-_.]?([0-9]{2})[-_ .T]{0,3}([0-9]{2})[-_.:h]?([0-9]{2})[-_.:m]?([0-9]{2})(?:[0-9]{3})?(?![0-9])"
    r"(?:[Zz](?![^\W_])|[-_.\s]?([AP]M(?![^\W_])|[AaPp][Mm]$))?"
)
"""Date and time to the second, then maybe milliseconds: `20260501120000`, `2026-05-01_12-00-00`, `2026_0501_120000`, `20260501_120000123`.

Then maybe a `Z`, or the half of the day: `2026-05-01 01-05-00 PM`. An `am` or `Am` before more words may be one of them.
"""
CHANNEL = re.compile(r"[-_. ][0-9]+([FRBI])")
"""Behind a time, the number of a dashcam's file and its camera: front, rear or back, or interior, as in `_000123F`."""
NUMBERED = re.compile(r"(.*?)([0-9]{3,8})")
NO_CAMERAS = ("", "VID", "IMG", "MOV", "PXL", "REC", "VIDEO", "CLIP")
"""Prefixes before a time that name no camera."""
COUNTER = re.compile(rf"(?:(?:{'|'.join(NO_CAMERAS[1:])})[-_. ]?|0)[0-9]{{3,7}}[-_. ]*", re.IGNORECASE)
"""Before a time, maybe the number of the file, as in `clip0001_` or `0001_`; cameras have other words, or short numbers."""


@dataclass(frozen=True)
class Chapter:
    """A numbered chapter; files of one `series` are one recording, if nothing contradicts that."""

    series: str
    number: int
    encoding: str
    """GoPro's letter, by which copies differ; empty up to HERO5."""


@dataclass(frozen=True)
class Timed:
    """A file with its start in the name, by the camera's clock."""

    series: str
    start: datetime
    camera: str | None = None
    has_lenses: bool = False
    """Whether files of several lenses may start together."""
    counted: tuple[int, "Timed"] | None = None
    """The number before the start, and the name if that number counts files. It may be a camera's: only the other files tell."""


@dataclass(frozen=True)
class Numbered:
    """A file with a number of its series; only the container has its time."""

    series: str
    number: int


FileName = Chapter | Timed | Numbered


def read_file_name(path: str) -> FileName | None:
    """Read a file's path; None if it follows no known pattern."""
    above, _, file = path.replace("\\", "/").rpartition("/")
    folder, stem = f"{above}/" if above else "", PurePosixPath(file).stem
    if name := _chapter(folder, stem.upper()) or _timed(folder, stem):
        return name
    match = NUMBERED.fullmatch(stem)
    return Numbered(f"{folder}{match[1]}{'#' * len(match[2])}", int(match[2])) if match else None


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
            year, month, day, hour, minute, second = map(int, match.groups()[:-1])
            if match[7] and hour <= 12:
                hour = hour % 12 + 12 * (match[7].upper() == "PM")
            before, after = stem[: match.start()], stem[match.end() :]
            channel = CHANNEL.fullmatch(after)
            words = [channel[1]] if channel else [word for word in re.split(r"[-_. ]+", after) if word.isalpha()]
            start, behind = datetime(year, month, day, hour, minute, second), "-".join(words)
            counted = None
            if COUNTER.fullmatch(before):
                series = f"{folder}{re.sub('[0-9]+', '#', before)}*{behind}"
                counted = int(re.sub("[^0-9]", "", before)), Timed(series, start, _camera(behind))
            camera = _camera("-".join([before.strip("-_. "), *words]))
            return Timed(f"{folder}{before}*{behind}", start, camera, counted=counted)
    return None


def _camera(words: str) -> str | None:
    camera = words.strip("-")
    return None if camera.upper() in NO_CAMERAS else camera


def read_names(videos: Iterable[VideoRecord]) -> list[tuple[VideoRecord, str, FileName]]:
    """Read the names of all videos that follow a known pattern.

    A number before the time counts files if it rises with the time from file to file; else it is a camera's.
    """
    names = [(video, path, name) for video in videos for path in sorted(video.names) if (name := read_file_name(path))]
    numbers = defaultdict[str, set[tuple[datetime, int]]](set)
    for _, _, name in names:
        if isinstance(name, Timed) and name.counted:
            number, counted = name.counted
            numbers[counted.series].add((name.start, number))
    counters = {
        series
        for series, of_series in numbers.items()
        if all(start < later and number < next_number for (start, number), (later, next_number) in pairwise(sorted(of_series)))
    }

    def known(name: FileName) -> FileName:
        counted = name.counted[1] if isinstance(name, Timed) and name.counted else None
        return counted if counted and counted.series in counters else name

    return [(video, path, known(name)) for video, path, name in names]
