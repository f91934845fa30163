"""Lay out trainings with their decisions, comparisons, predictions and searches; `layout` has the rest.

`derived` and `data.clips.forgetting` match some of these folders by patterns: whoever moves a folder changes those, too.
"""

import re
from typing import Literal, NamedTuple, Self

from tasks.store.records.comparison import Comparison, ConfigureResult, TabulateResult
from tasks.store.records.curves import CurveTrainings, LearningCurveResult, NoLearningCurve
from tasks.store.records.decisions import CompareResult, DecideResult, RegisterResult, ReportResult
from tasks.store.records.evaluation import EvaluateResult, EvaluateResults
from tasks.store.records.export import ExportResult
from tasks.store.records.metrics import Metrics
from tasks.store.records.prediction import (
    KnownClipsResult,
    KnownLabels,
    PredictBatchResult,
    PredictionBatch,
    PredictPlanResult,
    PredictReportResult,
    ReferenceSources,
)
from tasks.store.records.record import SplitName
from tasks.store.records.search import (
    GatherResult,
    NetworkLatency,
    ScoredTrial,
    Search,
    SearchPlanResult,
    SearchReportResult,
    SuggestResult,
    TrialBatch,
    TrialList,
    TrialScore,
    TrialsResult,
)
from tasks.store.records.status import RescoreResult
from tasks.store.records.training import Fusion, PlanResult, TrainResult, UnlabelledClips, WeightsResult
from tasks.store.records.video import FlowBatch, FlowResult, FlowsResult, SegmentResult, SoundResult
from tasks.store.stored import Below, Output, OutputOf, Place, Stored, file, keyed, last_name, made, numbered, output, record, stored

_RUN = re.compile(r"(?:(s3://.+)/)?runs/([0-9a-f]{16})/?")


class Flows(OutputOf[FlowsResult]):
    """`flows/`: the batches of clips without optical flow."""

    def batch(self, recipe: str, number: int) -> Stored[FlowBatch]:
        """Return the clips of one mapped task."""
        return Stored(f"{self.place_uri}{recipe}/{number:04d}.json", FlowBatch)

    def computed(self, recipe: str, number: int) -> Output[FlowResult]:
        """Return the output of the mapped task that computes the flow of a batch."""
        return Output(f"{self.place_uri}{recipe}/{number:04d}/", FlowResult)


class Training(OutputOf[TrainResult]):
    """`runs/<run key>/train/`: the checkpoints, written after each epoch or at intervals, and the history."""

    best = file("best.pt")
    last = file("last.ckpt")
    """The checkpoint that a retry resumes from."""
    answers = file("answers.parquet")
    """The answers on val of a long training's heads: a row per kept head and clip."""
    fusion = record("fusion.json", Fusion)
    unlabelled = record("unlabelled.json", UnlabelledClips)
    heads = numbered("heads/{number:06d}.pt", str)
    """The heads after `number` epochs of a long training."""


class Scores(OutputOf[EvaluateResult]):
    """`runs/<run key>/evaluate/<key>/<network>/<split>/`: one network's scores on one split."""

    predictions = file("predictions.parquet")
    fingerprints = file("fingerprints.parquet")

    def activation(self, uid: str, target: Literal["verb", "noun"]) -> str:
        """Return the address of a Grad-CAM picture of a clip."""
        return self.file(f"activations/{uid}-{target}.png")


class Evaluations(Place):
    """`runs/<run key>/evaluate/<key>/`: every evaluation with the same options."""

    def scores(self, network: str, split: SplitName) -> Scores:
        """Find the scores of a network on a split."""
        return Scores(f"{self.folder_uri}{network}/{split}/")


class Comparing(OutputOf[CompareResult]):
    """`compare/` of a decision: the new network beside its opponents."""

    text = file("comparison.txt")

    @classmethod
    def of(cls, result: CompareResult) -> Self:
        """Find the comparison of a result, by the address of a file in its folder."""
        return cls(f"{result.table_uri.rpartition('/')[0]}/")


class Report(OutputOf[ReportResult]):
    """`report/` of a decision: the page, its numbers and the model card."""

    page = file("report.html")
    metrics = record("metrics.json", Metrics)
    schema = file("metrics.schema.json")
    card = file("README.md")


