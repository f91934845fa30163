"""Write predictions as CSV, Parquet and WebVTT, and intervals also as ActivityNet's JSON.

Tables have a row per clip, network and rank instead of one wide row per clip: spreadsheets can filter them, pandas and SQL can group them,
and a second network or more ranks add rows, not columns. The action of rank 2 need not combine the verb and noun of rank 2.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.data.labels.video_names import without_extension
from tasks.judge.statistics.answers import NUM_RANKS, verb_and_noun
from tasks.predict.intervals import Interval
from tasks.predict.probabilities import Ranked
from tasks.predict.scored_video import FoundIntervals, Names, ScoredVideoClips
from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.prediction import KnownInterval, PredictedVideo, PredictorRole, PredictPlanResult, ScoredVideo
from tasks.store.records.record import TARGETS, Target
from tasks.wording import csv_table, percent, plain_cell

NUM_DECIMALS = 6
SCHEMA = pa.schema(
    [
        ("video", pa.string()),
        ("video_sha256", pa.string()),
        ("uid", pa.string()),
        ("start_seconds", pa.float64()),
        ("stop_seconds", pa.float64()),
        ("network", pa.string()),
        ("rank", pa.int8()),
        ("verb", pa.string()),
        ("verb_class", pa.int16()),
        ("verb_probability", pa.float64()),
        ("noun", pa.string()),
        ("noun_class", pa.int16()),
        ("noun_probability", pa.float64()),
        ("action", pa.string()),
        ("action_verb_class", pa.int16()),
        ("action_noun_class", pa.int16()),
        ("action_probability", pa.float64()),
        ("training_distance", pa.float64()),
    ],
    metadata={
        "retake": "probabilities of verbs and nouns are calibrated where the page says so; an action's is its verb's times its noun's; "
        "training_distance: cosine distance of the clip's features to the nearest training clip"
    },
)

MAX_STEM_BYTES = 160
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@dataclass(frozen=True)
class ShownInterval:
    """A stretch of a video with an action; one that people labelled has no probability."""

    start_seconds: float
    stop_seconds: float
    action: str
    probability: float | None
    is_not_reported: bool = False


INTERVAL_COLUMNS = (
    "video",
    "video_sha256",
    "network",
    "start_seconds",
    "stop_seconds",
    "verb",
    "noun",
    "action",
    "verb_class",
    "noun_class",
    "probability",
)


class PredictionTables:
    """Write CSV and Parquet a few clips, one row group, at a time."""

    def __init__(self, csv_path: Path, parquet_path: Path, names: Names) -> None:
        self._names = names
        self._text = csv_path.open("w", newline="", encoding="utf-8")
        others = tuple(target for target in TARGETS if target not in names.targets)
        self._schema = pa.schema([field for field in SCHEMA if not field.name.startswith(others)], metadata=SCHEMA.metadata)
        self._csv = csv.DictWriter(self._text, self._schema.names, lineterminator="\n")
        self._csv.writeheader()
        self._parquet = pq.ParquetWriter(parquet_path, self._schema, compression="zstd")

    def __enter__(self) -> "PredictionTables":
        return self

    def __exit__(self, *_: object) -> None:
        self._text.close()
        self._parquet.close()

    def add(self, video: PredictedVideo | ScoredVideo, clips: ScoredVideoClips, answers: Mapping[str, Mapping[Target, Ranked]]) -> None:
        """Add clips of one video, with their ranked classes by network name."""
        rows = list(self._rows(video, clips, answers))
        self._parquet.write_table(pa.Table.from_pylist(rows, schema=self._schema))
        self._csv.writerows({name: plain_cell(value) for name, value in row.items()} for row in rows)

    def _rows(
        self, video: PredictedVideo | ScoredVideo, clips: ScoredVideoClips, answers: Mapping[str, Mapping[Target, Ranked]]
    ) -> Iterator[dict[str, object]]:
        targets = self._names.targets
        for i, uid in enumerate(clips.uids):
            for network, ranked in answers.items():
                for k in range(NUM_RANKS):
                    ids = {target: int(ranked[target].ids[i, k]) for target in targets}
                    named: dict[str, object] = {target: self._names.name(target, class_id) for target, class_id in ids.items()}
                    likely: dict[str, object] = {
                        f"{target}_probability": round(float(ranked[target].probabilities[i, k]), NUM_DECIMALS) for target in targets
                    }
                    yield {
                        "video": video.name,
                        "video_sha256": video.video,
                        "uid": uid,
                        "start_seconds": round(float(clips.start_seconds[i]), 3),
                        "stop_seconds": round(float(clips.stop_seconds[i]), 3),
                        "network": network,
                        "rank": k + 1,
                        **named,
                        **likely,
                        **self._classes(ids),
                        "training_distance": None if np.isnan(clips.novelty[i]) else round(float(clips.novelty[i]), NUM_DECIMALS),
                    }

    def _classes(self, ids: Mapping[Target, int]) -> dict[str, object]:
        if "action" not in ids:
            return {"verb_class": ids["verb"]}
        verb, noun = verb_and_noun(ids["action"])
        return {"verb_class": ids["verb"], "noun_class": ids["noun"], "action_verb_class": verb, "action_noun_class": noun}


def opening(title: str) -> str:
    """Write the header of a track, with `title` as a note."""
    return f"WEBVTT\n\nNOTE {_text(title)}\n"


def block(start_seconds: float, stop_seconds: float, action: str, probability: float) -> str:
    """Write one cue, whose escaped name can neither be markup nor end the cue."""
    start_ms = round(1000 * start_seconds)
    # Players drop a cue of zero length.
    stop_ms = max(start_ms + 1, round(1000 * stop_seconds))
    return f"\n{_time(start_ms)} --> {_time(stop_ms)}\n{_text(action)}, {percent(probability)}\n"


def _time(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def _text(text: str) -> str:
    # Escaping `>` also keeps `-->` out, which would start a cue's timing line.
    return " ".join(text.replace("\0", " ").split()).translate(_ENTITIES)


def file_stem(video: PredictedVideo | ScoredVideo) -> str:
    """Build a file name of the safe part of a video's name and its hash."""
    name = unicodedata.normalize("NFC", Path(video.name).stem)
    kept = "".join(sign if unicodedata.category(sign)[0] in "LMN" or unicodedata.category(sign) == "So" else "-" for sign in name)
    # A name of a file has at most 255 bytes.
    short = re.sub("-+", "-", kept).encode()[:MAX_STEM_BYTES].decode(errors="ignore").strip("-")
    return f"{short or 'video'}-{video.video[:12]}"


