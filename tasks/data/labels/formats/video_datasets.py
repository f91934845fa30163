"""Read data sets of videos: ActivityNet, HACS, Kinetics, FiftyOne, and lists of `path label`; write ActivityNet's and FiftyOne's."""

import re
from collections.abc import Mapping, Sequence
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
from tasks.wording import printable, quoted

HACS_CLIPS = ("classname", "youtube_id", "subset", "start", "end", "label")

KINETICS = ("label", "youtube_id", "time_start", "time_end")
MAX_KINETICS_LINES = 800_000
"""Of a table: Kinetics-700 has 540,000 to train on."""
# Possessive, for a line that has been stripped: spaces are never tried twice.
ENTRY = re.compile(rf"(\S.*?(?:{'|'.join(map(re.escape, VIDEO_SUFFIXES))}))(?:\s*+[,;]|\s)\s*+(\S.*)", re.IGNORECASE)
MAX_LINE_CHARACTERS = 4000
MAX_HEAD_LINES = 20


def is_activitynet(parsed: object) -> bool:
    """Recognise the `database` of videos."""
    return isinstance(parsed, dict) and isinstance(parsed.get("database"), dict)


def read_activitynet(document: Document, _: Videos) -> Items:
    """Read the segments of all videos; those without annotations, such as tests, have none."""
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
    """Read a clip of HACS; one with the label -1 is an example of what is no such action."""
    if number(cells["label"], "label") != 1:
        raise ValueError(f"is an example of what is not {quoted(cells['classname'])}")
    label = ToolLabel(text=text(cells["classname"], "classname"))
    return Labelled(line, "", names_of(cells["youtube_id"]), number(cells["start"], "start"), number(cells["end"], "end"), label)


def names_of(video: str) -> tuple[str, ...]:
    """List the names that a file of this video may have: the downloaders of both data sets put `v_` before the id."""
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
    """Read a line as the whole of the file that its times were cut into, or else as a part of the video."""
    start, stop = number(cells["time_start"], "time_start"), number(cells["time_end"], "time_end")
    name, label = text(cells["youtube_id"], "youtube_id"), ToolLabel(text=text(cells["label"], "label"))
    cut = f"{name}_{int(start):06d}_{int(stop):06d}"
    return Labelled(line, "", (cut,), None, None, label) if videos.finds(cut) else Labelled(line, "", (name,), start, stop, label)


def is_list(content: bytes) -> bool:
    """Recognise a list without a header: all of its first lines have a video and a label."""
    head = [line.strip() for _, line in islice(filled_lines(content), MAX_HEAD_LINES)]
    return bool(head) and all(len(line) <= MAX_LINE_CHARACTERS and ENTRY.fullmatch(line) for line in head)


def read_list(document: Document, _: Videos) -> Items:
    """Read a list; numbers stand for classes of another list and name nothing."""
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
    """Recognise `classes` and `labels` by video."""
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
    TableFormat("HACS clips", HACS_CLIPS, line_by_line(read_hacs_clip)),
    TableFormat("Kinetics", KINETICS, line_by_line(read_kinetics), MAX_KINETICS_LINES),
    Writer("activitynet", ".json", write_activitynet),
    Writer("fiftyone", ".json", write_fiftyone),
)
