"""What evaluate, compare, report, register and decide write."""

from typing import Literal

from tasks.options import GateOptions
from tasks.results.dataset import ClassRef
from tasks.results.record import TARGETS, ModelRole, Record, SplitName, Target

EngineName = Literal["pytorch", "openvino", "cuda"]
EnginePrecision = Literal["float32", "bfloat16", "float16", "int8"]


class ClassMetrics(Record):
    """One class of one target."""

    name: str
    support: int
    num_predicted: int
    precision: float
    recall: float
    f1: float


class TargetMetrics(Record):
    """Scores on one target. An interval is 95 %, of the share with other source videos."""

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
    """Seconds a clip after warm-up, loading from the cache of decoded frames, and the original's FPS: frames of a clip's snippets over the two medians.

    `num_clips` were measured: all, or some where another network's features answered for the rest. `clips_per_second` is of their whole scoring,
    in which loading and inference overlap.
    """

    num_clips: int
    loading_median_seconds: float
    loading_p90_seconds: float
    inference_median_seconds: float
    inference_p90_seconds: float
    fps: float
    clips_per_second: float


class EngineUsed(Record):
    """What computed the logits, and how it was checked: a few clips of the run beside PyTorch in float32.

    `max_difference` is the largest difference of a logit on these clips, in int8 the mean over clips of each one's largest, None for PyTorch in float32 itself; `fallback_reason` tells why a
    quicker engine was not taken.
    """

    name: EngineName
    precision: EnginePrecision
    description: str
    num_checked_clips: int
    max_difference: float | None
    tolerance: float | None
    fallback_reason: str | None

    @property
    def label(self) -> str:
        """Name and precision, as in `openvino bfloat16`: the gate compares networks of one label only."""
        return f"{self.name} {self.precision}"


class ActivationMap(Record):
    """Where in the frames a network looked for what it named: a PNG, the clip's test frames under the Grad-CAM of one head's best guess."""

    uid: str
    target: Literal["verb", "noun"]
    class_name: str
    uri: str


class EvaluateResult(Record):
    """One network's scores on one split. The fine-tuned network's evaluation also leaves a fingerprint of each clip, for the report's checks.

    `targets` are those to be shown, the one that decides last: of clips without objects the noun is given, and actions score as verbs do.

    `num_flops` is of one clip under `crops`: floating-point operations of convolutions and matrix products, a multiplication and an addition
    being two; it and `num_parameters` are None where they were not counted. `peak_memory_bytes` is of the process, which scores this network
    alone, when it had scored the first of its splits. `loss` is the mean over the clips whose classes the network has outputs for, None where
    there are none: on others it is infinite. `unknown_verbs` and `unknown_nouns` are those true classes of the split that the network cannot
    name: it has no output for them, or was not trained to name them. Clips of theirs are wrong in all scores.
    """

    model: ModelRole
    split: SplitName
    num_clips: int
    num_sources: int
    crops: int
    loss: float | None
    targets: tuple[Target, ...] = TARGETS
    verb: TargetMetrics
    noun: TargetMetrics
    action: TargetMetrics
    latency: Latency
    engine: EngineUsed
    num_parameters: int | None = None
    num_flops: int | None = None
    peak_memory_bytes: int
    hardware: dict[str, str | int]
    predictions_uri: str
    fingerprints_uri: str | None
    activations: tuple[ActivationMap, ...]
    unknown_verbs: tuple[ClassRef, ...] = ()
    unknown_nouns: tuple[ClassRef, ...] = ()


class EvaluateResults(Record):
    """Where the results of one network lie, each an `EvaluateResult`, in the order of the plan's evaluations."""

    model: ModelRole
    result_uris: tuple[str, ...]


class PairedDifference(Record):
    """Top-1 of the fine-tuned network less that of `opponent` on the same clips of one target; `reference` is a comparison's first network.

    `interval` is 95 %, from resampling source videos; `p_value` is the two-sided one that goes with it, None in records of older versions;
    `mcnemar_p` is the exact two-sided test on the clips that one alone names right.
    `num_clips_needed` estimates how many clips of as many source videos each a difference of this size takes to exclude zero; None where the
    interval excludes zero already, or where there is no difference.
    """

    target: Target
    opponent: Literal["baseline", "champion", "reference"]
    num_clips: int
    num_sources: int
    difference: float
    interval: tuple[float, float]
    num_gained: int
    num_lost: int
    mcnemar_p: float
    p_value: float | None = None
    num_clips_needed: int | None


