"""Lay out the store's searches; `layout` has the rest."""

from dataclasses import dataclass

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
from tasks.store.records.training import WeightsResult
from tasks.store.stored import Below, Output, Stored, file, output, record


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
