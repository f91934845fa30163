"""Group videos that are files of one recording, by names, times and a person's lines.

A camera ends a file at a size limit and goes on in the next. Files of one recording show the same people in the same place, so a dataset deals
them to one split. Files in doubt stay apart: a wrong group makes a source larger.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isclose
from operator import attrgetter
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar

from tasks.data.labels.camera_file_names import SMALL_COPY, Chapter, FileName, Numbered, Timed, read_names
from tasks.data.labels.csv_rows import RecordingLine
from tasks.data.labels.video_names import VideoIndex
from tasks.store.records.dataset import Groups, Problem, Recording
from tasks.store.records.video import VideoRecord
from tasks.wording import csv_table, quoted, safe_cell, some

GAP_SECONDS = 5
"""Between the end of a file and the start of the next: names have whole seconds, and recorders take time to open a file."""
CHAPTER_SLACK_SECONDS = 60
MIN_NUMBERED_SECONDS = 60
"""Shorter files with numbers may be clips that were encoded one after another, with the times of their encoding."""
MAX_RATE_CHANGE = 0.02
"""Between chapters, as a share: a container has the average rate of its frames, which varies a little."""
MAX_PATTERNS = 50
"""Each is compared with the names of all videos."""
MAX_OPEN = 32
"""Latest recordings of one series that a file may continue; two cameras, or two days, can have equal names."""

K = TypeVar("K", Chapter, Timed, Numbered)


@dataclass(frozen=True)
class _File(Generic[K]):
    video: VideoRecord
    path: str
    name: K

    @property
    def order(self) -> tuple[Any, ...]:
        """Sort chapters first, then files with a time, then those with a number."""
        match self.name:
            case Chapter(number=number, encoding=encoding):
                return 0, number, encoding == SMALL_COPY, self.video.video
            case Timed(start=start):
                return 1, start, self.path, self.video.video
            case Numbered(number=number):
                return 2, number, self.path, self.video.video


@dataclass(frozen=True)
class Grouping:
    """Recordings of several videos, each video in one at most, and hints about doubtful files."""

    recordings: tuple[Recording, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def first_by_video(self) -> dict[str, str]:
        """Map each video to the first of its recording."""
        return {video: recording.videos[0] for recording in self.recordings for video in recording.videos}


def detect_recordings(videos: Iterable[VideoRecord]) -> Grouping:
    """Group videos whose names and times say that one recording goes on in them.

    - GoPro: chapters of one number in one folder, unless picture, camera or the containers' times contradict.
    - A time in the name: files of one camera, each starting within `GAP_SECONDS` of the end of the one before; lenses start together. A recorder
      that never stops has a recording a day, so that its camera is not one source.
    - A number in the name: the same, by the containers' times, in files of a minute or more.

    Each name of a video may join it to others.
    """
    groups, doubtful = _joined(
        _File(video, path, name) for video, path, name in read_names(videos) if video.recorded_at or not isinstance(name, Numbered)
    )
    recordings = [_recording(files) for files in _united(groups)]
    joined = {video for recording in recordings for video in recording.videos[1:]}
    paths_by_series = defaultdict[str, list[str]](list)
    for file in doubtful:
        if file.video.video not in joined:
            paths_by_series[file.name.series].append(quoted(file.path))
    hints = [
        f"{some([*dict.fromkeys(paths)])} may continue any of several recordings (of several days or cameras); "
        "a file with the header video,recording can name the recording"
        for paths in paths_by_series.values()
    ]
    return Grouping(_with_own_names(recordings), tuple(hints))


def stated_recordings(
    rows: Iterable[tuple[str, frozenset[str], RecordingLine]], index: VideoIndex
) -> tuple[dict[str, RecordingLine], list[Problem]]:
    """Find the last line about each video's recording; lines about no video are problems.

    A video with `*` is a pattern of names. A `*` in its recording stands for the folder of each file, so that every folder is a recording.
    """
    by_video: dict[str, RecordingLine] = {}
    problems, num_patterns = list[Problem](), 0
    for file, beside, row in rows:
        near = index.beside(beside)
        try:
            if "*" not in row.video or near.finds(row.video, loosely=False):
                by_video[near.named(row.video)] = row
            elif (num_patterns := num_patterns + 1) > MAX_PATTERNS:
                raise ValueError(f"only {MAX_PATTERNS} patterns are read; name the videos themselves")
            elif matching := near.matching(row.video):
                for video, name in matching:
                    of_folder = row.recording.replace("*", str(PurePosixPath(name).parent))
                    by_video[video] = row.model_copy(update={"recording": of_folder})
            else:
                raise ValueError(f"no video has a name like {quoted(row.video)}")
        except ValueError as error:
            problems.append(Problem(file=file, line=row.line, reason=str(error)))
    return by_video, problems


def correct_recordings(
    detected: Grouping, stated: Mapping[str, RecordingLine], apart: Collection[str], files: Mapping[str, str]
) -> Grouping:
    """Let a person's lines decide which recording a video is of.

    A video whose line has an empty name is a recording of its own. A video without a line joins the recording that the lines of its detected
    group name, if they all name the same one. Videos in `apart` are in no recording; hints name those whose recording has other files. `files`
    names videos for people.
    """
    name_of: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for recording in detected.recordings:
        named = {stated[video].recording for video in recording.videos if video in stated}
        name = named.pop() if len(named) == 1 and "" not in named else recording.name
        name_of |= dict.fromkeys(recording.videos, name)
        reasons.setdefault(name, recording.reason)
    name_of |= {video: stated[video].recording for video in sorted(stated, key=lambda video: (files.get(video, video), video))}
    reasons |= {row.recording: "by a line video,recording" for row in stated.values()}
    videos: defaultdict[str, list[str]] = defaultdict(list)
    for video, name in name_of.items():
        if name:
            videos[name].append(video)
    hints = []
    for name, own in sorted(videos.items()):
        parted = [video for video in own if video in apart]
        if 0 < len(parted) < len(own):
            taken = some([quoted(files.get(video, video)) for video in parted])
            hints.append(
                f"{name}: the column source takes {taken} out of this recording; give its other files the same source, or give none"
            )
        videos[name] = [video for video in own if video not in apart]
    recordings = (
        Recording(name=name, videos=tuple(own), files=tuple(files.get(video, video) for video in own), reason=reasons[name])
        for name, own in videos.items()
        if len(own) > 1
    )
    return Grouping(tuple(sorted(recordings, key=attrgetter("name"))), (*detected.hints, *hints))


def recordings_csv(recordings: Iterable[Recording]) -> bytes:
    """Write the recording of each video as a label file that a person can change."""
    rows = (
        {"video": safe_cell(file), "recording": safe_cell(recording.name), "reason": recording.reason}
        for recording in recordings
        for file in recording.files
    )
    return csv_table(("video", "recording", "reason"), rows)


def camera_groups(videos: Sequence[VideoRecord]) -> dict[str, Groups]:
    """Name camera and day of each video, as far as name or container tells them."""
    timed: dict[str, Timed] = {}
    for video, _, name in read_names(videos):
        if isinstance(name, Timed):
            timed.setdefault(video.video, name)
    return {video.video: _groups(video, timed.get(video.video)) for video in videos}


def _groups(video: VideoRecord, named: Timed | None) -> Groups:
    camera = video.camera or (named.camera if named else None)
    start = named.start if named else video.recorded_at
    days = (("recorded_at", start.date().isoformat()),) if start else ()
    return (("camera", camera), *days) if camera else days


def _joined(files: Iterable[_File[Any]]) -> tuple[list[list[_File[Any]]], list[_File[Any]]]:
    """Join each file to the recording of its series that it continues.

    Return recordings of several files, and files that continue several recordings.
    """
    by_series: defaultdict[tuple[type[FileName], str], dict[str, _File[Any]]] = defaultdict(dict)
    for file in sorted(files, key=attrgetter("order")):
        by_series[type(file.name), file.name.series].setdefault(file.video.video, file)
    joined, doubtful = list[list[_File[Any]]](), list[_File[Any]]()
    for (kind, _), own in by_series.items():
        recordings = list[list[_File[Any]]]()
        for file in own.values():
            fitting = [recording for recording in recordings[-MAX_OPEN:] if CONTINUES[kind](recording, file)]
            if len(fitting) == 1:
                fitting[0].append(file)
            else:
                recordings.append([file])
                doubtful += [file] if fitting else []
        joined += [recording for recording in recordings if len(recording) > 1]
    return joined, doubtful


def _united(groups: Iterable[Sequence[_File[Any]]]) -> list[list[_File[Any]]]:
    """Unite groups that share a video, with one file of each video, in order."""
    group_of: dict[str, dict[str, _File[Any]]] = {}
    for group in groups:
        whole = {file.video.video: file for file in group}
        for other in {id(known): known for video in whole if (known := group_of.get(video))}.values():
            whole |= other
        group_of |= dict.fromkeys(whole, whole)
    return [sorted(whole.values(), key=attrgetter("order")) for whole in {id(whole): whole for whole in group_of.values()}.values()]


def _is_next_chapter(files: Sequence[_File[Chapter]], file: _File[Chapter]) -> bool:
    encoding = file.name.encoding
    if any((other.name.encoding, other.name.number) == (encoding, file.name.number) for other in files):
        return False
    full = [other for other in files if other.name.encoding != SMALL_COPY] if encoding != SMALL_COPY else []
    if not all(other.name.encoding == encoding and is_like(other.video, file.video) for other in full):
        return False
    first = files[0]
    if not (first.video.recorded_at and file.video.recorded_at):
        return True
    # Some cameras give each chapter its own start, others that of the recording.
    longest_seconds = max(other.video.duration_seconds for other in files)
    later_seconds = (file.video.recorded_at - first.video.recorded_at).total_seconds()
    return -GAP_SECONDS <= later_seconds <= (file.name.number - first.name.number) * longest_seconds + CHAPTER_SLACK_SECONDS


def is_like(video: VideoRecord, other: VideoRecord) -> bool:
    """Check whether two videos have one camera, size of picture and rate, as chapters do."""
    return _has_picture_of(video, other) and isclose(video.fps, other.fps, rel_tol=MAX_RATE_CHANGE)


def _has_picture_of(video: VideoRecord, other: VideoRecord) -> bool:
    return (video.width, video.height, video.camera) == (other.width, other.height, other.camera)


def _goes_on(files: Sequence[_File[Timed]], file: _File[Timed]) -> bool:
    """Check whether a file starts where the last ends, or with it, by another lens.

    A recorder that never stops has a recording a day. Cameras with lenses in their names are switched on and off, and may record past midnight.
    """
    last = files[-1]
    if file.name.has_lenses and abs((file.name.start - last.name.start).total_seconds()) <= 1:
        return True
    if not file.name.has_lenses and file.name.start.date() != files[0].name.start.date():
        return False
    return _has_picture_of(last.video, file.video) and _is_gapless(last.name.start, last.video.duration_seconds, file.name.start)


def _is_next_number(files: Sequence[_File[Numbered]], file: _File[Numbered]) -> bool:
    last, start = files[-1].video, file.video.recorded_at
    is_next = file.name.number == files[-1].name.number + 1 and _has_picture_of(last, file.video)
    if not is_next or last.recorded_at is None or start is None or last.duration_seconds < MIN_NUMBERED_SECONDS:
        return False
    return _is_gapless(last.recorded_at, last.duration_seconds, start)


CONTINUES: Mapping[type[FileName], Callable[[Sequence[_File[Any]], _File[Any]], bool]] = {
    Chapter: _is_next_chapter,
    Timed: _goes_on,
    Numbered: _is_next_number,
}


def _is_gapless(start: datetime, duration_seconds: float, next_start: datetime) -> bool:
    gap = next_start - start - timedelta(seconds=duration_seconds)
    return abs(gap.total_seconds()) <= GAP_SECONDS


def _recording(files: Sequence[_File[Any]]) -> Recording:
    first = files[0]
    if isinstance(first.name, Chapter):
        name, reason = first.name.series, "chapters of one GoPro recording, by their names"
    else:
        where = "names" if isinstance(first.name, Timed) else "files"
        name, reason = str(PurePosixPath(first.path).with_suffix("")), f"one camera without a gap, by the times in the {where}"
    return Recording(name=name, videos=tuple(file.video.video for file in files), files=tuple(file.path for file in files), reason=reason)


def _with_own_names(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """Put a part of the first video's hash behind a name that several recordings have."""
    times = Counter(recording.name for recording in recordings)
    return tuple(
        recording.model_copy(update={"name": f"{recording.name} ({recording.videos[0][:6]})"}) if times[recording.name] > 1 else recording
        for recording in recordings
    )
