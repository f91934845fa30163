"""Read the segments of EPIC-KITCHENS-55 and -100 by names and timestamps; frames are 50 or 60 a second, by video, and are not used."""

import re
from collections.abc import Iterator, Sequence
from functools import partial

from tasks.data.labels.exported import VideoSpans
from tasks.data.labels.formats import TableFormat, Writer
from tasks.data.labels.formats.items import Labelled, ToolLabel, Videos, line_by_line
from tasks.data.labels.tables import Cells
from tasks.store.records.dataset import NO_OBJECT, NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import csv_table, quoted, safe_cell

EPIC_55 = ("video_id", "start_timestamp", "stop_timestamp", "verb", "noun")
EPIC_100 = ("narration_id", *EPIC_55)
TIMESTAMP = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{0,9})?)")
EPIC_FPS = 60
"""Of the frames that EPIC-KITCHENS-55 counts."""

EPIC_COLUMNS = (
    *("uid", "participant_id", "video_id", "narration", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
    *("verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes"),
)


def read(line: int, cells: Cells, videos: Videos, *, has_ids: bool) -> Labelled:
    """Read a segment of `video_id`, or the whole video that `uid` names, if the store has that alone.

    Class ids of EPIC-KITCHENS-100 are not EPIC-KITCHENS-55's: only its names count.
    """
    ids = (_class_id(cells, "verb_class", NUM_EPIC_VERBS), _class_id(cells, "noun_class", NUM_EPIC_NOUNS)) if has_ids else (None, None)
    if not cells["verb"]:
        raise ValueError("has no verb")
    label = ToolLabel(cells["verb"], cells["noun"], "", *ids)
    video, uid = cells["video_id"], cells.get("uid", "")
    if uid and not videos.finds(video) and videos.finds(uid):
        return Labelled(line, "", (uid,), None, None, label)
    return Labelled(line, "", (video,), _seconds(cells, "start_timestamp"), _seconds(cells, "stop_timestamp"), label)


def _seconds(cells: Cells, column: str) -> float:
    match = TIMESTAMP.fullmatch(cells[column])
    if not match:
        raise ValueError(f"{column} {quoted(cells[column])} is not a time like 00:00:01.89")
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _class_id(cells: Cells, column: str, num_classes: int) -> int | None:
    """Read a class id; one beyond EPIC's is another store's own, and only the name counts."""
    value = cells.get(column, "")
    if not value:
        return None
    if not re.fullmatch("[0-9]{1,6}", value):
        raise ValueError(f"{column} {quoted(value)} is not a class id")
    return int(value) if int(value) < num_classes else None


def write(videos: Sequence[VideoSpans]) -> bytes:
    """Write EPIC-KITCHENS-55's table. Words that are not EPIC's keep the store's ids, which its own reader passes over."""
    return csv_table(EPIC_COLUMNS, _rows(videos))


def _rows(videos: Sequence[VideoSpans]) -> Iterator[dict[str, object]]:
    labelled = ((video, span) for video in videos for span in video.labels)
    for uid, (video, span) in enumerate(labelled):
        has_noun = span.noun != NO_OBJECT
        yield {
            "uid": uid,
            "participant_id": safe_cell(video.name.partition("_")[0] if "_" in video.name else ""),
            "video_id": safe_cell(video.name_without_extension),
            "narration": " ".join(part.replace("-", " ") for part in ([span.verb, span.noun] if has_noun else [span.verb])),
            "start_timestamp": _timestamp(span.start_seconds),
            "stop_timestamp": _timestamp(span.stop_seconds),
            "start_frame": max(1, int(span.start_seconds * EPIC_FPS)),
            "stop_frame": max(1, int(span.stop_seconds * EPIC_FPS)),
            "verb": span.verb,
            "verb_class": span.verb_class,
            "noun": span.noun if has_noun else "",
            "noun_class": span.noun_class if has_noun else "",
            "all_nouns": repr([span.noun] if has_noun else []),
            "all_noun_classes": repr([span.noun_class] if has_noun else []),
        }


def _timestamp(seconds: float) -> str:
    """Write `00:00:01.89`, with as many digits as microseconds need."""
    micros = round(seconds * 1_000_000)
    minutes, rest = divmod(micros, 60_000_000)
    whole, fraction = divmod(rest, 1_000_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')}"


FORMATS = (
    TableFormat("EPIC-KITCHENS-100", EPIC_100, line_by_line(partial(read, has_ids=False))),
    TableFormat("EPIC-KITCHENS-55", EPIC_55, line_by_line(partial(read, has_ids=True))),
    Writer("epic", ".csv", write),
)
