"""Read data sets of videos and lists of `path label`; write EPIC-KITCHENS, ActivityNet and FiftyOne."""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from tasks.data.labels.exported import VideoSpans, as_json
from tasks.data.labels.formats import DocumentFormat, TableFormat, Writer
from tasks.data.labels.formats.items import (
    VIDEO_SUFFIXES,
    Document,
    Items,
    Labelled,
    Refused,
    ToolLabel,
    Videos,
    frame,
    line_by_line,
    mapping,
    number,
    sequence,
    text,
)
from tasks.data.labels.tables import Cells, filled_lines
from tasks.store.records.dataset import NO_OBJECT, NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import csv_table, printable, quoted, safe_cell

EPIC_55 = ("video_id", "start_timestamp", "stop_timestamp", "verb", "noun")
EPIC_100 = ("narration_id", *EPIC_55)
TIMESTAMP = re.compile(r"([0-9]{1,4}):([0-5]?[0-9]):([0-5]?[0-9](?:\.[0-9]{0,9})?)")
EPIC_FPS = 60
"""Of written frames. Frames are not read: by video, EPIC-KITCHENS counts 50 or 60 a second."""

EPIC_COLUMNS = (
    *("uid", "participant_id", "video_id", "narration", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
    *("verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes"),
)

HACS_CLIPS = ("classname", "youtube_id", "subset", "start", "end", "label")

KINETICS = ("label", "youtube_id", "time_start", "time_end")
MAX_KINETICS_LINES = 800_000
"""Kinetics-700 has 540,000 to train on."""
# Possessive, for a stripped line: spaces are never tried twice.
ENTRY = re.compile(rf"(\S.*?(?:{'|'.join(map(re.escape, VIDEO_SUFFIXES))}))(?:\s*+[,;]|\s)\s*+(\S.*)", re.IGNORECASE)
MAX_LINE_CHARACTERS = 4000
MAX_HEAD_LINES = 20


def read_epic(line: int, cells: Cells, videos: Videos, *, has_ids: bool) -> Labelled:
    """Read a segment of `video_id`, or all of `uid` if only that is known.

    Class ids of EPIC-KITCHENS-100 are not EPIC-KITCHENS-55's: only its names count.
    """
    ids = (_class_id(cells, "verb_class", NUM_EPIC_VERBS), _class_id(cells, "noun_class", NUM_EPIC_NOUNS)) if has_ids else (None, None)
    if not cells["verb"]:
        raise ValueError("has no verb")
    label = ToolLabel(cells["verb"], cells["noun"], "", *ids)
    video, uid = cells["video_id"], cells.get("uid", "")
    if uid and not videos.finds(video) and videos.finds(uid):
        return Labelled(line, "", (uid,), None, None, label)
    return Labelled(line, "", (video,), _epic_seconds(cells, "start_timestamp"), _epic_seconds(cells, "stop_timestamp"), label)


def _epic_seconds(cells: Cells, column: str) -> float:
    match = TIMESTAMP.fullmatch(cells[column])
    if not match:
        raise ValueError(f"{column} {quoted(cells[column])} is not a time like 00:00:01.89")
    return 3600 * int(match[1]) + 60 * int(match[2]) + float(match[3])


def _class_id(cells: Cells, column: str, num_classes: int) -> int | None:
    """Read a class id; None if it is empty, or another store's own."""
    value = cells.get(column, "")
    if not value:
        return None
    if not re.fullmatch("[0-9]{1,6}", value):
        raise ValueError(f"{column} {quoted(value)} is not a class id")
    return int(value) if int(value) < num_classes else None


def write_epic(videos: Sequence[VideoSpans]) -> bytes:
    """Write EPIC-KITCHENS-55's table; other words have the store's ids, which `read_epic` ignores."""
    return csv_table(EPIC_COLUMNS, _epic_rows(videos))


def _epic_rows(videos: Sequence[VideoSpans]) -> Iterator[dict[str, object]]:
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
    """Write `00:00:01.89`, with up to six decimals."""
    micros = round(seconds * 1_000_000)
    minutes, rest = divmod(micros, 60_000_000)
    whole, fraction = divmod(rest, 1_000_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{whole:02}.{f'{fraction:06}'.rstrip('0').ljust(2, '0')}"


def is_activitynet(parsed: object) -> bool:
    """Recognise a `database` of videos."""
    return isinstance(parsed, dict) and isinstance(parsed.get("database"), dict)


def read_activitynet(document: Document, _: Videos) -> Items:
    """Read the segments of all videos; those of tests have none."""
    line = 0
    for name, video in mapping(mapping(document.parsed, "file").get("database"), "database").items():
        try:
            annotations = sequence(mapping(video, "video").get("annotations", []), "annotations")
        except ValueError as error:
            line += 1
            yield Refused(line, f"video {printable(name[:80])}", str(error))
            continue
        for place, annotation in enumerate(annotations, start=1):
            line += 1
            where = f"video {printable(name[:80])}, annotation {place}"
            try:
                of_annotation = mapping(annotation, "annotation")
                start, stop = _two(of_annotation.get("segment"), "segment")
                label = ToolLabel(text=text(of_annotation.get("label"), "label"))
                yield Labelled(line, where, names_of(name), number(start, "start"), number(stop, "end"), label)
            except ValueError as error:
                yield Refused(line, where, str(error))


def read_hacs_clip(line: int, cells: Cells, _: Videos) -> Labelled:
    """Read a clip of HACS; refuse the label -1, of clips without the action."""
    if number(cells["label"], "label") != 1:
        raise ValueError(f"is an example of what is not {quoted(cells['classname'])}")
    label = ToolLabel(text=text(cells["classname"], "classname"))
    return Labelled(line, "", names_of(cells["youtube_id"]), number(cells["start"], "start"), number(cells["end"], "end"), label)


def names_of(video: str) -> tuple[str, ...]:
    """List the names of a video's file: downloaders put `v_` before the id."""
    return (video, f"v_{video}")


def write_activitynet(videos: Sequence[VideoSpans]) -> bytes:
    """Write ActivityNet's database; a label is one text."""
    database = {
        video.name_without_extension: {
            "subset": "training",
            "duration": video.duration_seconds,
            "annotations": [{"label": span.text, "segment": [span.start_seconds, span.stop_seconds]} for span in video.labels],
        }
        for video in videos
        if video.labels
    }
    return as_json({"version": "Retake", "taxonomy": [], "database": database})


def read_kinetics(line: int, cells: Cells, videos: Videos) -> Labelled:
    """Read the file that was cut at these times, else a part of the video."""
    start, stop = number(cells["time_start"], "time_start"), number(cells["time_end"], "time_end")
    name, label = text(cells["youtube_id"], "youtube_id"), ToolLabel(text=text(cells["label"], "label"))
    cut = f"{name}_{int(start):06d}_{int(stop):06d}"
    return Labelled(line, "", (cut,), None, None, label) if videos.finds(cut) else Labelled(line, "", (name,), start, stop, label)


def is_list(content: bytes) -> bool:
    """Recognise a list by a video and a label in each of its first lines."""
    head = [line.strip() for _, line in islice(filled_lines(content), MAX_HEAD_LINES)]
    return bool(head) and all(len(line) <= MAX_LINE_CHARACTERS and ENTRY.fullmatch(line) for line in head)


def read_list(document: Document, _: Videos) -> Items:
    """Read a list; numbers are refused, because they index another list of classes."""
    for line, padded in filled_lines(document.content):
        written = padded.strip()
        if len(written) > MAX_LINE_CHARACTERS:
            yield Refused(line, "", f"has more than {MAX_LINE_CHARACTERS} characters; write a video and a label")
            continue
        entry = ENTRY.fullmatch(written)
        if not entry:
            yield Refused(line, "", "is not a video and a label")
        elif re.fullmatch(r"[0-9\s,]+", entry[2]):
            yield Refused(line, "", f"has the number {entry[2]} for its class; write the name of the class")
        else:
            yield Labelled(line, "", (entry[1],), None, None, ToolLabel(text=entry[2].strip('"')))


def is_fiftyone(parsed: object) -> bool:
    """Recognise `classes`, and `labels` by video."""
    return isinstance(parsed, dict) and "classes" in parsed and isinstance(parsed.get("labels"), dict)


def read_fiftyone(document: Document, videos: Videos) -> Items:
    """Read the detections of all videos; frames are the video's own."""
    parsed = mapping(document.parsed, "file")
    classes = parsed.get("classes")
    line = 0
    for name, detections in mapping(parsed.get("labels"), "labels").items():
        given = detections if isinstance(detections, list) else [detections] if detections is not None else []
        for place, detection in enumerate(given, start=1):
            line += 1
            where = f"video {printable(name[:80])}, label {place}"
            try:
                of_label = mapping(detection, "label")
                start, stop = _times(of_label, name, videos)
                yield Labelled(line, where, (name,), start, stop, ToolLabel(text=_class_of(of_label.get("label"), classes)))
            except ValueError as error:
                yield Refused(line, where, str(error))


def _class_of(value: object, classes: object) -> str:
    if isinstance(value, str):
        return text(value, "label")
    place = frame(value, "label")
    if not isinstance(classes, list) or place >= len(classes):
        raise ValueError(f"label {place} is in no list of classes")
    return text(classes[place], "class")


def _times(detection: Mapping[str, object], name: str, videos: Videos) -> tuple[float, float]:
    if detection.get("timestamps") is not None:
        start, stop = _two(detection["timestamps"], "timestamps")
        return number(start, "start"), number(stop, "end")
    first, last = _two(detection.get("support"), "support")
    fps = videos.fps((name,))
    if frame(first, "first frame") < 1:
        raise ValueError("begins at frame 0, but frames count from 1")
    return (frame(first, "first frame") - 1) / fps, frame(last, "last frame") / fps


def _two(value: object, name: str) -> Sequence[object]:
    pair = sequence(value, name)
    if len(pair) != 2:
        raise ValueError(f"{name} is not a start and an end")
    return pair


def write_fiftyone(videos: Sequence[VideoSpans]) -> bytes:
    """Write FiftyOne's temporal detections, with times in seconds."""
    classes = sorted({span.text for video in videos for span in video.labels})
    labels = {
        video.name_without_extension: [
            {"label": classes.index(span.text), "timestamps": [span.start_seconds, span.stop_seconds]} for span in video.labels
        ]
        for video in videos
        if video.labels
    }
    return as_json({"classes": classes, "labels": labels})


FORMATS = (
    DocumentFormat("ActivityNet or HACS JSON", read_activitynet, is_json=is_activitynet),
    DocumentFormat("FiftyOne temporal detections", read_fiftyone, is_json=is_fiftyone),
    DocumentFormat("list of videos and labels", read_list, is_text=is_list),
    TableFormat("EPIC-KITCHENS-100", EPIC_100, line_by_line(partial(read_epic, has_ids=False))),
    TableFormat("EPIC-KITCHENS-55", EPIC_55, line_by_line(partial(read_epic, has_ids=True))),
    TableFormat("HACS clips", HACS_CLIPS, line_by_line(read_hacs_clip)),
    TableFormat("Kinetics", KINETICS, line_by_line(read_kinetics), MAX_KINETICS_LINES),
    Writer("activitynet", ".json", write_activitynet),
    Writer("epic", ".csv", write_epic),
    Writer("fiftyone", ".json", write_fiftyone),
)
