"""Define `metrics.json`: all numbers of a report, with a schema."""

from pydantic import Field

from tasks.options import EvaluateOptions, GateOptions, TrainOptions
from tasks.store.records.curves import LearningCurveResult, LongTraining
from tasks.store.records.dataset import Agreement, SharedRecording
from tasks.store.records.decisions import Attempt, RuleOutcome
from tasks.store.records.evaluation import EvaluateResult, LabelAudit, NameableClips, PairedDifference, SeedSpread
from tasks.store.records.export import ExportResult
from tasks.store.records.record import TARGETS, ModelRole, Record, SplitName, Target, later, leaves_out
from tasks.store.records.training import Epoch, Fusion
from tasks.store.records.video import WebPage

SCHEMA_VERSION = 1
MAX_DOUBTFUL = 20
"""Doubtful labels that a report lists; the page Label has more."""


class ReliabilityBin(Record):
    """Clips with a top-1 probability between `low` and `high`: their mean probability and accuracy."""

    low: float
    high: float
    num_clips: int
    mean_confidence: float
    accuracy: float


class Calibration(Record):
    """Calibration of one model and target on one split.

    `temperature` is fitted on val and divides the logits; None for actions, because verb and noun have one each. `ece` is the expected
    calibration error over the bins (Guo et al. 2017, arXiv 1706.04599); `ece_calibrated` is the same after temperature scaling, on val with
    temperatures fitted on other source videos, so None if val has only one. `ece_by_chance` and `ece_calibrated_by_chance` are those of a
    perfectly calibrated model on as many clips; None in older records.
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
    """One class of one target under both models; `is_worse` means a lower F1."""

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


class NamedClip(Record):
    """A clip as people know it: by its video and its time."""

    uid: str
    file: str
    start_seconds: float
    stop_seconds: float


class Mistake(Record):
    """One of the new network's worst mistakes on the deciding split."""

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


class GroupScore(Record):
    """Top-1 of the deciding target on a group of clips, such as a camera's.

    `p_value` and `is_worse` compare it with the other clips of the column; the p-value is corrected for the number of its groups, and None
    if there are too few clips to tell.
    """

    column: str
    name: str
    num_clips: int
    num_sources: int
    top1: float
    interval: tuple[float, float]
    p_value: float | None
    is_worse: bool


class NearDuplicate(Record):
    """Two clips of different splits that look alike.

    `distance` is the mean over frames of differing bits of 64-bit perceptual hashes; 4 are added if one clip is like the centre of the
    other.
    """

    uid: str
    split: SplitName
    other_uid: str
    other_split: SplitName
    distance: float


class LabelConflict(Record):
    """Two clips that look alike or are the same, but have different labels."""

    uid: str
    action: str
    other_uid: str
    other_action: str


class TwoActions(Record):
    """A clip whose `second_action` also covers the share that a label must cover."""

    uid: str
    action: str
    second_action: str


class DataChecks(Record):
    """Checks of the data: leakage between splits, classes missing from train, contradicting labels.

    `with_speech` has the uids of clips in which somebody speaks; None if nobody listened for it, which is `speech_unchecked` of a network
    that hears. `two_actions` have two labels of one file that each cover at least `min_overlap`. `without_clip` says of each annotation
    file which of its intervals label no clip. `shared_recordings` are those that val shares with train, or test with train or val.
    """

    shared_sources: tuple[str, ...]
    near_duplicates: tuple[NearDuplicate, ...]
    missing_from_train: tuple[str, ...]
    label_conflicts: tuple[LabelConflict, ...]
    with_speech: tuple[str, ...] | None = later(None)
    speech_unchecked: bool = later(False)
    two_actions: tuple[TwoActions, ...] = later(())
    agreement: Agreement | None = later(None)
    without_clip: tuple[str, ...] = later(())
    shared_recordings: tuple[SharedRecording, ...] = later(())

    @property
    def is_clean(self) -> bool:
        """Check whether the checks found nothing."""
        return not (
            self.shared_sources or self.shared_recordings or self.near_duplicates or self.missing_from_train or self.label_conflicts
        )


class Cell(Record):
    """Wrong clips of one cell of a confusion matrix; `uids` lists the largest losses."""

    row: int
    column: int
    num_clips: int
    uids: tuple[str, ...]


class ConfusionCounts(Record):
    """Clips by true class (row) and predicted class (column) on the deciding split.

    Classes beyond 30 are summed in a last row and column.
    """

    model: ModelRole
    target: Target
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    wrong: tuple[Cell, ...] = later(())


class LabelCount(Record):
    """Numbers of clips and source videos of one class in one split."""

    target: Target
    split: SplitName
    name: str
    num_clips: int
    num_sources: int | None = None


class SplitSize(Record):
    """Size of a split; the `num_nothing`, where nothing happens, count in `num_clips` alone."""

    split: SplitName
    num_clips: int
    num_sources: int
    num_verbs: int
    num_nouns: int
    num_actions: int
    num_nothing: int = later(0)


class Provenance(Record):
    """Origin of all inputs, with times (ISO 8601): enough to reproduce the run.

    `chosen` names the recipe, and says what it sets, or why it was chosen.
    """

    run_key: str
    dataset_uri: str
    dataset_digest: str
    dataset_created: str
    trained: str
    code_version: str
    chosen: str = ""
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

    @property
    def store_uri(self) -> str:
        """Return the store that the dataset lies in."""
        return self.dataset_uri.rpartition("/datasets/")[0]


