"""Where a prediction lies; `layout` has the rest of the store."""

from dataclasses import dataclass

from tasks.results.prediction import (
    KnownClipsResult,
    KnownLabels,
    PredictBatchResult,
    PredictionBatch,
    PredictPlanResult,
    PredictReportResult,
)
from tasks.results.video import SegmentResult
from tasks.store.runs import Flows
from tasks.store.stored import Output, Stored


@dataclass(frozen=True)
class PredictedBatch(Output[PredictBatchResult]):
    """`predictions/<key>/batches/<number>/`: what one mapped task predicted."""

    model: type[PredictBatchResult] = PredictBatchResult

    @property
    def cut(self) -> Output[SegmentResult]:
        """Give the output of the mapped task that cuts the videos of the batch."""
        return Output(f"{self.place_uri}cut/", SegmentResult)


@dataclass(frozen=True)
class PredictedClips(Output[PredictBatchResult]):
    """`predictions/<key>/scored/<video>/`: what was predicted of one video."""

    model: type[PredictBatchResult] = PredictBatchResult

    @property
    def clips(self) -> str:
        """Give the address of the answers, a row for each clip."""
        return self.file("clips.parquet")


@dataclass(frozen=True)
class PredictionReport(Output[PredictReportResult]):
    """`predictions/<key>/report/`: the page, tables, tracks and the to-label list."""

    model: type[PredictReportResult] = PredictReportResult

    @property
    def page(self) -> str:
        """Give the address of the page."""
        return self.file("report.html")

    @property
    def table(self) -> str:
        """Give the address of the table of all clips."""
        return self.file("predictions.csv")

    @property
    def to_label(self) -> str:
        """Give the address of the list of clips to label."""
        return self.file("to_label.csv")


@dataclass(frozen=True)
class Prediction:
    """`predictions/<key>/`: the same videos by the same networks."""

    folder_uri: str

    @property
    def plan(self) -> Output[PredictPlanResult]:
        """Give the plan, where the later steps read it."""
        return Output(f"{self.folder_uri}plan/", PredictPlanResult)

    @property
    def labels(self) -> Stored[KnownLabels]:
        """Give the labels there were when the prediction was planned."""
        return Stored(f"{self.folder_uri}labels.json", KnownLabels)

    @property
    def flows(self) -> Flows:
        """Give the batches of optical flow that the prediction waits for."""
        return Flows(f"{self.folder_uri}flows/")

    @property
    def known(self) -> Output[KnownClipsResult]:
        """Give what the model sees in a sample of its training clips."""
        return Output(f"{self.folder_uri}known/", KnownClipsResult)

    def batch(self, number: int) -> Stored[PredictionBatch]:
        """Give the videos of one mapped task."""
        return Stored(f"{self.folder_uri}batches/{number:04d}.json", PredictionBatch)

    def predicted(self, number: int) -> PredictedBatch:
        """Give the output of the mapped task that predicts a batch."""
        return PredictedBatch(f"{self.folder_uri}batches/{number:04d}/")

    def scored(self, video: str) -> PredictedClips:
        """Find what was predicted of a video."""
        return PredictedClips(f"{self.folder_uri}scored/{video}/")

    def preview(self, video: str) -> str:
        """Give the address of a video with the predictions drawn in."""
        return f"{self.folder_uri}previews/{video}.mp4"

    @property
    def report(self) -> PredictionReport:
        """Give the report."""
        return PredictionReport(f"{self.folder_uri}report/")