def shown_intervals(predicted: FoundIntervals, names: Names) -> dict[PredictorRole, tuple[ShownInterval, ...]]:
    """Name the intervals of a video for the page, also those that are not reported."""
    not_reported = {role: set(own) for role, own in predicted.not_reported.items()}
    return {
        role: tuple(
            ShownInterval(i.start_seconds, i.stop_seconds, _action(i, names), i.probability, is_not_reported=i in not_reported[role])
            for i in own
        )
        for role, own in predicted.intervals.items()
    }


def shown_labels(video: str, labelled: Sequence[KnownInterval], names: Names) -> tuple[ShownInterval, ...]:
    """Name the labelled intervals of a video for the page."""
    return tuple(
        ShownInterval(label.start_seconds, label.stop_seconds, _action(label, names), None) for label in labelled if label.video == video
    )


def write_intervals(
    plan: PredictPlanResult, predicted: Sequence[FoundIntervals], names: Names, video_names: Mapping[str, str], folder: Path
) -> None:
    """Write the reported intervals in all formats, and the others as `not_reported.csv`.

    The formats are `intervals.csv`, `.parquet`, `tracks/*.intervals.vtt` and `intervals.<network>.json`. `video_names` are those that
    exported labels have.
    """
    columns = [column for column in INTERVAL_COLUMNS if "noun" in names.targets or not column.startswith(("noun", "action"))]
    schema = pa.schema([SCHEMA.field(column) if column in SCHEMA.names else pa.field(column, pa.float64()) for column in columns])
    for name, of_videos in (
        ("intervals", [each.reported for each in predicted]),
        ("not_reported", [each.not_reported for each in predicted]),
    ):
        rows = [row for each, by_role in zip(predicted, of_videos, strict=True) for row in _rows(plan, each.video, by_role, names)]
        if name == "intervals":
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{name}.parquet", compression="zstd")
        (folder / f"{name}.csv").write_bytes(csv_table(columns, ({column: plain_cell(row[column]) for column in columns} for row in rows)))
    (folder / "tracks").mkdir(exist_ok=True)
    for each in predicted:
        for role, own in each.reported.items():
            title = f"when: {plan.predictors[role].label} on {each.video.name}, {each.video.video}"
            cues = (block(i.start_seconds, i.stop_seconds, _action(i, names), i.probability) for i in own)
            (folder / "tracks" / f"{file_stem(each.video)}.{role}.intervals.vtt").write_text(
                opening(title) + "".join(cues), encoding="utf-8"
            )
    for role in {role: None for each in predicted for role in each.reported}:
        (folder / f"intervals.{role}.json").write_text(_activitynet(predicted, role, names, video_names), encoding="utf-8")


