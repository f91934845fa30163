"""Match annotation files to clips, name unmatched intervals, and check files against a store."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tasks.data.labels.all_files import read_files
from tasks.data.labels.chapters import NO_BORDERS, OVERRUN_SECONDS, Borders, carried_on, rows_across
from tasks.data.labels.csv_rows import AnnotationFile, ClipRow, IntervalRow, LabelRow
from tasks.data.labels.intervals import ROUNDING_SECONDS, Winner, union, winners
from tasks.data.labels.page_labels import PAGE
from tasks.data.labels.reading import ReadFile, Refusals, in_order
from tasks.data.labels.video_names import UID, KnownVideos, VideoIndex
from tasks.data.labels.vocabulary import OwnClasses
from tasks.store.records.dataset import LabelsFile, Problem, action_name
from tasks.store.records.video import ClipRecord, VideoRecord
from tasks.wording import plain_count, quoted, some

ByVideo = Mapping[str, Sequence[IntervalRow]]
NOTHING_FOLLOWS: ByVideo = {}


@dataclass(frozen=True)
class CheckedFile:
    """How a file was read."""

    name: str
    layout: str
    """Empty if the file cannot be read at all."""
    num_labels: int
    without_video: Mapping[str, int]
    """The number of labels by the name of a video that the store lacks."""
    problems: tuple[Problem, ...]
    num_refused: int
    remarks: tuple[str, ...]
    """About labels that are taken in."""


def check_files(
    checked: Sequence[AnnotationFile],
    others: Sequence[AnnotationFile],
    videos: Sequence[VideoRecord],
    own: OwnClasses,
    last: LabelsFile | None = None,
) -> list[CheckedFile]:
    """Read files as the step `label` would after `others`; a video is one clip.

    Intervals that would label none of the clips of `last` are named.
    """
    clips = [_whole(video) for video in videos]
    names = {video.video: video.names for video in videos}
    index = VideoIndex(clips, names)
    # Two files of one name would share their problems.
    named = [AnnotationFile(f"{number}/{file.name}", file.content) for number, file in enumerate(checked)]
    read = read_files([*others, *named], own, KnownVideos(index, {video.video: video.fps for video in videos}))
    results = []
    for file, numbered in zip(checked, named, strict=True):
        own_file = next((read_file for read_file in read.files if read_file.name == numbered.name), ReadFile(numbered.name, "", Refusals()))
        in_rows = Counter(map(_video, own_file.rows))
        unknown = [name for name in in_rows if not (index.finds_clip(name) or index.finds(name, loosely=own_file.is_of_tool))]
        without_video = Counter({name: in_rows[name] for name in unknown})
        usable = [row for row in own_file.rows if _video(row) not in without_video and not UID.fullmatch(_video(row))]
        to_label = replace(own_file, name=file.name, rows=usable)
        labels = labels_of_file(to_label, index, 0)
        refused = [Problem(file=file.name, line=line, item=own_file.where.get(line, ""), reason=reason) for line, reason in labels.refused]
        unread = [problem.model_copy(update={"file": file.name}) for problem in read.problems if problem.file == numbered.name]
        remarks = [remark for remark in read.remarks if remark.file == numbered.name]
        remarks += late_ends(file.name, labels, own_file.where, index, OVERRUN_SECONDS)
        if last:
            of_last = VideoIndex([labelled.clip for labelled in last.clips], names)
            unused = labels_of_file(to_label, of_last, last.options.min_overlap).without_clip
            remarks += intervals_without_clip(file.name, unused, to_label.where, of_last, names, last.options.min_overlap)
        results.append(
            CheckedFile(
                name=file.name,
                layout=own_file.layout,
                num_labels=len(own_file.rows) + len(own_file.lists) - without_video.total() - labels.refused.num,
                without_video=without_video,
                problems=in_order([*refused, *unread], [file.name], {}),
                num_refused=labels.refused.num + len(unread) + read.num_more.get(numbered.name, 0),
                remarks=tuple(remark.reason for remark in remarks),
            )
        )
    return results


def _whole(video: VideoRecord) -> ClipRecord:
    properties = video.model_dump(include={"video", "uri", "size_bytes", "width", "height", "has_audio"})
    times = {"start_seconds": 0, "stop_seconds": video.duration_seconds, "num_frames": 0}
    return ClipRecord(uid=video.video, index=0, sha256=video.video, **properties, **times)


def _video(row: LabelRow) -> str:
    return row.video if isinstance(row, IntervalRow) else row.uid


@dataclass
class FileLabels:
    """The labels of one file, and its refused lines; `intervals` and those `without_clip` by video."""

    row_by_uid: dict[str, LabelRow] = field(default_factory=dict)
    second_by_uid: dict[str, IntervalRow] = field(default_factory=dict)
    """The longest interval of a second label that covers enough of a clip."""
    source_by_video: dict[str, ClipRow] = field(default_factory=dict)
    refused: Refusals = field(default_factory=Refusals)
    intervals: dict[str, list[IntervalRow]] = field(default_factory=dict)
    without_clip: dict[str, list[IntervalRow]] = field(default_factory=dict)


def labels_of_file(
    file: ReadFile, index: VideoIndex, min_overlap: float, borders: Borders = NO_BORDERS, following: ByVideo = NOTHING_FOLLOWS
) -> FileLabels:
    """Match lines to clips; a line about a clip overrides those about its video.

    A clip that ends in the next video, after one of `borders`, is also labelled by that video's intervals of all files, `following`.
    """
    labels, index = FileLabels(), index.beside(file.beside)
    by_video: defaultdict[str, list[ClipRow]] = defaultdict(list)
    by_clip: dict[str, tuple[ClipRecord, list[ClipRow]]] = {}
    intervals: defaultdict[str, list[IntervalRow]] = defaultdict(list)
    for row in file.rows:
        try:
            if isinstance(row, IntervalRow):
                video = index.video(row.video, loosely=file.is_of_tool)
                intervals[video].append(row)
                for next_video, rest in carried_on(video, row, borders) if video in borders else ():
                    intervals[next_video].append(rest)
            elif clip := index.clip(row.uid):
                by_clip.setdefault(clip.uid, (clip, []))[1].append(row)
            else:
                by_video[index.video(row.uid, loosely=file.is_of_tool)].append(row)
        except ValueError as error:
            labels.refused.add(row.line, str(error))
    for video, about_video in by_video.items():
        if agreed := _agreed(about_video, labels):
            labels.row_by_uid.update((clip.uid, agreed) for clip in index.clips(video) if not clip.next_video)
            _note_source(agreed, video, labels)
    for clip, about_clip in by_clip.values():
        if agreed := _agreed(about_clip, labels):
            labels.row_by_uid[clip.uid] = agreed
            _note_source(agreed, clip.video, labels)
    labels.intervals = dict(intervals)
    for video, of_video in intervals.items():
        clips = [clip for clip in index.clips(video) if not clip.next_video]
        won = list(winners(clips, of_video, min_overlap))
        # Clips around intervals do not tell where the video ends.
        end_seconds = max((clip.stop_seconds for clip in clips if not clip.around), default=math.inf)
        if border := borders.get(video):
            end_seconds = border.seconds
            across = [clip for clip in index.clips(video) if clip.next_video == border.next_video]
            won += winners(across, rows_across(of_video, following.get(border.next_video, ()), border.seconds), min_overlap)
        _label_by_intervals(of_video, video, end_seconds, won, labels)
    return labels


def _agreed(rows: list[ClipRow], labels: FileLabels) -> ClipRow | None:
    """Choose among lines about one clip or video; None if they contradict each other."""
    first = next((row for row in rows if row.source), rows[0])
    second = next((row for row in rows if (row.verb, row.noun) != (first.verb, first.noun)), None)

    def refusal(row: ClipRow) -> str:
        if second is None:
            return f"{quoted(row.uid)} already has this label on line {first.line}"
        other = second if (row.verb, row.noun) == (first.verb, first.noun) else first
        here, there = action_name(row.verb, row.noun), action_name(other.verb, other.noun)
        return f"{quoted(row.uid)} is {here} here but {there} on line {other.line}; neither is used"

    for row in rows:
        if second or row is not first:
            labels.refused.add(row.line, partial(refusal, row))
    return None if second else first


def _note_source(row: ClipRow, video: str, labels: FileLabels) -> None:
    if row.source is None:
        return
    first = labels.source_by_video.setdefault(video, row)
    if first.source != row.source:
        reason = f"source {quoted(row.source)} is not used: line {first.line} gives this video the source {quoted(str(first.source))}"
        labels.refused.add(row.line, reason)


def _label_by_intervals(
    rows: list[IntervalRow], video: str, end_seconds: float, won: Sequence[tuple[ClipRecord, Winner]], labels: FileLabels
) -> None:
    for row in rows:
        if row.start_seconds >= end_seconds:
            labels.refused.add(row.line, f"begins at {row.start_seconds:g} s, but the last clip of the video ends at {end_seconds:g} s")
    labels.without_clip[video] = without_clip([row for row in rows if row.start_seconds < end_seconds], won)
    for clip, winner in won:
        labels.row_by_uid[clip.uid] = winner.row
        if winner.second:
            labels.second_by_uid[clip.uid] = winner.second


def late_ends(
    file: str,
    labels: FileLabels,
    where: Mapping[int, str],
    index: VideoIndex,
    tolerance_seconds: float | None = None,
    borders: Borders = NO_BORDERS,
) -> list[Problem]:
    """Name the first intervals that end after their video by more than tolerated.

    The tolerance is by default the longest clip on the grid: a shorter rest of the video may have become no clip.
    """
    late: list[tuple[int, str]] = []
    for video, rows in labels.intervals.items():
        clips = [clip for clip in index.clips(video) if not clip.around]
        if not clips or video in borders:
            continue
        end = max(clip.stop_seconds for clip in clips)
        longest = max(clip.stop_seconds - clip.start_seconds for clip in clips)
        latest = end + (longest if tolerance_seconds is None else tolerance_seconds)
        late += [
            (row.line, f"{_place(row, where)} at {row.stop_seconds:g} s, of {quoted(row.video)} with {end:g} s")
            for row in rows
            if row.start_seconds < end and row.stop_seconds > latest
        ]
    if not late:
        return []
    intervals = f"{plain_count(len(late), 'interval')} {'ends' if len(late) == 1 else 'end'}"
    reason = f"{intervals} after the video; is the frame rate or the video another? {some([text for _, text in sorted(late)])}"
    return [Problem(file=file, line=None, reason=reason)]


def without_clip(rows: Sequence[IntervalRow], won: Iterable[tuple[ClipRecord, Winner]]) -> list[IntervalRow]:
    """List the intervals of a video whose label no overlapping clip has, first or second."""
    clips: defaultdict[tuple[str, str], list[ClipRecord]] = defaultdict(list)
    for clip, winner in won:
        for row in filter(None, (winner.row, winner.second)):
            clips[row.verb, row.noun].append(clip)
    parts = {label: union(own) for label, own in clips.items()}
    starts = {label: [start for start, _ in own] for label, own in parts.items()}

    def has_clip(row: IntervalRow) -> bool:
        label = row.verb, row.noun
        before = bisect_left(starts.get(label, ()), row.stop_seconds - ROUNDING_SECONDS) - 1
        return before >= 0 and parts[label][before][1] > row.start_seconds + ROUNDING_SECONDS

    return [row for row in rows if not has_clip(row)]


def page_intervals_without_clip(parts: Iterable[tuple[ByVideo, ByVideo]]) -> dict[str, list[IntervalRow]]:
    """List, by video, the intervals of the page without a part that labels a clip.

    The page's intervals are cut at the clips. Each of `parts` has all parts of a file, and the unused ones.
    """
    by_label: defaultdict[tuple[str, str, str], list[tuple[IntervalRow, bool]]] = defaultdict(list)
    for all_parts, unused in parts:
        for video, rows in all_parts.items():
            lost = set(map(id, unused.get(video, ())))
            for row in rows:
                by_label[video, row.verb, row.noun].append((row, id(row) in lost))
    whole: defaultdict[str, list[IntervalRow]] = defaultdict(list)
    for (video, _, _), own in by_label.items():
        own.sort(key=lambda part: (part[0].start_seconds, part[0].stop_seconds))
        spans = union(row for row, _ in own)
        starts = [start for start, _ in spans]
        used = {bisect_right(starts, row.start_seconds) for row, is_lost in own if not is_lost}
        whole[video] += [
            own[0][0]._replace(start_seconds=start, stop_seconds=stop)
            for place, (start, stop) in enumerate(spans, start=1)
            if place not in used
        ]
    return whole


def intervals_without_clip(
    file: str, unused: ByVideo, where: Mapping[int, str], index: VideoIndex, names: Mapping[str, Sequence[str]], min_overlap: float
) -> list[Problem]:
    """Tell in one line how many intervals label no clip, the first, and the remedy."""
    rows = sorted(((row.line, video, row) for video, own in unused.items() for row in own), key=lambda item: item[:2])
    if not rows:
        return []
    is_around = any(clip.around for video in unused for clip in index.clips(video))
    remedy = "run ingest_videos, which cuts clips around them" if is_around else "cut=both cuts clips around them"
    intervals = f"{plain_count(len(rows), 'interval')} {'labels' if len(rows) == 1 else 'label'} no clip"
    texts = [_text(file, row, where, min(names[video])) for _, video, row in rows]
    why = f"too short for min_overlap={min_overlap:g} of a clip, or less of it than other actions"
    return [Problem(file=file, line=None, reason=f"{intervals}: {why}; {remedy}, or choose a smaller min_overlap: {some(texts)}")]


def _place(row: IntervalRow, where: Mapping[int, str]) -> str:
    return where.get(row.line) or f"line {row.line}"


def _text(file: str, row: IntervalRow, where: Mapping[int, str], name: str) -> str:
    # Nobody knows the lines of the page's files.
    place = quoted(name) if file == PAGE else _place(row, where)
    return f"{place} ({action_name(row.verb, row.noun)} at {row.start_seconds:g}-{row.stop_seconds:g} s)"
