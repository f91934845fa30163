"""Read what the model suggests for each clip, from the tables of a prediction."""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from tasks.errors import BadInput
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.predictions import Prediction, PredictionReport
from tasks.store.records.dataset import NO_OBJECT

NUM_SUGGESTED = 3


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An action, and how likely the model thinks it is."""

    verb: str
    noun: str
    probability: float


@dataclass(frozen=True, slots=True)
class SuggestedInterval(Suggestion):
    """An action from one moment of a video to another."""

    start_seconds: float
    stop_seconds: float


@dataclass(frozen=True)
class Suggestions:
    """The suggestions of the latest prediction by clip, best first, and why a clip is worth a label.

    `reasons` is in the order of the prediction's list of clips to label. `intervals` are those of each video, by time; only a prediction with
    a stride has any.
    """

    prediction: str | None = None
    network: str | None = None
    by_clip: Mapping[str, tuple[Suggestion, ...]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, tuple[SuggestedInterval, ...]] = field(default_factory=dict)


def latest_prediction(store: Store, store_uri: str) -> str | None:
    """Find the folder of the prediction whose report was written last."""
    layout = Layout(store_uri)
    found = [
        (listed.modified, folder)
        for folder in store.folders(layout.predictions)
        if (listed := store.stat(Prediction(folder).report.uri)) is not None
    ]
    return max(found)[1] if found else None


def read_suggestions(store: Store, folder: str) -> Suggestions:
    """Read the tables of a prediction.

    Raises:
        BadInput: another version of Retake wrote them.
    """
    report = Prediction(folder).report
    try:
        network, by_clip = _predicted(store, report)
        reasons = {row["uid"]: row["reason"] for row in rows_of(store, report.to_label_rows, report.to_label, ("uid", "reason"))}
        return Suggestions(folder, network, by_clip, reasons, _intervals(store, report, network))
    except (LookupError, ValueError) as error:
        raise BadInput(f"{folder} has no tables that this version can read ({error}); predict again") from None


def rows_of(store: Store, parquet: str, table: str, columns: Collection[str]) -> Iterator[Mapping[str, Any]]:
    """Read the columns of a table that it has; predictions of earlier versions have lists and intervals as CSV alone."""
    if not store.exists(parquet):
        return csv.DictReader(io.StringIO(store.read_bytes(table).decode()))
    file = pq.ParquetFile(io.BytesIO(store.read_bytes(parquet)))
    batches = file.iter_batches(columns=[name for name in file.schema_arrow.names if name in columns])
    return (row for batch in batches for row in batch.to_pylist())


def action_of(row: Mapping[str, Any]) -> tuple[str, str, float]:
    """Return verb, noun and probability of a row of answers; networks without nouns give verbs alone."""
    target = "action" if "action" in row else "verb"
    verb, _, noun = str(row[target]).partition(" ")
    return verb, noun or NO_OBJECT, float(row[f"{target}_probability" if f"{target}_probability" in row else "probability"])


def _predicted(store: Store, report: PredictionReport) -> tuple[str | None, dict[str, tuple[Suggestion, ...]]]:
    """Read the best actions of each clip by the first network, and the name of the network."""
    columns = ("uid", "network", "rank", "verb", "verb_probability", "action", "action_probability")
    first: str | None = None
    by_clip: defaultdict[str, tuple[Suggestion, ...]] = defaultdict(tuple)
    for row in rows_of(store, report.table_rows, report.table, columns):
        first = first or row["network"]
        if row["network"] == first and int(row["rank"]) <= NUM_SUGGESTED:
            by_clip[row["uid"]] += (Suggestion(*action_of(row)),)
    return first, by_clip


def _intervals(store: Store, report: PredictionReport, network: str | None) -> dict[str, tuple[SuggestedInterval, ...]]:
    """Read the intervals of each video by a network; a prediction without a stride has none."""
    if not store.exists(report.intervals):
        return {}
    columns = ("video_sha256", "network", "start_seconds", "stop_seconds", "verb", "noun", "probability")
    by_video: defaultdict[str, list[SuggestedInterval]] = defaultdict(list)
    for row in rows_of(store, report.intervals_rows, report.intervals, columns):
        if row["network"] == network:
            start, stop, probability = (float(row[name]) for name in ("start_seconds", "stop_seconds", "probability"))
            by_video[row["video_sha256"]].append(SuggestedInterval(row["verb"], row.get("noun") or NO_OBJECT, probability, start, stop))
    return {video: tuple(sorted(own, key=lambda part: (part.start_seconds, part.stop_seconds))) for video, own in by_video.items()}
