"""Find intervals that label no clip: too short for `min_overlap`, or beaten by other actions."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tasks.data.labels.intervals import ROUNDING_SECONDS, Winner, merged
from tasks.data.labels.page_files import PAGE
from tasks.data.labels.places import Places
from tasks.data.labels.rows import IntervalRow
from tasks.store.records.dataset import Problem, action_name
from tasks.store.records.video import ClipRecord
from tasks.wording import plain_count, quoted, some

ByVideo = Mapping[str, Sequence[IntervalRow]]


def without_clip(rows: Sequence[IntervalRow], won: Iterable[tuple[ClipRecord, Winner]]) -> list[IntervalRow]:
    """List the intervals of a video of whose clips none has their label, not even as its second action."""
    clips: defaultdict[tuple[str, str], list[ClipRecord]] = defaultdict(list)
    for clip, winner in won:
        for row in filter(None, (winner.row, winner.second)):
            clips[row.verb, row.noun].append(clip)
    parts = {label: merged(own) for label, own in clips.items()}
    starts = {label: [start for start, _ in own] for label, own in parts.items()}

    def has_clip(row: IntervalRow) -> bool:
        label = row.verb, row.noun
        before = bisect_left(starts.get(label, ()), row.stop_seconds - ROUNDING_SECONDS) - 1
        return before >= 0 and parts[label][before][1] > row.start_seconds + ROUNDING_SECONDS

    return [row for row in rows if not has_clip(row)]


def page_intervals_without_clip(parts: Iterable[tuple[ByVideo, ByVideo]]) -> dict[str, list[IntervalRow]]:
    """List, by video, the intervals of the page of which no part labels a clip.

    The page's intervals are cut at the clips. Each of `parts` has all parts of a file, and those that label no clip.
    """
    found: defaultdict[tuple[str, str, str], list[tuple[IntervalRow, bool]]] = defaultdict(list)
    for all_parts, unused in parts:
        for video, rows in all_parts.items():
            lost = set(map(id, unused.get(video, ())))
            for row in rows:
                found[video, row.verb, row.noun].append((row, id(row) in lost))
    whole: defaultdict[str, list[IntervalRow]] = defaultdict(list)
    for (video, _, _), own in found.items():
        own.sort(key=lambda one: (one[0].start_seconds, one[0].stop_seconds))
        spans = merged(row for row, _ in own)
        starts = [start for start, _ in spans]
        used = {bisect_right(starts, row.start_seconds) for row, is_lost in own if not is_lost}
        whole[video] += [
            own[0][0]._replace(start_seconds=start, stop_seconds=stop)
            for place, (start, stop) in enumerate(spans, start=1)
            if place not in used
        ]
    return whole


def intervals_without_clip(
    file: str, unused: ByVideo, where: Mapping[int, str], places: Places, names: Mapping[str, Sequence[str]], min_overlap: float
) -> list[Problem]:
    """Say in one line how many intervals of a file label no clip, name the first, and what to do."""
    rows = sorted(((row.line, video, row) for video, own in unused.items() for row in own), key=lambda found: found[:2])
    if not rows:
        return []
    is_around = any(clip.around for video in unused for clip in places.clips(video))
    remedy = "run ingest_videos, which cuts clips around them" if is_around else "cut=both cuts clips around them"
    intervals = f"{plain_count(len(rows), 'interval')} {'labels' if len(rows) == 1 else 'label'} no clip"
    texts = [_text(file, row, where, min(names[video])) for _, video, row in rows]
    why = f"too short for min_overlap={min_overlap:g} of a clip, or less of it than other actions"
    return [Problem(file=file, line=None, reason=f"{intervals}: {why}; {remedy}, or choose a smaller min_overlap: {some(texts)}")]


def _text(file: str, row: IntervalRow, where: Mapping[int, str], name: str) -> str:
    # Lines of the page's files are nobody's.
    place = quoted(name) if file == PAGE else where.get(row.line) or f"line {row.line}"
    return f"{place} ({action_name(row.verb, row.noun)} at {row.start_seconds:g}-{row.stop_seconds:g} s)"
