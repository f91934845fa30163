"""Find intervals that end after their video, as wrong frame rates and labels of another video do."""

from collections.abc import Mapping, Sequence

from tasks.data.labels.file_labels import FileLabels
from tasks.data.labels.places import Places
from tasks.store.records.dataset import Problem
from tasks.wording import plain_count, quoted, some


def late_ends(
    file: str, found: FileLabels, where: Mapping[int, str], places: Places, tolerance_seconds: float | None = None
) -> list[Problem]:
    """Name the first intervals of a file that end after their video by more than the tolerance.

    Without one it is the longest clip on the grid: a shorter rest of the video may have become no clip.
    """
    late: list[tuple[int, str]] = []
    for video, rows in found.intervals.items():
        clips = [clip for clip in places.clips(video) if not clip.around]
        if not clips:
            continue
        end = max(clip.stop_seconds for clip in clips)
        longest = max(clip.stop_seconds - clip.start_seconds for clip in clips)
        latest = end + (longest if tolerance_seconds is None else tolerance_seconds)
        late += [
            (row.line, f"{where.get(row.line) or f'line {row.line}'} at {row.stop_seconds:g} s, of {quoted(row.video)} with {end:g} s")
            for row in rows
            if row.start_seconds < end and row.stop_seconds > latest
        ]
    if not late:
        return []
    intervals = plain_count(len(late), "interval")
    reason = f"{intervals} {_end(late)} after the video; is the frame rate or the video another? {some([text for _, text in sorted(late)])}"
    return [Problem(file=file, line=None, reason=reason)]


def _end(late: Sequence[object]) -> str:
    return "ends" if len(late) == 1 else "end"
