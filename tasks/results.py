"""What steps write for one another: the models of every JSON file in the store, `result.json` above all.

No model holds a time of day, so the same inputs give the same bytes. Long lists lie in files of their own; a result stays small enough for XCom.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.options import EvaluateOptions, LabelOptions, SegmentOptions, SplitOptions, TrainOptions, Weights

SplitName = Literal["train", "val", "test"]
ModelRole = Literal["baseline", "fine-tuned", "champion"]
Target = Literal["verb", "noun", "action"]
SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
TARGETS: tuple[Target, ...] = ("verb", "noun", "action")


class Record(BaseModel):
    """A closed, immutable record."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SetAside(Record):
    """A file that could not be used, and why, in words for the person who brought it."""

    name: str
    reason: str


class VideoRecord(Record):
    """`videos/<sha256>/probe.json`: one video, known by its content, under every name it came by."""

    video: str
    uri: str
    size_bytes: int
    names: tuple[str, ...]
    container: str
    codec: str
    pixel_format: str
    width: int
    height: int
    rotation_degrees: int
    fps: float
    duration_seconds: float
    has_audio: bool


class BatchRef(Record):
    """One mapped task's share of an ingest, with the name that the task carries in Airflow."""

    uri: str
    name: str
    out: str


class Batch(Record):
    """`ingests/<key>/batches/<n>.json`: the videos of one mapped task."""

    videos: tuple[str, ...]


class SeenFile(Record):
    """A file of the inbox as it was when its content was last hashed."""

    name: str
    etag: str
    size_bytes: int
    video: str | None
    reason: str | None


class Inventory(Record):
    """`ingests/<key>/inventory.json`: every file that an ingest looked at."""

    files: tuple[SeenFile, ...]


class IngestResult(Record):
    """What an ingest took in, and the batches that are to be cut."""

    num_videos: int
    num_files: int
    set_aside: tuple[SetAside, ...]
    annotations: tuple[str, ...]
    batches: tuple[BatchRef, ...]


class ClipRecord(Record):
    """One clip in the store. `uid` is the video's first 12 hex digits and the clip's index."""

    uid: str
    video: str
    index: int
    uri: str
    sha256: str
    size_bytes: int
    start_seconds: float
    stop_seconds: float
    num_frames: int
    width: int
    height: int
    has_audio: bool


class ClipsFile(Record):
    """`clips/<video>/<recipe>/clips.json`, written last: all clips of one video, or the reason why there are none."""

    video: str
    recipe: str
    options: SegmentOptions
    clips: tuple[ClipRecord, ...]
    dropped_seconds: float
    warnings: tuple[str, ...]
    set_aside: str | None


class SegmentResult(Record):
    """What one batch of videos was cut into."""

    num_videos: int
    num_clips: int
    dropped_seconds: float
    warnings: tuple[SetAside, ...]
    set_aside: tuple[SetAside, ...]


class SummaryResult(Record):
    """One ingest in numbers: what a person sees first, and what the clips' asset event carries."""

    num_files: int
    num_videos: int
    num_clips: int
    set_aside: tuple[SetAside, ...]
    warnings: tuple[SetAside, ...]
    recipe: str
    inputs_digest: str


class Problem(Record):
    """A line of an annotation file that was refused, or a label that was overruled."""

    file: str
    line: int | None
    reason: str


class ClassRef(Record):
    """A class id of EPIC-KITCHENS-55 and its name."""

    id: int
    name: str


class Vocabulary(Record):
    """The classes that the labels name; ids are positions in the heads' logits (125 verbs, 352 nouns)."""

    verbs: tuple[ClassRef, ...]
    nouns: tuple[ClassRef, ...]


class LabelledClip(Record):
    """A clip with what is known about it. `source` groups clips that must share a split."""

    clip: ClipRecord
    names: tuple[str, ...]
    source: str
    verb: str | None
    noun: str | None
    verb_class: int | None
    noun_class: int | None
    origin: str | None

    @property
    def action(self) -> str | None:
        """Verb and noun as one name, as in `put meat`."""
        return None if self.verb is None or self.noun is None else f"{self.verb} {self.noun}"


class LabelsFile(Record):
    """`labels/<recipe>/labels.json`: every clip of one recipe, labelled or not."""

    recipe: str
    segment: SegmentOptions
    options: LabelOptions
    vocabulary: Vocabulary
    clips: tuple[LabelledClip, ...]
    problems: tuple[Problem, ...]
    changes: tuple[Problem, ...]


