"""Define the result of an export: a package, its answers and its costs."""

from typing import Literal

from tasks.store.records.record import Record, SplitName, Target, later

PackageFormat = Literal["onnx", "openvino"]
FloatPrecision = Literal["fp32", "fp16"]
PackagePrecision = FloatPrecision | Literal["int8"]
InputKind = Literal["frames", "flow", "sound"]


class PackageScore(Record):
    """Top-1 on a split's clips with an action, and its 95 % interval over sources."""

    split: SplitName
    target: Target
    num_clips: int
    num_sources: int
    top1: float
    top1_interval: tuple[float, float]


class PackageCosts(Record):
    """The costs of answers, without decoding; seconds are of a clip at batch 1.

    `start_seconds` is from the start of a process to its first answer, None for a network that was not started for this.
    """

    num_timed: int
    median_seconds: float
    p90_seconds: float
    clips_per_second: float
    peak_memory_bytes: int
    batch_size: int = 1
    start_seconds: float | None = None


class PackedNetwork(Record):
    """A network as it answers on one machine, by its name in tables."""

    name: str
    crops: int
    size_bytes: int
    scores: tuple[PackageScore, ...]
    costs: PackageCosts
    hardware: dict[str, str | int]


class PackageDifference(Record):
    """Top-1 of the package minus another network's on the same clips, at 95 %."""

    against: str
    against_registered: bool
    split: SplitName
    target: Target
    num_clips: int
    difference: float
    interval: tuple[float, float]
    num_gained: int
    num_lost: int


class ExportResult(Record):
    """A package that passed its check, with its scores beside the registered model.

    `refused` says why it has another `precision` than was asked for. `networks` are the package, then the student if it was packed, then
    the registered model, both as they were scored. `max_difference` is the largest between the package's logits and PyTorch's on the same
    crops. `size_bytes` is of the whole folder.
    """

    model_name: str
    version: int
    format: PackageFormat
    precision: PackagePrecision
    refused: str = later("")
    export_uri: str
    size_bytes: int
    networks: tuple[PackedNetwork, ...]
    differences: tuple[PackageDifference, ...]
    max_difference: float
    check: str
    code_version: str
    mlflow_run_url: str
    artifacts_url: str
    report_url: str

    @property
    def name(self) -> str:
        """Return the name of its folder in MLflow, for tags."""
        return self.artifacts_url.rpartition("/")[2]