def _rows(
    plan: PredictPlanResult, video: ScoredVideo, by_role: Mapping[PredictorRole, Sequence[Interval]], names: Names
) -> list[dict[str, object]]:
    return [
        {
            "video": video.name,
            "video_sha256": video.video,
            "network": plan.predictors[role].label,
            "start_seconds": round(interval.start_seconds, 3),
            "stop_seconds": round(interval.stop_seconds, 3),
            "verb": names.name("verb", interval.verb_class),
            "noun": names.name("noun", interval.noun_class),
            "action": _action(interval, names),
            "verb_class": interval.verb_class,
            "noun_class": interval.noun_class,
            "probability": round(interval.probability, NUM_DECIMALS),
        }
        for role, own in by_role.items()
        for interval in own
    ]


def _activitynet(predicted: Sequence[FoundIntervals], role: PredictorRole, names: Names, video_names: Mapping[str, str]) -> str:
    """Write one network's intervals by video, as ActivityNet's detection challenge takes them."""
    results = {
        without_extension(video_names[each.video.video]): [
            {
                "label": _action(interval, names),
                "score": round(interval.probability, NUM_DECIMALS),
                "segment": [round(interval.start_seconds, 3), round(interval.stop_seconds, 3)],
            }
            for interval in each.reported.get(role, ())
        ]
        for each in predicted
    }
    return json.dumps({"version": "VERSION 1.3", "results": results, "external_data": {"used": False}}, ensure_ascii=False, indent=1)


def _action(interval: Interval | KnownInterval, names: Names) -> str:
    return names.name("action", names.action(interval.verb_class, interval.noun_class))


def rows_of(table: bytes, columns: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Read the rows of a CSV table, as text, or existing `columns` of Parquet."""
    if not table.startswith(b"PAR1"):
        return csv.DictReader(io.StringIO(table.decode()))
    file = pq.ParquetFile(io.BytesIO(table))
    batches = file.iter_batches(columns=[name for name in file.schema_arrow.names if name in columns])
    return (row for batch in batches for row in batch.to_pylist())


def action_of(row: Mapping[str, Any]) -> tuple[str, str, float]:
    """Return verb, noun and probability of a row of answers, perhaps of verbs alone."""
    target = "action" if "action" in row else "verb"
    verb, _, noun = str(row[target]).partition(" ")
    return verb, noun or NO_OBJECT, float(row[f"{target}_probability" if f"{target}_probability" in row else "probability"])
