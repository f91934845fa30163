"""What evaluate, compare and register write."""

from typing import Literal

from tasks.results.record import ModelRole, Record, SplitName


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
    """Seconds a clip after warm-up, loading from the cache of decoded frames, and the original's FPS: frames of a clip's segments over the two medians."""

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
    """The fine-tuned network beside what it must beat, and the decision, which holds against this champion, or none, alone."""

    split: SplitName
    table_uri: str
    opponent: Literal["baseline", "champion"]
    champion_version: int | None
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
