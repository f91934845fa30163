"""Read the segments of EPIC-KITCHENS-55 and -100 by names and timestamps; frames are 50 or 60 a second, by video, and are not used."""

import re
from collections.abc import Iterator

from tasks.data.labels.formats.found import Found, Items, Refused, Said, Videos
from tasks.data.labels.tables import Cells
from tasks.store.records.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import quoted

EPIC_55 = ("video_id", "start_timestamp", "stop_timestamp", "verb", "noun")
EPIC_100 = ("narration_id", *EPIC_55)
TIMESTAMP = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{0,9})?)")


def read_55(lines: Iterator[tuple[int, Cells | str]], videos: Videos) -> Items:
    """Read EPIC-KITCHENS-55: a segment of `video_id`, or the whole video that `uid` names, if the store has that alone."""
    return _read(lines, videos, has_ids=True)


def read_100(lines: Iterator[tuple[int, Cells | str]], videos: Videos) -> Items:
    """Read EPIC-KITCHENS-100, whose class ids are not EPIC-KITCHENS-55's: only its names count."""
    return _read(lines, videos, has_ids=False)


def _read(lines: Iterator[tuple[int, Cells | str]], videos: Videos, *, has_ids: bool) -> Items:
    for line, cells in lines:
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            yield _found(line, cells, videos, has_ids=has_ids)
        except ValueError as error:
            yield Refused(line, "", str(error))


def _found(line: int, cells: Cells, videos: Videos, *, has_ids: bool) -> Found:
    ids = (_class_id(cells, "verb_class", NUM_EPIC_VERBS), _class_id(cells, "noun_class", NUM_EPIC_NOUNS)) if has_ids else (None, None)
    if not cells["verb"]:
        raise ValueError("has no verb")
    said = Said(cells["verb"], cells["noun"], "", *ids)
    video, uid = cells["video_id"], cells.get("uid", "")
    if uid and not videos.finds(video) and videos.finds(uid):
        return Found(line, "", (uid,), None, None, said)
    return Found(line, "", (video,), _seconds(cells, "start_timestamp"), _seconds(cells, "stop_timestamp"), said)


def _seconds(cells: Cells, column: str) -> float:
    found = TIMESTAMP.fullmatch(cells[column])
    if not found:
        raise ValueError(f"{column} {quoted(cells[column])} is not a time like 00:00:01.89")
    return 3600 * int(found[1]) + 60 * int(found[2]) + float(found[3])


def _class_id(cells: Cells, column: str, num_classes: int) -> int | None:
    """Read a class id; one beyond EPIC's is another store's own, and only the name counts."""
    value = cells.get(column, "")
    if not value:
        return None
    if not re.fullmatch("[0-9]{1,6}", value):
        raise ValueError(f"{column} {quoted(value)} is not a class id")
    return int(value) if int(value) < num_classes else None