class UnnamedClips(Record):
    """How many clips belong to classes that a network cannot name, and these classes, as in `verb knit`."""

    model: ModelRole
    num_clips: int
    classes: tuple[str, ...]


class NetworkScore(Record):
    """A network's top-1 on one target, with its 95 % interval."""

    model: ModelRole
    target: Target
    top1: float
    top1_interval: tuple[float, float]


class NameableClips(Record):
    """The comparison on the clips that every network can name, where one of them cannot name all. The gate decides on all clips.

    `scores` and `differences` are empty where there is no such clip.
    """

    split: SplitName
    num_all_clips: int
    num_clips: int
    num_sources: int
    unnamed: tuple[UnnamedClips, ...]
    scores: tuple[NetworkScore, ...]
    differences: tuple[PairedDifference, ...]


class RuleOutcome(Record):
    """One promotion rule, what it found, and whether it lets the fine-tuned network pass. `detail` has the numbers, in words."""

    rule: Literal["engine", "num_clips", "num_sources", "first", "gain", "guessing", "classes"]
    title: str
    passed: bool
    detail: str


class Attempt(Record):
    """How often the deciding clips have decided under one model name: `number` counts this network too, from 1.

    `num_others_on_dataset` is of other networks that were decided on with this very dataset.
    """

    number: int
    num_others_on_dataset: int


class CompareResult(Record):
    """The fine-tuned network beside what it must beat, and what the gate says, which holds against this champion, or none, alone.

    `passed` tells whether every rule let it pass; whether that promotes it depends on `gate.promotion`. `attempt` is None in records of
    older versions.
    """

    split: SplitName
    table_uri: str
    opponent: Literal["baseline", "champion"]
    champion_version: int | None
    opponent_top1: float
    challenger_top1: float
    differences: tuple[PairedDifference, ...]
    nameable: NameableClips | None = None
    gate: GateOptions
    rules: tuple[RuleOutcome, ...]
    passed: bool
    verdict: str
    reason: str
    mlflow_run_url: str
    attempt: Attempt | None = None

    @property
    def awaits_approval(self) -> bool:
        """Whether a person is asked before the champion changes."""
        return self.passed and self.gate.promotion == "approve"


class ReportResult(Record):
    """The report of one comparison: the page, the numbers, the model card, and what a person who approves is shown."""

    report_uri: str
    metrics_uri: str
    card_uri: str
    report_url: str
    awaits_approval: bool
    approval_hours: int
    question: str
    mlflow_run_url: str


class RegisterResult(Record):
    """The registered version, before anything is decided of it."""

    model_name: str
    version: int
    mlflow_run_id: str
    mlflow_run_url: str


class DecideResult(Record):
    """What became of the registered version."""

    model_name: str
    version: int
    promoted: bool
    champion_before: int | None
    champion: int | None
    aliases: tuple[str, ...]
    reason: str
    decided_by: str
    mlflow_run_id: str
    mlflow_run_url: str


class DecisionRecord(Record):
    """One line of `decisions.csv`: what was decided of a version, when (UTC), by whom and why."""

    time: str
    model_name: str
    version: int
    event: Literal["promoted", "kept", "rolled back"]
    champion_before: int | None
    champion_after: int | None
    promotion: Literal["auto", "approve", "never", "by hand"]
    decided_by: str
    reason: str
    run_key: str
    mlflow_run_url: str


class ChampionMove(Record):
    """One move of the alias `champion`, `champions/<model>/<number>.json`: only one run can make the next one, so no two promote at once.

    `key` is what the decision that it follows from is found by.
    """

    number: int
    decision: DecisionRecord
    key: str


class RollbackResult(Record):
    """The version that the alias `champion` was moved to, and from which."""

    model_name: str
    version: int
    champion_before: int | None
    reason: str
