"""Read FiftyOne's temporal detections: `support` in frames from 1, both included, or `timestamps` in seconds."""

from collections.abc import Mapping, Sequence

from tasks.data.labels.formats.found import Document, Found, Items, Refused, Said, Videos, frame, mapping, number, sequence, text
from tasks.wording import printable


def is_json(parsed: object) -> bool:
    """Recognise `classes` and `labels` by video."""
    return isinstance(parsed, dict) and "classes" in parsed and isinstance(parsed.get("labels"), dict)


def read(document: Document, videos: Videos) -> Items:
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
                of_one = mapping(detection, "label")
                start, stop = _times(of_one, name, videos)
                yield Found(line, where, (name,), start, stop, Said(text=_label(of_one.get("label"), classes)))
            except ValueError as error:
                yield Refused(line, where, str(error))


def _label(value: object, classes: object) -> str:
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
    found = sequence(value, name)
    if len(found) != 2:
        raise ValueError(f"{name} is not a start and an end")
    return found
