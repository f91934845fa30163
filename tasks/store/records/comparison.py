"""Define the results of comparisons of networks."""

from typing import Literal

from pydantic import Field

from tasks.options import EvaluateOptions, TrainOptions
from tasks.store.records.evaluation import EngineUsed, Latency, NothingScores, PairedDifference, TargetMetrics
from tasks.store.records.metrics import ConfusionCounts, NamedClip
from tasks.store.records.record import TARGETS, KeptModality, Record, SplitName, Target, later

SCHEMA_VERSION = 1


class Configuration(Record):
    """One network to compare, as the arguments of a mapped task group.

    `options` is the complete `TrainOptions` as JSON; `out` is the address of its plan; under `claims` each training has one configuration.
    """

    name: str
    options: str
    dataset: str
    out: str
    claims: str


class ConfigureResult(Record):
    """The networks of a comparison, the reference first."""

    dataset_uri: str
    configured_uri: str
    configurations: tuple[Configuration, ...]


class ComparedNetwork(Record):
    """A trained and tested network, named by its first configuration.

    `others` are configurations with the same training. A fusion has the inputs of its `members` in place of an input and segments of its
    own. `differences` are its top-1 minus the reference's, which has none.
    `num_parameters` and `num_flops` are None if not counted.
    """

    name: str
    others: tuple[str, ...]
    network: str
    family: str
    backbone: str
    modality: KeptModality | None
    num_segments: int | None
    members: tuple[KeptModality, ...] = ()
    weights: str
    run_key: str
    run_uri: str
    mlflow_run_url: str
    verb: TargetMetrics
    noun: TargetMetrics
    action: TargetMetrics
    loss: float | None
    num_parameters: int | None
    num_flops: int | None
    latency: Latency
    peak_memory_bytes: int
    engine: EngineUsed
    hardware: dict[str, str | int]
    trained_on: dict[str, str | int]
    training_seconds: float
    num_epochs: int
    differences: tuple[PairedDifference, ...]
    nothing: NothingScores | None = later(None)

    @property
    def inputs(self) -> tuple[KeptModality, ...]:
        """List the inputs of the network, or of the members of a fusion."""
        return self.members or ((self.modality,) if self.modality else ())


class FailedConfiguration(Record):
    """A configuration without a result, with the failed step and the reason if known."""

    name: str
    step: str | None
    reason: str


class DifferingClip(Record):
    """A clip that two networks answer differently, with the label and both answers."""

    uid: str
    label: str
    first: str
    second: str

    @property
    def is_decided(self) -> bool:
        """Check whether one of the two is right."""
        return self.label in (self.first, self.second)


class Comparison(Record):
    """All numbers of a comparison.

    Shares are between 0 and 1; differences are network minus reference on the same clips. From `selection` on, fields are of two registered
    versions on clips that neither was trained on. Their `confusions` call the first `previous`, and the second `fine-tuned`.
    """

    schema_version: int = Field(SCHEMA_VERSION, description="changes when a field changes its meaning")
    created: str = Field(description="UTC, ISO 8601")
    dataset_uri: str
    dataset_digest: str
    split: SplitName | Literal["unseen"]
    num_clips: int
    num_sources: int
    targets: tuple[Target, ...] = Field(TARGETS, description="reported targets; the last one decides")
    train: TrainOptions = Field(description="options of the first network; the names of the others tell how they differ")
    evaluate: EvaluateOptions
    reference: str | None = Field(description="name of the configuration that the others are compared to; None if it failed")
    networks: tuple[ComparedNetwork, ...]
    failed: tuple[FailedConfiguration, ...]
    selection: str = later("", "how many clips are left, and why")
    caution: str = later("", "a warning where they are few")
    confusions: tuple[ConfusionCounts, ...] = later(())
    differing: tuple[DifferingClip, ...] = later((), "those that one gets right come first")
    clips: tuple[NamedClip, ...] = later((), "video and time of each clip that is named by its uid")
    airflow_run: str = later("")

    @property
    def named_uids(self) -> tuple[str, ...]:
        """List the uids of all named clips, first those that the networks answer differently."""
        wrong = (uid for matrix in reversed(self.confusions) for cell in matrix.wrong for uid in cell.uids)
        return tuple(dict.fromkeys((*(clip.uid for clip in self.differing), *wrong)))


class TabulateResult(Record):
    """Addresses of a comparison's page and tables, and of the MLflow run with them."""

    report_uri: str
    table_uri: str
    comparison_uri: str
    num_networks: int
    num_failed: int
    verdict: str
    report_url: str
    mlflow_run_url: str