class Decision(Place):
    """`runs/<run key>/decisions/<key>/`: one decision on a trained network, by one gate, against one champion."""

    plan = output("plan/", PlanResult)
    evaluate = output("evaluate/", EvaluateResults)
    learning_curve = output("learning_curve/", LearningCurveResult)
    no_learning_curve = record("learning_curve/skipped.json", NoLearningCurve)
    compare = Below("compare/", Comparing)
    report = Below("report/", Report)
    decide = output("decide/", DecideResult)
    rescore = output("rescore/", RescoreResult)

    @property
    def key(self) -> str:
        """Return the key of the gate, the champion and the evaluation options."""
        return last_name(self.folder_uri)


class Package(OutputOf[ExportResult]):
    """`runs/<run key>/packages/<key>/`: a package for other machines, with the options that `key` names."""

    files = file("package/")


class Run(Place):
    """`runs/<run key>/`: one training, shared by all who ask for it."""

    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    train = Below("train/", Training)
    register = output("register/", RegisterResult)
    learning_curve = record("learning_curve/trainings.json", CurveTrainings)
    decisions = file("decisions/")
    comparisons = file("comparisons/")
    evaluations = keyed("evaluate/{key}/", Evaluations)
    packages = file("packages/")
    package = keyed("packages/{key}/", Package)
    validation = numbered("validation/last-epoch/{crops:d}-crops.json", stored(TrialScore))
    """The scores on val, for searches."""
    known = keyed("known/{key}.npy", str)
    """The backbone features of a sample of training clips."""
    reference = keyed("known/{key}.json", stored(ReferenceSources))
    """How far source videos of the dataset lie from its training clips."""
    decision = keyed("decisions/{key}/", Decision)
    comparison = keyed("comparisons/{key}/", Decision)
    """The plan of the training in a comparison of networks, which decides nothing."""

    @property
    def store_uri(self) -> str:
        """Return the store that the training lies in."""
        return self.folder_uri.rpartition("/runs/")[0]

    @property
    def key(self) -> str:
        """Return the key of the dataset, the options and all other inputs."""
        return last_name(self.folder_uri)


def run_beside(uri: str, key: str, otherwise: str) -> Run:
    """Find a training in the store of the run around `uri`, else in `otherwise`."""
    root, separator, _ = uri.rpartition("/runs/")
    return Run(f"{root if separator else otherwise}/runs/{key}/")


class NamedRun(NamedTuple):
    """A training as people name it in options; without `store`, in their own."""

    store: str | None
    key: str


def parse_run(text: str) -> NamedRun | None:
    """Read `runs/<run key>/`, with or without a store before it; None for any other text."""
    match = _RUN.fullmatch(text)
    return NamedRun(match[1], match[2]) if match else None


def run_holding(uri: str) -> Run | None:
    """Find the training that an object in a store belongs to, if any."""
    match = _RUN.match(uri)
    return Run(f"{match[1]}/runs/{match[2]}/") if match and match[1] else None


def run_name(key: str) -> str:
    """Return the name of a training in its store, as people write it in options."""
    return f"runs/{key}/"


def deciding(uri: str, step: Literal["plan", "decide"]) -> Decision | None:
    """Find the decision whose `step` has its commit mark at `uri`, if any."""
    mark = f"/{step}/result.json"
    return Decision(f"{uri.removesuffix(mark)}/") if uri.endswith(mark) else None


def find_decision(text: str) -> Decision | None:
    """Find the first address of a decision in a text, such as a log line."""
    match = re.search(r"s3://\S+/runs/[0-9a-f]{16}/decisions/[0-9a-f]{16}/", text)
    return Decision(match.group()) if match else None


class PredictedBatch(OutputOf[PredictBatchResult]):
    """`predictions/<key>/batches/<number>/`: the predictions of one mapped task."""

    cut = output("cut/", SegmentResult)


class PredictedClips(OutputOf[PredictBatchResult]):
    """`predictions/<key>/scored/<video>/`: the predictions of one video."""

    clips = file("clips.parquet")
    windows = file("windows.parquet")


