"""Define the results of a search: rounds, trials, and the report's numbers."""

from typing import Any

from pydantic import Field

from tasks.options import EvaluateOptions, SearchOptions, TrainOptions
from tasks.store.records.record import TARGETS, Record, Target, leaves_out
from tasks.store.records.training import Epoch

SCHEMA_VERSION = 1

Value = bool | int | float | str
"""Value of a searched option."""


class SearchPlanResult(Record):
    """Everything that the rounds of a search have in common; without folds, `fold_uris` has `dataset_uri`."""

    key: str
    search_uri: str
    dataset_uri: str
    dataset_digest: str
    search: SearchOptions
    train: TrainOptions
    evaluate: EvaluateOptions
    model_name: str
    fold_uris: tuple[str, ...]
    _older = leaves_out("clip_seconds", "cut")


class Trial(Record):
    """One recipe to try, numbered from 0 over the search; `values` are the searched options."""

    number: int
    values: dict[str, Value]
    options: TrainOptions
    _older = leaves_out("resumes")


class TrialBatch(Record):
    """Trials that one mapped task trains."""

    round: int
    trials: tuple[Trial, ...]


class TrialBatchRef(Record):
    """Address and name of a batch: the argument of a mapped task."""

    uri: str
    name: str


class SuggestResult(Record):
    """The trials of one round, in batches of one task each; `inputs_digest` hashes earlier trials."""

    round: int
    inputs_digest: str
    batches: tuple[TrialBatchRef, ...]


class TrialScore(Record):
    """One training's curve, and the answers of its last epoch on validation clips.

    Stored with the training, for all searches. `right` has one digit per validation clip, in the dataset's order: 1 if the answer is right.
    """

    run_key: str
    epochs: tuple[Epoch, ...]
    seconds: float
    loss: float
    right: dict[Target, str]


class Top1(Record):
    """Share of right answers, with a 95 % interval over source videos."""

    top1: float
    interval: tuple[float, float]


class ScoredTrial(Record):
    """A finished or failed trial.

    `run_keys` has one training per fold, or a single one. If `was_found`, this search trained none of them, and `seconds` are those of
    their trainings. `loss` is the mean validation loss in nats. `fold_top1` is the deciding target's in each fold. A failed trial has only
    its `failure`.
    """

    number: int
    round: int
    values: dict[str, Value]
    options: TrainOptions
    run_keys: tuple[str, ...] = ()
    was_found: bool = False
    num_epochs: int = 0
    seconds: float = 0
    loss: float | None = None
    scores: dict[Target, Top1] = Field(default_factory=dict)
    fold_top1: tuple[float, ...] = ()
    latency_seconds: float | None = None
    failure: str | None = None


class NetworkLatency(Record):
    """Median seconds per clip of a network, on the first machine that measured it."""

    seconds: float
    device: str


class TrialsResult(Record):
    """The trials of one batch, which lie beside it."""

    num_trials: int
    num_failed: int


class TrialList(Record):
    """All trials up to a round, by number."""

    trials: tuple[ScoredTrial, ...]


class GatherResult(Record):
    """The trials so far, the best one, and `inputs_digest` of those before this round."""

    round: int
    inputs_digest: str
    num_trials: int
    num_failed: int
    best: int | None
    progress: str


class Importance(Record):
    """Share of the score's variance that an option explains by itself."""

    option: str
    share: float
    _older = leaves_out("interval", "by_chance")


class SelectionBias(Record):
    """How much better the best trial looks than it is.

    `best_of_equal` is the expected lead in top-1 of the best trial over the mean if all were equally good; `corrected` is the winner's
    top-1 less the estimated `optimism`. The three are None with a single source video, which does not show how far scores vary. `seeds` are
    the scores of the winner's recipe under new seeds. `gain` is their mean less the score of the form's recipe, with its 95 % interval, if
    there is such a comparison.
    """

    num_trials: int
    best_of_equal: float | None
    optimism: float | None
    corrected: float | None
    seeds: tuple[ScoredTrial, ...] = ()
    gain: float | None = None
    gain_interval: tuple[float, float] | None = None


class Search(Record):
    """All numbers of a search's report. Shares are between 0 and 1."""

    schema_version: int = Field(SCHEMA_VERSION, description="changes when a field changes its meaning")
    created: str = Field(description="UTC, ISO 8601")
    plan: SearchPlanResult
    targets: tuple[Target, ...] = Field(TARGETS, description="reported targets; the last one decides")
    num_clips: int = Field(description="clips that trials are selected on: val, or all clips of the folds")
    num_sources: int
    majority_top1: float = Field(description="of always predicting the most frequent class of the deciding target")
    trials: tuple[ScoredTrial, ...]
    curves: dict[int, tuple[Epoch, ...]] = Field(description="by trial number; of the first fold")
    winner: int
    pareto: tuple[int, ...] = Field(description="numbers of the trials that no other beats in both accuracy and latency")
    importances: tuple[Importance, ...]
    importance_note: str
    bias: SelectionBias


class SearchReportResult(Record):
    """Addresses of a search's page and tables and its MLflow run, and the winner's options."""

    key: str
    inputs_digest: str
    report_uri: str
    table_uri: str
    numbers_uri: str
    num_trials: int
    num_failed: int
    winner: TrainOptions
    retrain: dict[str, Any] = Field(description="parameters of a run of the DAG `retrain` with the winner's options")
    retrain_run_id: str = Field(description="id of that run, the same for the same winner")
    starts_retrain: bool
    verdict: str
    report_url: str
    mlflow_run_url: str
