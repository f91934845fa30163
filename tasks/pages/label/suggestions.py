"""Read what the model suggests for each clip, from the tables of a prediction."""

import csv
import io
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from tasks.errors import BadInput
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.predictions import Prediction
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
        network, by_clip = predicted(store.read_bytes(report.table))
        reasons = to_label(store.read_bytes(report.to_label))
        table = store.read_bytes(report.intervals) if store.exists(report.intervals) else b""
        return Suggestions(folder, network, by_clip, reasons, predicted_intervals(table, network))
    except (LookupError, ValueError) as error:
        raise BadInput(f"{folder} has no tables that this version can read ({error}); predict again") from None


def predicted(table: bytes) -> tuple[str | None, dict[str, tuple[Suggestion, ...]]]:
    """Read the best actions of each clip by the first network of `predictions.csv`, and the name of the network."""
    rows = csv.reader(io.StringIO(table.decode()))
    columns = {name: place for place, name in enumerate(next(rows, ()))}
    if not columns:
        return None, {}
    uid, network, rank = (columns[name] for name in ("uid", "network", "rank"))
    action = columns.get("action", columns["verb"])
    probability = columns.get("action_probability", columns["verb_probability"])
    first: str | None = None
    by_clip: defaultdict[str, tuple[Suggestion, ...]] = defaultdict(tuple)
    for row in filter(None, rows):
        first = first or row[network]
        if row[network] == first and int(row[rank]) <= NUM_SUGGESTED:
            verb, _, noun = row[action].partition(" ")
            by_clip[row[uid]] += (Suggestion(verb, noun or NO_OBJECT, float(row[probability])),)
    return first, by_clip


def to_label(table: bytes) -> dict[str, str]:
    """Read the clips of `to_label.csv` in order, each with its reason."""
    return {row["uid"]: row["reason"] for row in csv.DictReader(io.StringIO(table.decode()))}


def predicted_intervals(table: bytes, network: str | None) -> dict[str, tuple[SuggestedInterval, ...]]:
    """Read the intervals of each video by a network of `intervals.csv`."""
    by_video: defaultdict[str, list[SuggestedInterval]] = defaultdict(list)
    for row in csv.DictReader(io.StringIO(table.decode())):
        if row["network"] == network:
            start, stop, probability = float(row["start_seconds"]), float(row["stop_seconds"]), float(row["probability"])
            interval = SuggestedInterval(row["verb"], row.get("noun") or NO_OBJECT, probability, start, stop)
            by_video[row["video_sha256"]].append(interval)
    return {video: tuple(sorted(found, key=lambda one: (one.start_seconds, one.stop_seconds))) for video, found in by_video.items()}
