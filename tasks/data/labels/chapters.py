"""Find chapters that follow without a gap, and the intervals that cross their borders."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tasks.data.labels.camera_file_names import SMALL_COPY, Chapter, read_file_name
from tasks.data.labels.csv_rows import IntervalRow, RecordingLine
from tasks.data.labels.recordings import correct_recordings, detect_recordings, is_like
from tasks.store.records.video import VideoRecord

CLOCK_SECONDS = 1
"""Containers have whole seconds, so that a gap is known to a second."""
OVERRUN_SECONDS = 1
"""An interval that ends up to this much after its video ends with it: tools round, and a container may be longer than its picture."""
REST_SECONDS = 2
"""The page shows a video up to the end of its last clip, without a rest that is shorter than `min_clip_seconds`."""
HEAD_SECONDS = 0.5


class Border(NamedTuple):
    """The end of a chapter, in seconds, and the video that begins there."""

    seconds: float
    next_video: str


Borders = Mapping[str, Border]
"""The ends, by video, of chapters that the next one follows without a gap."""
NO_BORDERS: Borders = {}


def borders_of(videos: Sequence[VideoRecord], stated: Mapping[str, RecordingLine]) -> dict[str, Border]:
    """Find chapters of GoPro recordings, as lines correct them, that follow without a gap.

    GoPro's support article `hero3-file-chaptering-information` says that joined chapters play as if they had never been parted. Names and
    containers of other cameras have whole seconds, which do not tell whether frames are missing. Picture, rate and the containers' times
    may not contradict.
    """
    records = {video.video: video for video in videos}
    borders = {}
    for recording in correct_recordings(detect_recordings(videos), stated, (), {}).recordings:
        chapters: dict[tuple[str, str, int], set[str]] = {}
        for video in records.keys() & set(recording.videos):
            for name in records[video].names:
                if isinstance(chapter := read_file_name(name), Chapter) and chapter.encoding != SMALL_COPY:
                    chapters.setdefault((chapter.series, chapter.encoding, chapter.number), set()).add(video)
        for (series, encoding, number), videos_here in chapters.items():
            following = chapters.get((series, encoding, number + 1), set())
            if len(videos_here) == len(following) == 1:
                (video,), (next_video,) = videos_here, following
                if _may_follow(records[video], records[next_video]):
                    borders[video] = Border(records[video].duration_seconds, next_video)
    return borders


def _may_follow(video: VideoRecord, following: VideoRecord) -> bool:
    if video.video == following.video or not is_like(video, following):
        return False
    # Some cameras give each chapter its own start, others that of the recording.
    if not (video.recorded_at and following.recorded_at) or video.recorded_at == following.recorded_at:
        return True
    gap_seconds = (following.recorded_at - video.recorded_at).total_seconds() - video.duration_seconds
    return abs(gap_seconds) <= CLOCK_SECONDS


def carried_on(video: str, row: IntervalRow, borders: Borders) -> Iterator[tuple[str, IntervalRow]]:
    """Yield each following video with the rest of an interval that goes on in it."""
    while (border := borders.get(video)) and row.start_seconds < border.seconds < row.stop_seconds - OVERRUN_SECONDS:
        video, row = border.next_video, row._replace(start_seconds=0.0, stop_seconds=row.stop_seconds - border.seconds)
        yield video, row


def crossing(rows: Iterable[IntervalRow], following: Sequence[IntervalRow], border_seconds: float) -> list[IntervalRow]:
    """Join the intervals of a chapter that go on in the next.

    An interval goes on if it reaches the end of the chapter, and one of the same label stands at the start of the next. Times are those of the
    first chapter.
    """
    stop_seconds: dict[tuple[str, str], float] = {}
    for row in following:
        if row.start_seconds <= HEAD_SECONDS:
            stop_seconds[row.verb, row.noun] = max(row.stop_seconds, stop_seconds.get((row.verb, row.noun), 0.0))
    return [
        row._replace(stop_seconds=border_seconds + stop_seconds[row.verb, row.noun])
        for row in rows
        if row.start_seconds < border_seconds <= row.stop_seconds + REST_SECONDS and (row.verb, row.noun) in stop_seconds
    ]


def rows_across(rows: Sequence[IntervalRow], following: Sequence[IntervalRow], border_seconds: float) -> list[IntervalRow]:
    """List the intervals of two chapters by the first's time, joined ones before their parts."""
    shifted = (
        row._replace(start_seconds=border_seconds + row.start_seconds, stop_seconds=border_seconds + row.stop_seconds) for row in following
    )
    return [*crossing(rows, following, border_seconds), *rows, *shifted]