class ClosedSet(Record):
    """The new network's top-1 on the deciding split, with left-out clips counted wrong.

    Train lacks the actions of the clips that are left out.
    """

    num_clips: int
    num_actions: int
    top1: float
    top1_interval: tuple[float, float]


class Metrics(Record):
    """All numbers of a report.

    Shares are from 0 to 1. Differences are those of fine-tuned minus baseline or champion.
    """

    schema_version: int = Field(SCHEMA_VERSION, description="changes when a field changes its meaning")
    created: str = Field(description="UTC, ISO 8601")
    model_name: str
    network: str
    deciding_split: SplitName
    baseline: str
    baseline_is_chance: bool
    version: int | None = later(None, "the network's own version, if it was registered when this was written")
    champion_version: int | None
    champion_is_provisional: bool = Field(False, description="the champion has not passed the gate")
    previous_version: int | None = Field(None, description="the version before this one, if it is not the champion; it decides nothing")
    no_previous: str = Field(
        "", description="why the version before this one has no scores of its own; empty if it has, or if there is none"
    )
    verdict: str
    why: str = Field("", description="the reasons for the verdict; empty in older files, where the verdict has them")
    passed: bool
    provisional: bool = Field(False, description="without a champion, the network may become it although it did not pass")
    is_champion: bool | None = later(None, "whether it is the champion since the decision, if that was made when this was written")
    has_champion: bool = later(False, "whether the model has a champion since the decision")
    gate: GateOptions
    rules: tuple[RuleOutcome, ...]
    attempt: Attempt | None = Field(None, description="looks at the deciding clips, and what this decision spends")
    splits: tuple[SplitSize, ...]
    results: tuple[EvaluateResult, ...]
    differences: tuple[PairedDifference, ...]
    spread: SeedSpread | None = later(
        None, "the scores of the recipe by seed, and the mean on which the gate decides; missing if one seed trained it"
    )
    nameable: NameableClips | None = Field(
        None, description="the comparison on the clips that every network can name, if some network cannot name all"
    )
    closed_set: ClosedSet | None = later(None, "clips of actions that train lacks, if the deciding split has some")
    num_drawn: int | None = Field(
        None, description="source videos of test that were drawn at random, whatever they show; null if the dataset is of an older version"
    )
    num_accepted: int | None = Field(
        None, description="clips of the deciding split whose label is a suggestion of a model that a person accepted; null if unknown"
    )
    num_chosen: int | None = Field(
        None, description="clips of the deciding split from videos where a model chose clips to label; null if unknown"
    )
    class_changes: tuple[ClassChange, ...]
    confusions: tuple[ConfusionCounts, ...]
    label_counts: tuple[LabelCount, ...]
    num_unlabelled: int = later(0, "clips without a label or the answer unsure when the dataset was built, if known")
    calibration: tuple[Calibration, ...]
    mistakes: tuple[Mistake, ...]
    groups: tuple[GroupScore, ...] = Field((), description="the new network's scores by source video and by columns of annotation files")
    checks: DataChecks
    epochs: tuple[Epoch, ...]
    best_epoch: int
    long_training: LongTraining | None = Field(None, description="whether the validation error of a long training falls a second time")
    learning_curve: LearningCurveResult | None = Field(
        None, description="what more training clips would gain; null if `no_learning_curve` says why not"
    )
    no_learning_curve: str | None = Field(None, description="why there is no learning curve, as a part of a sentence")
    packages: tuple[ExportResult, ...] = later((), "packages of this network for other machines")
    clips: tuple[NamedClip, ...] = Field((), description="video and time of each clip that is named by its uid")
    fusion: Fusion | None = Field(None, description="how the weights of a fusion were chosen; a fusion has no epochs")
    web_pages: tuple[WebPage, ...] = later((), "the pages that videos of the dataset were downloaded from, with their licences")
    provenance: Provenance

    _older = leaves_out("probe", "no_probe")

    @property
    def val_chose(self) -> bool:
        """Check whether val chose an epoch or a fusion's weights; a probe has one epoch."""
        return self.fusion is not None or len(self.epochs) > 1

    @property
    def named_uids(self) -> tuple[str, ...]:
        """List the uids of all named clips, first those that the data checks name."""
        pairs: tuple[NearDuplicate | LabelConflict, ...] = (*self.checks.near_duplicates, *self.checks.label_conflicts)
        read_twice = self.checks.agreement.differing if self.checks.agreement else ()
        named = (
            *(uid for pair in pairs for uid in (pair.uid, pair.other_uid)),
            *(clip.uid for clip in read_twice),
            *(label.uid for label in (self.audit.doubtful[:MAX_DOUBTFUL] if self.audit else ())),
            *(clip.uid for clip in self.checks.two_actions),
            *(uid for matrix in reversed(self.confusions) for cell in matrix.wrong for uid in cell.uids),
            *(mistake.uid for mistake in self.mistakes),
            *(self.checks.with_speech or ()),
            *(uid for result in self.results for uid in result.unheard),
        )
        return tuple(dict.fromkeys(named))

    @property
    def audit(self) -> LabelAudit | None:
        """Return the audit of the labels; None in older records."""
        return next((result.audit for result in self.results if result.audit), None)

    @property
    def targets(self) -> tuple[Target, ...]:
        """List the reported targets; the last one decides."""
        return self.results[0].targets if self.results else TARGETS
