"""Hand out labels at a shell: `python -m tasks labels export --format=label-studio`."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.data.clips.gather_labels import intervals_to_export, label_now
from tasks.data.clips.label_inputs import latest_prediction, prediction_table, video_records
from tasks.data.labels.exported import LabelSpan, exported_labels, video_spans
from tasks.data.labels.formats import formats
from tasks.disk import expanded
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.pipeline._datasets import latest_labels
from tasks.pipeline._results import log
from tasks.pipeline.labels.contract import LabelsExportArguments
from tasks.predict.output_files import action_of, rows_of
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.labelling import LabelsExportResult
from tasks.store.run_layout import PredictedBatch, Prediction

WITH_PREDICTIONS = "label-studio"
SPAN = ("start_seconds", "stop_seconds")


def run(arguments: LabelsExportArguments, store: Store) -> LabelsExportResult:
    """Write the labels that people have given up to now, for Label Studio with predictions.

    Intervals are written as they were labelled; labels of whole clips are of the clips that were labelled last.

    Raises:
        BadConfiguration: nothing writes the format, the file cannot be written, or a prediction was named for a format without predictions.
        BadInput: there is no such prediction, or the clips that were labelled last are gone.
        NothingToDo: no labels have been gathered yet.
    """
    if (writer := formats().writers.get(arguments.format)) is None:
        raise BadConfiguration(f"--format: nothing writes {arguments.format}; choose {', '.join(sorted(formats().writers))}")
    if arguments.prediction and arguments.format != WITH_PREDICTIONS:
        raise BadConfiguration(f"--prediction: the format {arguments.format} has no pre-annotations; use --format={WITH_PREDICTIONS}")
    where = arguments.store_uri
    labels_uri = latest_labels(store, where)
    if labels_uri is None:
        raise NothingToDo(f"no labels have been gathered in {where}; run build_dataset, or the step label, first")
    last = store.read(labels_uri, LabelsFile)
    prediction = _prediction(arguments, store, where) if arguments.format == WITH_PREDICTIONS else None
    predicted = _predicted(store, Prediction(prediction)) if prediction else {}
    labelled = label_now(store, where, last.segment, last.options)
    labelling, intervals = labelled.labelling, intervals_to_export(store, where, labelled.given)
    labels = exported_labels(intervals, labelling.clips, labelling.by_interval, last.options.min_overlap)
    videos = video_spans(video_records(store, where), labels, predicted)
    path = expanded(arguments.out or f"labels{writer.suffix}")
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
    """Read the first network's answers: intervals of videos with windows, else the best actions.

    A video with windows in which nothing was found has no answers.
    """
    report = prediction.report
    batches = store.read(prediction.plan).batches if store.exists(report.intervals) else ()
    results = [store.read(place) for place in (PredictedBatch(batch.out) for batch in batches) if store.exists(place.uri)]
    with_windows = {video.video for batch in results for video in batch.videos if video.windows_uri}
    network = ""
    spans: defaultdict[str, list[LabelSpan]] = defaultdict(list)
    columns = ("video_sha256", "network", "rank", *SPAN, "action", "action_probability", "verb", "verb_probability")
    for row in rows_of(prediction_table(store, report.table_rows, report.table), columns):
        network = network or row["network"]
        if row["network"] == network and int(row["rank"]) == 1 and row["video_sha256"] not in with_windows:
            spans[row["video_sha256"]].append(_span(row))
    if with_windows:
        of_intervals = ("video_sha256", "network", *SPAN, "action", "verb", "probability")
        for row in rows_of(prediction_table(store, report.intervals_rows, report.intervals), of_intervals):
            if row["network"] == network and row["video_sha256"] in with_windows:
                spans[row["video_sha256"]].append(_span(row))
    return spans


def _span(row: Mapping[str, Any]) -> LabelSpan:
    verb, noun, score = action_of(row)
    return LabelSpan(float(row["start_seconds"]), float(row["stop_seconds"]), verb, noun, score=score)