class PredictionReport(OutputOf[PredictReportResult]):
    """`predictions/<key>/report/`: the page, tables, tracks and the to-label list."""

    page = file("report.html")
    table = file("predictions.csv")
    table_rows = file("predictions.parquet")
    to_label = file("to_label.csv")
    to_label_rows = file("to_label.parquet")
    intervals = file("intervals.csv")
    intervals_rows = file("intervals.parquet")


class Prediction(Place):
    """`predictions/<key>/`: the same videos by the same networks."""

    plan = output("plan/", PredictPlanResult)
    labels = record("labels.json", KnownLabels)
    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    known = output("known/", KnownClipsResult)
    """Features of a sample of the model's training clips."""
    report = Below("report/", PredictionReport)
    batch = numbered("batches/{number:04d}.json", stored(PredictionBatch))
    predicted = numbered("batches/{number:04d}/", PredictedBatch)
    scored = keyed("scored/{video}/", PredictedClips)


class Configured(Place):
    """`comparisons/<key>/<digest>/<options>/`: the weights and the plan of one configuration."""

    weights = output("weights/", WeightsResult)
    plan = output("plan/", PlanResult)


class Claims(Place):
    """`comparisons/<key>/<digest>/claims/`: the one configuration of each training."""

    of = keyed("{run_key}", str)
    """The name of the configuration that has this training."""


class Configurations(OutputOf[ConfigureResult]):
    """`comparisons/<key>/<digest>/`: the configurations of a form on one dataset."""

    claims = Below("claims/", Claims)
    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    table = output("table/", TabulateResult)
    """The result of `tabulate`, which says where the table lies."""
    network = keyed("{key}/", Configured)


class ComparisonTable(OutputOf[TabulateResult]):
    """`comparisons/<digest>/tables/<key>/`: the page and the table of several networks."""

    page = file("report.html")
    csv = file("networks.csv")
    numbers = record("networks.json", Comparison)
    schema = file("networks.schema.json")


class AskedComparison(OutputOf[ConfigureResult]):
    """`comparisons/<key>/`: the configurations of a form, as they were last read."""

    on = keyed("{digest}/", Configurations)


class TrainedTrials(OutputOf[TrialsResult]):
    """`searches/<key>/<digest>/rounds/<number>/trials/<key>/`: the trials that one mapped task trained."""

    trial = numbered("trial-{number:d}.json", stored(ScoredTrial))
    """A trial, written as soon as it is scored."""


class GatheredTrials(OutputOf[GatherResult]):
    """`searches/<key>/<digest>/rounds/<number>/gather/`: all trials up to this round."""

    trials = record("trials.json", TrialList)


class SearchRound(Place):
    """`searches/<key>/<digest>/rounds/<number>/`: the trials that are trained together."""

    suggest = output("suggest/", SuggestResult)
    gather = Below("gather/", GatheredTrials)
    batch = keyed("batches/{key}.json", stored(TrialBatch))
    """The trials of one mapped task; the key is a hash of them."""
    trials = keyed("trials/{key}/", TrainedTrials)


class SearchReport(OutputOf[SearchReportResult]):
    """`searches/<key>/<digest>/report/`: the page and the table of all trials."""

    page = file("report.html")
    csv = file("trials.csv")
    numbers = record("search.json", Search)
    schema = file("search.schema.json")


class SearchPlan(OutputOf[SearchPlanResult]):
    """`searches/<key>/<digest>/`: a search on one dataset, and the plan of its rounds."""

    seeds = Below("rounds/seeds/", SearchRound)
    """The round that trains the winner again under new seeds."""
    report = Below("report/", SearchReport)
    fold = keyed("folds/{digest}/", str)
    """A fold, a dataset of its own."""
    weights = keyed("weights/{key}/", made(WeightsResult))
    """The weights that trials of one network start from."""
    claim = keyed("claims/{run_key}", str)
    """The mark that this search trains a run."""
    latency = keyed("latency/{key}.json", stored(NetworkLatency))
    round = numbered("rounds/{number:d}/", SearchRound)
    """A round, counted from 1."""

    @property
    def store_uri(self) -> str:
        """Return the store that the search lies in."""
        return self.place_uri.rpartition("/searches/")[0]


class AskedSearch(OutputOf[SearchPlanResult]):
    """`searches/<key>/`: the search that a form asks for, on its last dataset."""

    on = keyed("{digest}/", SearchPlan)
