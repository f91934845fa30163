"""`metrics.json`: every number of a report, with a schema."""

from pydantic import Field

from tasks.options import EvaluateOptions, GateOptions, TrainOptions
from tasks.results.evaluation import Attempt, EvaluateResult, NameableClips, PairedDifference, RuleOutcome
from tasks.results.fusion import Fusion
from tasks.results.record import TARGETS, ModelRole, Record, SplitName, Target
from tasks.results.training import Epoch

SCHEMA_VERSION = 1


class ReliabilityBin(Record):
    """Clips whose best guess had a probability between `low` and `high`: its mean, and how many were right."""

    low: float
    high: float
    num_clips: int
    mean_confidence: float
    accuracy: float


class Calibration(Record):
    """Whether probabilities mean what they say, for one model and target on one split.

    `temperature` was fitted on val and divides the logits (of actions: None, since verb and noun have one each).
    `ece` is the expected calibration error over the bins (Guo et al. 2017, arXiv 1706.04599); `ece_calibrated` is that after the
    temperature, on val with temperatures fitted on other source videos than they are used on, and None where val has only one.
    `ece_by_chance` and `ece_calibrated_by_chance` are what a perfectly calibrated model would have on as many clips; None in records of older
    versions.
    """

    model: str
    split: SplitName
    target: Target
    temperature: float | None
    ece: float
    ece_calibrated: float | None
    bins: tuple[ReliabilityBin, ...]
    ece_by_chance: float | None = None
    ece_calibrated_by_chance: float | None = None


class ClassChange(Record):
    """One class of one target under both models on the deciding split. `is_worse` marks a lower F1."""

    target: Target
    name: str
    support: int
    recall_before: float
    recall_after: float
    precision_before: float
    precision_after: float
    f1_before: float
    f1_after: float
    is_worse: bool


class Mistake(Record):
    """One of the clips that the fine-tuned network got most wrong on the deciding split."""

    uid: str
    clip_uri: str
    source: str
    true_verb: str
    true_noun: str
    predicted_verb: str
    predicted_noun: str
    opponent_verb: str
    opponent_noun: str
    loss: float


class NearDuplicate(Record):
    """Two clips of different splits whose frames look alike: `distance` is of 64-bit perceptual hashes, in bits, the mean over frames."""

    uid: str
    split: SplitName
    other_uid: str
    other_split: SplitName
    distance: float


class LabelConflict(Record):
    """Clips that look alike, or have the same content, and carry different labels."""

    uid: str
    action: str
    other_uid: str
    other_action: str


class DataChecks(Record):
    """What a sceptic asks of the data: leakage, classes that were never taught, labels that contradict each other."""

    shared_sources: tuple[str, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    missing_from_train: tuple[str, ...]
    label_conflicts: tuple[LabelConflict, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not (self.shared_sources or self.near_duplicates or self.missing_from_train or self.label_conflicts)


class ConfusionCounts(Record):
    """How often each true class was given each name by one model on the deciding split: `counts[row][column]` clips.

    Beyond 30 classes the rest is added up in a last row and column.
    """

    model: ModelRole
    target: Target
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class LabelCount(Record):
    """Clips of one class of one target in one split."""

    target: Target
    split: SplitName
    name: str
    num_clips: int


class SplitSize(Record):
    """How much data a split has."""

    split: SplitName
    num_clips: int
    num_sources: int
    num_verbs: int
    num_nouns: int
    num_actions: int


class Provenance(Record):
    """Where everything came from, and when (ISO 8601): enough to run it again.

    A time is whatever text the object store gives, `None` where it keeps none.
    """

    run_key: str
    dataset_uri: str
    dataset_digest: str
    dataset_created: str
    trained: str
    code_version: str
    weights: str
    weights_sha256: str
    checkpoint_sha256: str
    split_seed: int
    bootstrap_seed: int
    train: TrainOptions
    evaluate: EvaluateOptions
    trained_on: dict[str, str | int]
    training_seconds: float
    airflow_run: str
    mlflow_run_url: str


class Metrics(Record):
    """All numbers of a report. Shares are between 0 and 1; differences are fine-tuned less baseline or champion."""

    schema_version: int = Field(SCHEMA_VERSION, description="changes when a field changes its meaning")
    created: str = Field(description="UTC, ISO 8601")
    model_name: str
    network: str
    deciding_split: SplitName
    baseline: str
    baseline_is_chance: bool
    champion_version: int | None
    verdict: str
    passed: bool
    gate: GateOptions
    rules: tuple[RuleOutcome, ...]
    attempt: Attempt | None = Field(None, description="how often the deciding clips have decided, this decision included")
    splits: tuple[SplitSize, ...]
    results: tuple[EvaluateResult, ...]
    differences: tuple[PairedDifference, ...]
    nameable: NameableClips | None = Field(None, description="the same on the clips that every network can name, where one cannot name all")
    class_changes: tuple[ClassChange, ...]
    confusions: tuple[ConfusionCounts, ...]
    label_counts: tuple[LabelCount, ...]
    calibration: tuple[Calibration, ...]
    mistakes: tuple[Mistake, ...]
    checks: DataChecks
    epochs: tuple[Epoch, ...]
    best_epoch: int
    fusion: Fusion | None = Field(None, description="how the weights of a fusion, which has no epochs, were chosen")
    provenance: Provenance

    @property
    def targets(self) -> tuple[Target, ...]:
        """Those to be shown; the last one decides."""
        return self.results[0].targets if self.results else TARGETS
