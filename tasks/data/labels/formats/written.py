"""Write labels in the formats of other tools, so that their readers here find the same labels again."""

import io
import json
import math
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from mimetypes import guess_type
from pathlib import PurePosixPath
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from tasks.csv_table import csv_table
from tasks.data.labels.spans import LabelSpan, VideoSpans
from tasks.store.records.dataset import NO_OBJECT, NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import safe_cell

CONTROL, VIDEO = "action", "video"
EPIC_FPS = 60
"""Of the frames that EPIC-KITCHENS-55 counts."""

EPIC_COLUMNS = (
    *("uid", "participant_id", "video_id", "narration", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
    *("verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes"),
)
EAF_SCHEMAS = "http://www.mpi.nl/tools/elan/"
EAF_DATE = "1970-01-01T00:00:00Z"
"""Equal labels are equal files."""
NOT_IN_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
CSV_COLUMNS = ("video", "start_seconds", "stop_seconds", "verb", "noun", "verb_class", "noun_class")


def label_studio(videos: Sequence[VideoSpans]) -> bytes:
    """Write Label Studio's tasks: labels as annotations, predictions as pre-annotations with their scores.

    Each task states the frame rate of its video as `fps`. Ranges are rounded outwards to whole frames.
    """
    return _json([_task(number, video) for number, video in enumerate(videos, start=1)])


def _task(number: int, video: VideoSpans) -> dict[str, object]:
    annotations = [{"id": number, "result": _results(video.labels, video, f"l{number}-")}] if video.labels else []
    predictions = []
    if video.predictions:
        scores = [span.score for span in video.predictions if span.score is not None]
        results = _results(video.predictions, video, f"p{number}-")
        predictions = [{"model_version": "Retake", "score": round(sum(scores) / max(1, len(scores)), 6), "result": results}]
    data = {VIDEO: video.uri, "name": video.name, "fps": video.fps}
    return {"id": number, "data": data, "annotations": annotations, "predictions": predictions}


def _results(spans: Sequence[LabelSpan], video: VideoSpans, prefix: str) -> list[dict[str, object]]:
    return [
        {
            "id": f"{prefix}{number}",
            "from_name": CONTROL,
            "to_name": VIDEO,
            "type": "timelinelabels",
            "value": {"ranges": [_range(span, video.fps)], "timelinelabels": [span.text]},
            **({} if span.score is None else {"score": round(span.score, 6)}),
        }
        for number, span in enumerate(spans, start=1)
    ]


def _range(span: LabelSpan, fps: float) -> dict[str, int]:
    first = math.floor(round(span.start_seconds * fps, 6))
    return {"start": first + 1, "end": max(first + 1, math.ceil(round(span.stop_seconds * fps, 6)))}


def activitynet(videos: Sequence[VideoSpans]) -> bytes:
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
    return _json({"version": "Retake", "taxonomy": [], "database": database})


def fiftyone(videos: Sequence[VideoSpans]) -> bytes:
    """Write FiftyOne's temporal detections, with times in seconds."""
    classes = sorted({span.text for video in videos for span in video.labels})
    labels = {
        video.name_without_extension: [
            {"label": classes.index(span.text), "timestamps": [span.start_seconds, span.stop_seconds]} for span in video.labels
        ]
        for video in videos
        if video.labels
    }
    return _json({"classes": classes, "labels": labels})


def cvat(videos: Sequence[VideoSpans]) -> bytes:
    """Write CVAT for video's XML for each video.

    A label is a track, whose box fills the corner of the picture.
    """
    return _archive(videos, ".xml", _cvat_document)


def _cvat_document(video: VideoSpans) -> Element:
    size = max(1, math.ceil(round(video.duration_seconds * video.fps, 6)))
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    facts = {"name": video.name, "size": size, "mode": "interpolation", "start_frame": 0, "stop_frame": size - 1, "frame_filter": ""}
    for name, value in facts.items():
        SubElement(task, name).text = str(value)
    labels = SubElement(task, "labels")
    for text in sorted({span.text for span in video.labels}):
        label = SubElement(labels, "label")
        SubElement(label, "name").text = text
        SubElement(label, "attributes")
    SubElement(task, "source").text = video.name
    for number, span in enumerate(video.labels):
        track = SubElement(root, "track", id=str(number), label=span.text, source="manual")
        wanted = _range(span, video.fps)
        first = min(wanted["start"], size) - 1
        # CVAT knows no frame behind the last: a track that lasts so long has no end.
        for frame, outside in ((first, 0), (wanted["end"], 1)):
            if frame < size:
                corner = {"xtl": "0", "ytl": "0", "xbr": "9", "ybr": "9", "z_order": "0"}
                SubElement(track, "box", {"frame": str(frame), "keyframe": "1", "outside": str(outside), "occluded": "0", **corner})
    return root


def elan(videos: Sequence[VideoSpans]) -> bytes:
    """Write ELAN's .eaf for each video, with tiers for labels at the same time."""
    return _archive(videos, ".eaf", _elan_document)


def _elan_document(video: VideoSpans) -> Element:
    schema = {"xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance", "xsi:noNamespaceSchemaLocation": f"{EAF_SCHEMAS}EAFv3.0.xsd"}
    root = Element("ANNOTATION_DOCUMENT", {"AUTHOR": "Retake", "DATE": EAF_DATE, "FORMAT": "3.0", "VERSION": "3.0", **schema})
    header = SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    kind, path = guess_type(video.name)[0] or "video/mp4", quote(video.name)
    SubElement(header, "MEDIA_DESCRIPTOR", MEDIA_URL=f"file:///{path}", MIME_TYPE=kind, RELATIVE_MEDIA_URL=f"./{PurePosixPath(path).name}")
    order = SubElement(root, "TIME_ORDER")
    times = [(_millis(span.start_seconds), max(_millis(span.stop_seconds), _millis(span.start_seconds) + 1)) for span in video.labels]
    # ELAN wants the slots by time, and one for each end of each annotation.
    ends = sorted((millis, number, side) for number, of_one in enumerate(times) for side, millis in enumerate(of_one))
    slots = {(number, side): f"ts{place}" for place, (_, number, side) in enumerate(ends, start=1)}
    for millis, number, side in ends:
        SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slots[number, side], TIME_VALUE=str(millis))
    tiers: list[tuple[Element, int]] = []
    for number, (span, (start, stop)) in enumerate(zip(video.labels, times, strict=True)):
        place = next((place for place, (_, end) in enumerate(tiers) if end <= start), len(tiers))
        name = f"action@{place + 1}" if place else "action"
        tier = tiers[place][0] if place < len(tiers) else SubElement(root, "TIER", LINGUISTIC_TYPE_REF="default-lt", TIER_ID=name)
        tiers[place : place + 1] = [(tier, stop)]
        refs = {"TIME_SLOT_REF1": slots[number, 0], "TIME_SLOT_REF2": slots[number, 1]}
        annotation = SubElement(SubElement(tier, "ANNOTATION"), "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number + 1}", **refs})
        SubElement(annotation, "ANNOTATION_VALUE").text = span.text
    SubElement(root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="default-lt", TIME_ALIGNABLE="true")
    return root


