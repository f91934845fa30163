"""Find the clips of fully labelled videos in which nothing happens, because no label touches them."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass

from tasks.data.labels.intervals import merged
from tasks.data.labels.places import Places
from tasks.data.labels.rows import FullyLabelledRow, IntervalRow
from tasks.store.records.dataset import Problem
from tasks.store.records.video import ClipRecord


@dataclass(frozen=True)
class Mark:
    """The line that says of a video that it is fully labelled."""

    file: str
    line: int


def fully_labelled(marks: Iterable[tuple[str, FullyLabelledRow]], places: Places) -> tuple[dict[str, Mark], list[Problem]]:
    """Find the videos that are fully labelled, and the lines that name no video; a later line overrides an earlier one."""
    found: dict[str, Mark] = {}
    problems = []
    for file, row in marks:
        try:
            video = places.video(row.video)
        except ValueError as error:
            problems.append(Problem(file=file, line=row.line, reason=str(error)))
            continue
        found.pop(video, None)
        if row.fully_labelled:
            found[video] = Mark(file, row.line)
    return found, problems


def uncovered(clips: Sequence[ClipRecord], intervals: Iterable[IntervalRow], known: Set[str], share: float) -> list[ClipRecord]:
    """Choose a share of the clips of a video that no interval touches.

    The choice is by the hash of a clip's uid, so it is the same in each run, and a larger share adds to it.

    Args:
        clips: of one video.
        intervals: of the same video, in all files.
        known: uids of clips with a label of another kind.
        share: from 0 to 1.
    """
    covered = merged(intervals)
    starts = [start for start, _ in covered]

    def is_touched(clip: ClipRecord) -> bool:
        before = bisect_left(starts, clip.stop_seconds)
        return before > 0 and covered[before - 1][1] > clip.start_seconds

    free = [clip for clip in clips if clip.uid not in known and not is_touched(clip)]
    return [clip for clip in free if place_of(clip.uid) < share]


def place_of(text: str) -> float:
    """Return a number in [0, 1) that is drawn by the text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / 2**48
