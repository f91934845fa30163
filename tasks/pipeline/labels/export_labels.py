"""Hand out labels at a shell: `python -m tasks labels export --format=label-studio`."""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from tasks.data.clips.label_inputs import probe_objects
from tasks.data.clips.labelled import intervals_to_export, label_now
from tasks.data.labels.exported import LabelSpan, exported_labels, video_spans
from tasks.data.labels.formats import formats
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.pages.label.clips import latest_prediction
from tasks.pipeline._labelling import latest_labels
from tasks.pipeline._step import log
from tasks.pipeline.labels.contract import LabelsExportArguments
from tasks.settings import RunnerSettings, load
from tasks.store.experiments import PredictedBatch, Prediction
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NO_OBJECT, LabelsFile
from tasks.store.records.labelling import LabelsExportResult
from tasks.store.records.video import VideoRecord

WITH_PREDICTIONS = "label-studio"


def run(arguments: LabelsExportArguments, store: Store) -> LabelsExportResult:
    """Write the labels that people have given up to now, and for Label Studio the answers of a prediction.

    Intervals are written as they were labelled. The labels of whole clips are of the clips that were labelled last.

    Raises:
        BadConfiguration: nothing writes the format, the file cannot be written, or a prediction was named for a format without predictions.
        BadInput: there is no such prediction, or the clips that were labelled last are gone.
        NothingToDo: no labels have been gathered yet.
    """
    if (writer := formats().writers.get(arguments.format)) is None:
        raise BadConfiguration(f"--format: nothing writes {arguments.format}; choose {', '.join(sorted(formats().writers))}")
    if arguments.prediction and arguments.format != WITH_PREDICTIONS:
        raise BadConfiguration(f"--prediction: the format {arguments.format} has no pre-annotations; use --format={WITH_PREDICTIONS}")
    where = (arguments.store or load(RunnerSettings).store_uri).rstrip("/")
    labels_uri = latest_labels(store, where)
    if labels_uri is None:
        raise NothingToDo(f"no labels have been gathered in {where}; run build_dataset, or the step label, first")
    last = store.read(labels_uri, LabelsFile)
    prediction = _prediction(arguments, store, where) if arguments.format == WITH_PREDICTIONS else None
    predicted = _predicted(store, Prediction(prediction)) if prediction else {}
    found = label_now(store, where, last.segment, last.options)
    labelling, intervals = found.labelling, intervals_to_export(store, where, found.given)
    labels = exported_labels(intervals, labelling.clips, labelling.by_interval, last.options.min_overlap)
    videos = video_spans([store.read(probe.uri, VideoRecord) for probe in probe_objects(store, where)], labels, predicted)
    path = (arguments.out or Path(f"labels{writer.suffix}")).expanduser()
    try:
        path.write_bytes(writer.write(videos))
    except OSError as error:
        raise BadConfiguration(f"--out {path}: {error.strerror or error}; name a file that can be written") from None
    result = LabelsExportResult(
        path=str(path),
        labels_uri=labels_uri,
        prediction_uri=prediction,
        num_videos=len(videos),
        num_labels=sum(len(video.labels) for video in videos),
        num_predictions=sum(len(video.predictions) for video in videos),
    )
    log.info("wrote %s: %d videos, %d labels, %d predictions", path, result.num_videos, result.num_labels, result.num_predictions)
    return result


def _prediction(arguments: LabelsExportArguments, store: Store, where: str) -> str | None:
    if not arguments.prediction:
        return latest_prediction(store, where)
    prediction = Layout(where).prediction(arguments.prediction)
    if not store.exists(prediction.report.uri):
        raise BadInput(f"there is no finished prediction {arguments.prediction} in {where}")
    return prediction.folder_uri


def _predicted(store: Store, prediction: Prediction) -> Mapping[str, Sequence[LabelSpan]]:
    """Read what the first network said of each video: its intervals if the video has windows, else its best action of each clip."""
    table = store.read_bytes(prediction.report.table)
    if not store.exists(prediction.report.intervals):
        return predicted_spans(table)
    return predicted_spans(table, store.read_bytes(prediction.report.intervals), _with_windows(store, prediction))


def _with_windows(store: Store, prediction: Prediction) -> frozenset[str]:
    batches = [PredictedBatch(batch.out) for batch in store.read(prediction.plan).batches]
    found = [store.read(batch) for batch in batches if store.exists(batch.uri)]
    return frozenset(video.video for batch in found for video in batch.videos if video.windows_uri)


def predicted_spans(table: bytes, intervals: bytes = b"", with_intervals: Collection[str] = ()) -> Mapping[str, Sequence[LabelSpan]]:
    """Read what the first network of `predictions.csv` said, by video: in clips its best action, or its rows of `intervals.csv`.

    `with_intervals` are the videos of which `intervals` tell all: if they tell nothing of one, nothing was found in it.
    """
    rows = list(_rows(table))
    network = rows[0]["network"] if rows else ""
    spans: defaultdict[str, list[LabelSpan]] = defaultdict(list)
    best = [row for row in rows if row["rank"] == "1" and row["video_sha256"] not in with_intervals]
    told = [row for row in _rows(intervals) if row["video_sha256"] in with_intervals]
    for score, row in [*(("action_probability", row) for row in best), *(("probability", row) for row in told)]:
        if row["network"] == network:
            spans[row["video_sha256"]].append(_span(row, float(row.get(score) or row["verb_probability"])))
    return spans


def _rows(table: bytes) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(table.decode()))


def _span(row: Mapping[str, str], score: float) -> LabelSpan:
    verb, _, noun = (row.get("action") or row["verb"]).partition(" ")
    return LabelSpan(float(row["start_seconds"]), float(row["stop_seconds"]), verb, noun or NO_OBJECT, score=score)
