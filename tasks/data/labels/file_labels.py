"""Match the lines of one annotation file to clips."""

import math
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial

from tasks.data.labels.intervals import winners
from tasks.data.labels.labelled_rows import LabelFile
from tasks.data.labels.places import Places
from tasks.data.labels.problems import Refusals
from tasks.data.labels.rows import ClipRow, IntervalRow
from tasks.data.labels.without_clip import without_clip
from tasks.store.records.dataset import action_name
from tasks.store.records.video import ClipRecord
from tasks.wording import quoted


@dataclass
class FileLabels:
    """The labels of one file, and its rejected lines.

    It has the line for each clip, the interval of a second label that covers much of the clip, and the line with each video's source.
    `intervals` are by video, and so are those `without_clip`, which label none.
    """

    row_by_uid: dict[str, ClipRow | IntervalRow] = field(default_factory=dict)
    second_by_uid: dict[str, IntervalRow] = field(default_factory=dict)
    source_by_video: dict[str, ClipRow] = field(default_factory=dict)
    refused: Refusals = field(default_factory=Refusals)
    intervals: dict[str, list[IntervalRow]] = field(default_factory=dict)
    without_clip: dict[str, list[IntervalRow]] = field(default_factory=dict)


def labels_of_file(file: LabelFile, places: Places, min_overlap: float) -> FileLabels:
    """Match a file's lines to clips.

    A line about a clip overrides a line about its whole video.
    """
    labels = FileLabels()
    by_video: defaultdict[str, list[ClipRow]] = defaultdict(list)
    by_clip: dict[str, tuple[ClipRecord, list[ClipRow]]] = {}
    intervals: defaultdict[str, list[IntervalRow]] = defaultdict(list)
    for row in file.rows:
        try:
            if isinstance(row, IntervalRow):
                intervals[places.video(row.video, loosely=file.is_of_tool)].append(row)
            elif clip := places.clip(row.uid):
                by_clip.setdefault(clip.uid, (clip, []))[1].append(row)
            else:
                by_video[places.video(row.uid, loosely=file.is_of_tool)].append(row)
        except ValueError as error:
            labels.refused.add(row.line, str(error))
    for video, about_video in by_video.items():
        if agreed := _agreed(about_video, labels):
            labels.row_by_uid.update((clip.uid, agreed) for clip in places.clips(video))
            _note_source(agreed, video, labels)
    for clip, about_clip in by_clip.values():
        if agreed := _agreed(about_clip, labels):
            labels.row_by_uid[clip.uid] = agreed
            _note_source(agreed, clip.video, labels)
    labels.intervals = dict(intervals)
    for video, of_video in intervals.items():
        _label_by_intervals(of_video, video, places, min_overlap, labels)
    return labels


def _agreed(rows: list[ClipRow], labels: FileLabels) -> ClipRow | None:
    """Choose the line to use among lines about the same clip or video.

    None if they contradict each other.
    """
    first = rows[0]

    def repetition(row: ClipRow) -> str:
        return f"{quoted(row.uid)} already has this label on line {first.line}"

    if len({(row.verb, row.noun) for row in rows}) == 1:
        for row in rows[1:]:
            labels.refused.add(row.line, partial(repetition, row))
        return first
    second = next(row for row in rows if (row.verb, row.noun) != (first.verb, first.noun))

    def contradiction(row: ClipRow) -> str:
        other = second if (row.verb, row.noun) == (first.verb, first.noun) else first
        here, there = action_name(row.verb, row.noun), action_name(other.verb, other.noun)
        return f"{quoted(row.uid)} is {here} here but {there} on line {other.line}; neither is used"

    for row in rows:
        labels.refused.add(row.line, partial(contradiction, row))
    return None


def _note_source(row: ClipRow, video: str, labels: FileLabels) -> None:
    if row.source is None:
        return
    first = labels.source_by_video.setdefault(video, row)
    if first.source != row.source:
        reason = f"source {quoted(row.source)} is not used: line {first.line} gives this video the source {quoted(str(first.source))}"
        labels.refused.add(row.line, reason)


def _label_by_intervals(rows: list[IntervalRow], video: str, places: Places, min_overlap: float, labels: FileLabels) -> None:
    clips = places.clips(video)
    # Of clips around intervals alone, the last does not tell where the video ends.
    end_seconds = max((clip.stop_seconds for clip in clips if not clip.around), default=math.inf)
    for row in rows:
        if row.start_seconds >= end_seconds:
            labels.refused.add(row.line, f"begins at {row.start_seconds:g} s, but the last clip of the video ends at {end_seconds:g} s")
    won = list(winners(clips, rows, min_overlap))
    labels.without_clip[video] = without_clip([row for row in rows if row.start_seconds < end_seconds], won)
    for clip, winner in won:
        labels.row_by_uid[clip.uid] = winner.row
        if winner.second:
            labels.second_by_uid[clip.uid] = winner.second