def _millis(seconds: float) -> int:
    return round(1000 * seconds)


def _archive(videos: Sequence[VideoSpans], suffix: str, document: Callable[[VideoSpans], Element]) -> bytes:
    """Pack a document for each labelled video into a zip archive.

    Each has its video's name. Equal documents make equal archives.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for video in videos:
            if video.labels:
                root = document(video)
                indent(root)  # a line for each label, so that a refusal names it
                text = NOT_IN_XML.sub("\ufffd", tostring(root, encoding="unicode"))
                content = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()
                archive.writestr(zipfile.ZipInfo(f"{video.name}{suffix}"), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def epic(videos: Sequence[VideoSpans]) -> bytes:
    """Write EPIC-KITCHENS-55's table. Words that are not EPIC's keep the store's ids, which its own reader passes over."""
    return csv_table(EPIC_COLUMNS, _epic_rows(videos))


def _epic_rows(videos: Sequence[VideoSpans]) -> Iterator[dict[str, object]]:
    for uid, (video, span) in enumerate((one, span) for one in videos for span in one.labels):
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


def interval_csv(videos: Sequence[VideoSpans]) -> bytes:
    """Write Retake's interval file; class ids are EPIC's, because a word of another store has another id."""
    return csv_table(
        CSV_COLUMNS,
        (
            {
                "video": safe_cell(video.name),
                "start_seconds": f"{span.start_seconds:.6f}".rstrip("0").rstrip("."),
                "stop_seconds": f"{span.stop_seconds:.6f}".rstrip("0").rstrip("."),
                "verb": span.verb,
                "noun": "" if span.noun == NO_OBJECT else span.noun,
                "verb_class": _epic_id(span.verb_class, NUM_EPIC_VERBS),
                "noun_class": _epic_id(span.noun_class, NUM_EPIC_NOUNS),
            }
            for video in videos
            for span in video.labels
        ),
    )


def _epic_id(class_id: int | None, num_classes: int) -> int | str:
    return class_id if class_id is not None and class_id < num_classes else ""


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1).encode() + b"\n"


WRITERS: Mapping[str, tuple[str, Callable[[Sequence[VideoSpans]], bytes]]] = {
    "label-studio": (".json", label_studio),
    "cvat": (".zip", cvat),
    "elan": (".zip", elan),
    "fiftyone": (".json", fiftyone),
    "epic": (".csv", epic),
    "activitynet": (".json", activitynet),
    "csv": (".csv", interval_csv),
}
"""By name: the suffix of the file, and the writer."""
