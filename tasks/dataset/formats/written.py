"""Write labels in the formats of other tools, so that their readers here find the same labels again."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from tasks.csv_table import csv_table
from tasks.dataset.spans import LabelSpan, VideoSpans
from tasks.results.dataset import NO_OBJECT, NUM_EPIC_NOUNS, NUM_EPIC_VERBS

CONTROL, VIDEO = "action", "video"
EPIC_FPS = 60
"""Of the frames that EPIC-KITCHENS-55 counts."""

EPIC_COLUMNS = (
    *("uid", "participant_id", "video_id", "narration", "start_timestamp", "stop_timestamp", "start_frame", "stop_frame"),
    *("verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes"),
)
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


def epic(videos: Sequence[VideoSpans]) -> bytes:
    """Write EPIC-KITCHENS-55's table. Words that are not EPIC's keep the store's ids, which its own reader passes over."""
    return csv_table(EPIC_COLUMNS, _epic_rows(videos))


def _epic_rows(videos: Sequence[VideoSpans]) -> Iterator[dict[str, object]]:
    for uid, (video, span) in enumerate((one, span) for one in videos for span in one.labels):
        has_noun = span.noun != NO_OBJECT
        yield {
            "uid": uid,
            "participant_id": video.name.partition("_")[0] if "_" in video.name else "",
            "video_id": video.name_without_extension,
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
                "video": video.name,
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
    "epic": (".csv", epic),
    "activitynet": (".json", activitynet),
    "csv": (".csv", interval_csv),
}
"""By name: the suffix of the file, and the writer."""
