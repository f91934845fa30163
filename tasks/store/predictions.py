"""Lay out the store's predictions; `layout` has the rest."""

from dataclasses import dataclass

from tasks.store.records.inputs import SoundResult
from tasks.store.records.prediction import (
    KnownClipsResult,
    KnownLabels,
    PredictBatchResult,
    PredictionBatch,
    PredictPlanResult,
    PredictReportResult,
)
from tasks.store.records.video import SegmentResult
from tasks.store.runs import Flows
from tasks.store.stored import Below, Output, Stored, file, output, record


@dataclass(frozen=True)
class PredictedBatch(Output[PredictBatchResult]):
    """`predictions/<key>/batches/<number>/`: the predictions of one mapped task."""

    model: type[PredictBatchResult] = PredictBatchResult

    cut = output("cut/", SegmentResult)


@dataclass(frozen=True)
class PredictedClips(Output[PredictBatchResult]):
    """`predictions/<key>/scored/<video>/`: the predictions of one video."""

    model: type[PredictBatchResult] = PredictBatchResult

    clips = file("clips.parquet")
    windows = file("windows.parquet")


@dataclass(frozen=True)
class PredictionReport(Output[PredictReportResult]):
    """`predictions/<key>/report/`: the page, tables, tracks and the to-label list."""

    model: type[PredictReportResult] = PredictReportResult

    page = file("report.html")
    table = file("predictions.csv")
    table_rows = file("predictions.parquet")
    to_label = file("to_label.csv")
    to_label_rows = file("to_label.parquet")
    intervals = file("intervals.csv")
    intervals_rows = file("intervals.parquet")


@dataclass(frozen=True)
class Prediction:
    """`predictions/<key>/`: the same videos by the same networks."""

    folder_uri: str

    plan = output("plan/", PredictPlanResult)
    labels = record("labels.json", KnownLabels)
    """The labels at the time that the prediction was planned."""
    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    known = output("known/", KnownClipsResult)
    """Features of a sample of the model's training clips."""
    report = Below("report/", PredictionReport)

    def batch(self, number: int) -> Stored[PredictionBatch]:
        """Return the videos of one mapped task."""
        return Stored(f"{self.folder_uri}batches/{number:04d}.json", PredictionBatch)

    def predicted(self, number: int) -> PredictedBatch:
        """Return the output of the mapped task that predicts a batch."""
        return PredictedBatch(f"{self.folder_uri}batches/{number:04d}/")

    def scored(self, video: str) -> PredictedClips:
        """Find the predictions of a video."""
        return PredictedClips(f"{self.folder_uri}scored/{video}/")

    def preview(self, video: str) -> str:
        """Return the address of a video with the predictions drawn in."""
        return f"{self.folder_uri}previews/{video}.mp4"