class LabelResult(Record):
    """How many clips have labels; the problems in full lie in the labels file."""

    labels_uri: str
    inputs_digest: str
    num_clips: int
    num_labelled: int
    num_problems: int
    num_changes: int
    first_problems: tuple[Problem, ...]
    first_changes: tuple[Problem, ...]


class SplitResult(Record):
    """How many labelled clips and sources each split has."""

    split_uri: str
    num_clips: dict[SplitName, int]
    num_sources: dict[SplitName, int]
    warnings: tuple[str, ...]


class DatasetClip(Record):
    """One labelled clip in its split."""

    uid: str
    split: SplitName
    source: str
    names: tuple[str, ...]
    video: str
    uri: str
    sha256: str
    start_seconds: float
    stop_seconds: float
    num_frames: int
    width: int
    height: int
    verb: str
    noun: str
    verb_class: int
    noun_class: int
    origin: str

    @property
    def action(self) -> str:
        """Verb and noun as one name."""
        return f"{self.verb} {self.noun}"


class Manifest(Record):
    """`datasets/<digest>/manifest.json`, written last: all that a training needs to know of its data."""

    recipe: str
    segment: SegmentOptions
    label: LabelOptions
    split: SplitOptions
    vocabulary: Vocabulary
    clips: tuple[DatasetClip, ...]
    excluded: tuple[SetAside, ...]
    warnings: tuple[str, ...]


class DatasetResult(Record):
    """`datasets/result.json`: the latest dataset."""

    digest: str
    dataset_uri: str
    num_clips: dict[SplitName, int]
    num_sources: dict[SplitName, int]
    num_classes: dict[Target, int]
    num_unlabelled: int
    warnings: tuple[str, ...]


class WeightsResult(Record):
    """The network that training starts from, as a checkpoint in the store. `is_chance` tells that its heads know nothing before training."""

    backbone: str
    weights: Weights
    uri: str
    sha256: str
    description: str
    is_chance: bool


class Evaluation(Record):
    """One network to be scored on one split, as the arguments of one mapped task."""

    model: ModelRole
    split: SplitName
    out: str


class Champion(Record):
    """The registered version that the fine-tuned network must beat."""

    version: int
    checkpoint_uri: str
    checkpoint_sha256: str


class PlanResult(Record):
    """One training, decided: everything that the later steps need."""

    run_key: str
    run_uri: str
    dataset_uri: str
    dataset_digest: str
    train: TrainOptions
    evaluate: EvaluateOptions
    weights: WeightsResult
    champion: Champion | None
    evaluations: tuple[Evaluation, ...]


class Epoch(Record):
    """One epoch's losses and centre-crop accuracies; `val` is missing where the epoch was not validated."""

    epoch: int
    train_loss: float
    val_loss: float | None
    val_verb_top1: float | None
    val_noun_top1: float | None
    val_action_top1: float | None


class TrainResult(Record):
    """A finished training."""

    checkpoint_uri: str
    checkpoint_sha256: str
    best_epoch: int
    best_val_loss: float
    epochs: tuple[Epoch, ...]
    stopped_early: bool
    seconds: float
    mlflow_run_id: str
    mlflow_run_url: str
    hardware: dict[str, str | int]


class ClassMetrics(Record):
    """One class of one target."""

    name: str
    support: int
    num_predicted: int
    precision: float
    recall: float


class TargetMetrics(Record):
    """Scores on one target. An interval is 95 %, from resampling source videos."""

    num_clips: int
    num_classes: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float
    precision_weighted: float
    recall_weighted: float
    precision_macro: float
    recall_macro: float
    majority_class: str
    majority_top1: float
    classes: tuple[ClassMetrics, ...]


class Latency(Record):
    """Seconds a clip after warm-up, and the original's FPS: frames of a clip's segments over the two medians."""

    num_clips: int
    loading_median_seconds: float
    loading_p90_seconds: float
    inference_median_seconds: float
    inference_p90_seconds: float
    fps: float


class EvaluateResult(Record):
    """One network's scores on one split."""

    model: ModelRole
    split: SplitName
    num_clips: int
    num_sources: int
    crops: int
    loss: float
    verb: TargetMetrics
    noun: TargetMetrics
    action: TargetMetrics
    latency: Latency
    predictions_uri: str


class CompareResult(Record):
    """The fine-tuned network beside what it must beat, and the decision."""

    split: SplitName
    table_uri: str
    opponent: Literal["baseline", "champion"]
    opponent_top1: float
    challenger_top1: float
    promote: bool
    reason: str
    mlflow_run_url: str


class RegisterResult(Record):
    """The registered version and its aliases."""

    model_name: str
    version: int
    aliases: tuple[str, ...]
    mlflow_run_id: str
    mlflow_run_url: str
