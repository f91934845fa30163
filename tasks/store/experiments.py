"""Lay out the store's comparisons of networks, predictions and searches; `layout` has the rest."""

from tasks.store.records.experiments import (
    Comparison,
    ConfigureResult,
    KnownClipsResult,
    KnownLabels,
    PredictBatchResult,
    PredictionBatch,
    PredictPlanResult,
    PredictReportResult,
    TabulateResult,
)
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
    TrialsResult,
)
from tasks.store.records.training import PlanResult, WeightsResult
from tasks.store.records.video import SegmentResult, SoundResult
from tasks.store.runs import Flows
from tasks.store.stored import Below, OutputOf, Place, file, keyed, made, numbered, output, record, stored


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
    """The labels at the time that the prediction was planned."""
    flows = Below("flows/", Flows)
    sound = output("sound/", SoundResult)
    known = output("known/", KnownClipsResult)
    """Features of a sample of the model's training clips."""
    report = Below("report/", PredictionReport)
    batch = numbered("batches/{number:04d}.json", stored(PredictionBatch))
    """The videos of one mapped task."""
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
    """A configuration by the key of its options."""


class ComparisonTable(OutputOf[TabulateResult]):
    """`comparisons/<digest>/tables/<key>/`: the page and the table of several networks."""

    page = file("report.html")
    csv = file("networks.csv")
    numbers = record("networks.json", Comparison)
    schema = file("networks.schema.json")


class AskedComparison(OutputOf[ConfigureResult]):
    """`comparisons/<key>/`: the configurations of a form, as they were last read."""

    on = keyed("{digest}/", Configurations)
    """The configurations of the form on one dataset."""


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
    """The latency of one network, measured once."""
    round = numbered("rounds/{number:d}/", SearchRound)
    """A round, counted from 1."""

    @property
    def store_uri(self) -> str:
        """Return the store that the search lies in."""
        return self.place_uri.rpartition("/searches/")[0]


class AskedSearch(OutputOf[SearchPlanResult]):
    """`searches/<key>/`: the search that a form asks for, on its last dataset."""

    on = keyed("{digest}/", SearchPlan)
    """The search of the form on one dataset."""
