"""Lay out the store's comparisons of networks, predictions and searches; `layout` has the rest."""

from dataclasses import dataclass

from tasks.store.records.comparison import Comparison, ConfigureResult, TabulateResult
from tasks.store.records.prediction import (
    KnownClipsResult,
    KnownLabels,
    PredictBatchResult,
    PredictionBatch,
    PredictPlanResult,
    PredictReportResult,
)
from tasks.store.records.search import (
    GatherResult,
    NetworkLatency,
    RecutResult,
    ScoredTrial,
    Search,
    SearchPlanResult,
    SearchReportResult,
    SuggestResult,
    TrialBatch,
    TrialList,
    TrialsResult,
)
from tasks.store.records.training import PlanResult, WeightsResult
from tasks.store.records.video import SegmentResult, SoundResult
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
    to_label = file("to_label.csv")
    intervals = file("intervals.csv")


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


@dataclass(frozen=True)
class Configured:
    """`comparisons/<key>/<digest>/<options>/`: the weights and the plan of one configuration."""

    folder_uri: str

    weights = output("weights/", WeightsResult)
    plan = output("plan/", PlanResult)


@dataclass(frozen=True)
class Claims:
    """`comparisons/<key>/<digest>/claims/`: the one configuration of each training."""

    folder_uri: str

    def of(self, run_key: str) -> str:
        """Return the address of the name of the configuration that has this training."""
        return f"{self.folder_uri}{run_key}"


@dataclass(frozen=True)
class Configurations(Output[ConfigureResult]):
    """`comparisons/<key>/<digest>/`: the configurations of a form on one dataset."""

    model: type[ConfigureResult] = ConfigureResult

    claims = Below("claims/", Claims)
    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    table = output("table/", TabulateResult)
    """The result of `tabulate`, which says where the table lies."""

    def network(self, key: str) -> Configured:
        """Find a configuration by the key of its options."""
        return Configured(f"{self.place_uri}{key}/")


@dataclass(frozen=True)
class ComparisonTable(Output[TabulateResult]):
    """`comparisons/<digest>/tables/<key>/`: the page and the table of several networks."""

    model: type[TabulateResult] = TabulateResult

    page = file("report.html")
    csv = file("networks.csv")
    numbers = record("networks.json", Comparison)
    schema = file("networks.schema.json")


@dataclass(frozen=True)
class AskedComparison(Output[ConfigureResult]):
    """`comparisons/<key>/`: the configurations of a form, as they were last read."""

    model: type[ConfigureResult] = ConfigureResult

    def on(self, digest: str) -> Configurations:
        """Find the configurations of the form on one dataset."""
        return Configurations(f"{self.place_uri}{digest}/")


@dataclass(frozen=True)
class TrainedTrials(Output[TrialsResult]):
    """`searches/<key>/<digest>/rounds/<number>/trials/<key>/`: the trials that one mapped task trained."""

    model: type[TrialsResult] = TrialsResult

    def trial(self, number: int) -> Stored[ScoredTrial]:
        """Return the address of a trial, written as soon as it is scored."""
        return Stored(self.file(f"trial-{number}.json"), ScoredTrial)


@dataclass(frozen=True)
class GatheredTrials(Output[GatherResult]):
    """`searches/<key>/<digest>/rounds/<number>/gather/`: all trials up to this round."""

    model: type[GatherResult] = GatherResult

    trials = record("trials.json", TrialList)


@dataclass(frozen=True)
class SearchRound:
    """`searches/<key>/<digest>/rounds/<number>/`: the trials that are trained together."""

    folder_uri: str

    suggest = output("suggest/", SuggestResult)
    gather = Below("gather/", GatheredTrials)

    def batch(self, key: str) -> Stored[TrialBatch]:
        """Return the trials of one mapped task; the key is a hash of them."""
        return Stored(f"{self.folder_uri}batches/{key}.json", TrialBatch)

    def trials(self, key: str) -> TrainedTrials:
        """Return the output of the mapped task that trains a batch."""
        return TrainedTrials(f"{self.folder_uri}trials/{key}/")


@dataclass(frozen=True)
class SearchReport(Output[SearchReportResult]):
    """`searches/<key>/<digest>/report/`: the page and the table of all trials."""

    model: type[SearchReportResult] = SearchReportResult

    page = file("report.html")
    csv = file("trials.csv")
    numbers = record("search.json", Search)
    schema = file("search.schema.json")


@dataclass(frozen=True)
class SearchPlan(Output[SearchPlanResult]):
    """`searches/<key>/<digest>/`: a search on one dataset, and the plan of its rounds."""

    model: type[SearchPlanResult] = SearchPlanResult

    seeds = Below("rounds/seeds/", SearchRound)
    """The round that trains the winner again under new seeds."""
    report = Below("report/", SearchReport)
    recut = output("recut/", RecutResult)
    """The datasets of other clip lengths."""

    @property
    def store_uri(self) -> str:
        """Return the store that the search lies in."""
        return self.place_uri.rpartition("/searches/")[0]

    def fold(self, digest: str) -> str:
        """Return the folder of a fold, a dataset of its own."""
        return f"{self.place_uri}folds/{digest}/"

    def weights(self, key: str) -> Output[WeightsResult]:
        """Return the weights that trials of one network start from."""
        return Output(f"{self.place_uri}weights/{key}/", WeightsResult)

    def claim(self, run_key: str) -> str:
        """Return the address of the mark that this search trains a run."""
        return f"{self.place_uri}claims/{run_key}"

    def latency(self, key: str) -> Stored[NetworkLatency]:
        """Return the latency of one network, measured once."""
        return Stored(f"{self.place_uri}latency/{key}.json", NetworkLatency)

    def round(self, number: int) -> SearchRound:
        """Give a round, counted from 1."""
        return SearchRound(f"{self.place_uri}rounds/{number}/")


@dataclass(frozen=True)
class AskedSearch(Output[SearchPlanResult]):
    """`searches/<key>/`: the search that a form asks for, on its last dataset."""

    model: type[SearchPlanResult] = SearchPlanResult

    def on(self, digest: str) -> SearchPlan:
        """Find the search of the form on one dataset."""
        return SearchPlan(f"{self.place_uri}{digest}/")
