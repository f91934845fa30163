"""Check annotation files against the videos of a store before any clip is labelled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.data.labels.file_labels import labels_of_file
from tasks.data.labels.labelled_rows import AnyLabel, LabelFile, read_files
from tasks.data.labels.late_ends import late_ends
from tasks.data.labels.places import UID, KnownVideos, Places
from tasks.data.labels.problems import in_order
from tasks.data.labels.rows import AnnotationFile, IntervalRow
from tasks.data.labels.vocabulary import OwnClasses
from tasks.data.labels.without_clip import intervals_without_clip
from tasks.store.records.dataset import Problem
from tasks.store.records.video import ClipRecord, VideoRecord

TOLERANCE_SECONDS = 1
"""An interval may end this much after its video: tools round, and a container may be longer than its picture."""


@dataclass(frozen=True)
class CheckedFile:
    """How a file was read; `layout` is empty if it cannot be read at all.

    `without_video` counts labels by the name of a video that the store lacks; `remarks` are about labels that are taken in.
    """

    name: str
    layout: str
    num_labels: int
    without_video: Mapping[str, int]
    problems: tuple[Problem, ...]
    num_refused: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class LastClips:
    """The clips that were labelled last, and the share of one that a label must cover."""

    clips: Sequence[ClipRecord]
    min_overlap: float


def check_files(
    checked: Sequence[AnnotationFile],
    others: Sequence[AnnotationFile],
    videos: Sequence[VideoRecord],
    own: OwnClasses,
    last: LastClips | None = None,
) -> list[CheckedFile]:
    """Read the files as the step `label` would after `others`; each video counts as one clip, however it will be cut.

    With the clips that were labelled `last`, intervals that would label none of them are named.
    """
    clips = [_whole(video) for video in videos]
    names = {video.video: video.names for video in videos}
    places = Places(clips, names)
    # Names are unique here: two files of one name would share their problems.
    named = [AnnotationFile(f"{number}/{file.name}", file.content) for number, file in enumerate(checked)]
    read = read_files([*others, *named], own, KnownVideos(places, {video.video: video.fps for video in videos}))
    found = []
    for file, numbered in zip(checked, named, strict=True):
        summary = next((summary for summary in read.summaries if summary.name == numbered.name), None)
        rows = next((label_file for label_file in read.files if label_file.name == numbered.name), LabelFile(numbered.name, (), False, {}))
        without_video = Counter(_video(row) for row in rows.rows if not _has_video(row, places, rows))
        usable = [row for row in rows.rows if _video(row) not in without_video and not UID.fullmatch(_video(row))]
        to_label = LabelFile(file.name, tuple(usable), rows.is_of_tool, rows.where)
        labels = labels_of_file(to_label, places, 0)
        refused = [Problem(file=file.name, line=line, item=rows.where.get(line, ""), reason=reason) for line, reason in labels.refused]
        unread = [problem.model_copy(update={"file": file.name}) for problem in read.problems if problem.file == numbered.name]
        remarks = [remark for remark in read.remarks if remark.file == numbered.name]
        remarks += late_ends(file.name, labels, rows.where, places, TOLERANCE_SECONDS)
        remarks += _without_clip(to_label, last, names) if last else []
        found.append(
            CheckedFile(
                name=file.name,
                layout=summary.layout if summary else "",
                num_labels=(summary.num_rows if summary else 0) - without_video.total() - labels.refused.num,
                without_video=without_video,
                problems=in_order([*refused, *unread], [file], {}),
                num_refused=labels.refused.num + len(unread) + read.num_more.get(numbered.name, 0),
                remarks=tuple(remark.reason for remark in remarks),
            )
        )
    return found


def _without_clip(file: LabelFile, last: LastClips, names: Mapping[str, Sequence[str]]) -> list[Problem]:
    places = Places(last.clips, names)
    unused = labels_of_file(file, places, last.min_overlap).without_clip
    return intervals_without_clip(file.name, unused, file.where, places, names, last.min_overlap)


def _whole(video: VideoRecord) -> ClipRecord:
    return ClipRecord(
        uid=video.video,
        video=video.video,
        index=0,
        uri=video.uri,
        sha256=video.video,
        size_bytes=video.size_bytes,
        start_seconds=0,
        stop_seconds=video.duration_seconds,
        num_frames=0,
        width=video.width,
        height=video.height,
        has_audio=video.has_audio,
    )


def _video(row: AnyLabel) -> str:
    return row.video if isinstance(row, IntervalRow) else row.uid


def _has_video(row: AnyLabel, places: Places, file: LabelFile) -> bool:
    name = _video(row)
    return places.finds_clip(name) or places.finds(name, loosely=file.is_of_tool)
