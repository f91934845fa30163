"""Define the scores, latency and engine of a network, and its differences from others."""

import statistics
from typing import Literal

from tasks.store.records.dataset import ClassRef
from tasks.store.records.record import TARGETS, ModelRole, Record, SplitName, Target, later

EngineName = Literal["pytorch", "openvino", "cuda"]
EnginePrecision = Literal["float32", "bfloat16", "float16", "int8"]


class ClassMetrics(Record):
    """Metrics of one class."""

    name: str
    support: int
    num_predicted: int
    precision: float
    recall: float
    f1: float


class TargetMetrics(Record):
    """Metrics of one target; the interval is at 95 %, over source videos."""

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


class NothingScores(Record):
    """How one network answers whether anything happens, with 95 % intervals over source videos.

    `recall` is the share of the `num_clips` in which nothing happens that it calls nothing, None without such clips. `false_alarms` is the
    share of the clips with an action that it calls nothing.
    """

    num_clips: int
    num_sources: int
    num_recognised: int
    recall: float | None
    recall_interval: tuple[float, float] | None
    num_action_clips: int
    num_false_alarms: int
    false_alarms: float
    false_alarms_interval: tuple[float, float]


class Latency(Record):
    """Seconds per clip after warm-up, for loading from the frame cache and for inference.

    `fps` is the original experiment's: frames of a clip's snippets divided by the sum of the two medians. `num_clips` is the number of
    measured clips: all, or fewer if the rest was scored from another network's cached features. If all were, these are that network's
    times. `clips_per_second` is for the whole scoring, in which loading and inference overlap.
    """

    num_clips: int
    loading_median_seconds: float
    loading_p90_seconds: float
    inference_median_seconds: float
    inference_p90_seconds: float
    fps: float
    clips_per_second: float


class EngineUsed(Record):
    """The engine that computed the logits, and its parity check against PyTorch in float32.

    `max_difference` is the largest logit difference, in int8 the mean over clips of the largest per clip, None for PyTorch in float32
    itself. `fallback_reason` says why a faster engine was not used. Without a backbone, only heads ran, alike in every engine.
    """

    name: EngineName
    precision: EnginePrecision
    description: str
    num_checked_clips: int
    max_difference: float | None
    tolerance: float | None
    fallback_reason: str | None
    has_backbone: bool = True

    @property
    def label(self) -> str:
        """Join name and precision; networks in the gate must share both."""
        return f"{self.name} {self.precision}"


class ActivationMap(Record):
    """A PNG of a clip's test frames with one head's Grad-CAM heat for its top-1."""

    uid: str
    target: Literal["verb", "noun"]
    class_name: str
    uri: str


class DoubtfulLabel(Record):
    """A doubtful label and the likely one, each with its probability."""

    uid: str
    verb: str
    noun: str
    probability: float
    likely_verb: str
    likely_noun: str
    likely_probability: float


class LabelAudit(Record):
    """The doubtful labels of a dataset, the most doubtful first.

    Probabilities are those of probes that saw no clip of the same source video, for the `num_judged` clips that have one. `doubtful` lists
    the first of `num_doubtful`. Clips of val or test without features are not judged. `reason` says why no label was, as a part of a
    sentence.
    """

    num_clips: int
    num_judged: int = 0
    num_without_features: int = later(0)
    num_doubtful: int = 0
    doubtful: tuple[DoubtfulLabel, ...] = ()
    reason: str = ""


class EvaluateResult(Record):
    """One network's results on one split.

    The last of `targets` decides; without objects the noun is given, and actions score like verbs. The new network alone writes
    `fingerprints_uri`, for the report's data checks, and on the deciding split the `audit` of the whole dataset's labels.

    `crops` are asked for of all networks of a comparison; `own_crops` are the network's own, fewer if it has one view, None in older results. `num_flops` counts
    floating-point operations of convolutions and matrix products per clip with these, a multiply-add as two; it and `num_parameters` are None if not counted. `peak_memory_bytes` is the
    process's from the network's start to the end of its first split, or another network's, as for `latency`. `loss` is the mean over clips
    whose classes have an output (for others it is infinite), None if there are none. `unknown_verbs` and `unknown_nouns` are true classes that the network has no
    output for or was not trained on; their clips count as wrong. In the clips `unheard`, by uid, a network of sound had nothing to hear:
    alone it answered by its biases, in a fusion it did not count.

    Clips in which nothing happens count in `nothing` and the times alone.
    """

    model: ModelRole
    split: SplitName
    num_clips: int
    num_sources: int
    crops: int
    own_crops: int | None = None
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
    unheard: tuple[str, ...] = ()
    nothing: NothingScores | None = later(None)
    audit: LabelAudit | None = later(None)


class EvaluateResults(Record):
    """Addresses of a plan's `EvaluateResult`s, in the order of its evaluations."""

    result_uris: tuple[str, ...]


class PairedDifference(Record):
    """Top-1 of the new network minus that of `opponent` on the same clips.

    `reference` is the first network of a comparison. `interval` is at 95 %, from resampling source videos, and `p_value` its two-sided
    p-value; `mcnemar_p` is the exact two-sided test on the clips that exactly one network gets right. `num_clips_needed` estimates at how
    many clips, with the same number per source video, the interval would exclude zero; None if it already does, or without a difference.

    With `num_seeds`, it is of a recipe: `difference` is the mean over its networks, gained and lost clips are summed over them, and the
    interval is over source videos and seeds.
    """

    target: Target
    opponent: Literal["baseline", "champion", "previous", "reference"]
    num_clips: int
    num_sources: int
    num_seeds: int = later(1)
    difference: float
    interval: tuple[float, float]
    num_gained: int
    num_lost: int
    mcnemar_p: float
    p_value: float | None = None
    num_clips_needed: int | None


class SeedScore(Record):
    """Top-1 of the network that one seed trained, and its engine's label."""

    seed: int
    run_key: str
    top1: float
    engine: str


class SeedSpread(Record):
    """A recipe's scores by seed on the deciding target, the registered network's first.

    `difference` is that of their mean from the gate's opponent.
    """

    scores: tuple[SeedScore, ...]
    difference: PairedDifference

    @property
    def mean_top1(self) -> float:
        """Return the mean of the scores."""
        return statistics.fmean(score.top1 for score in self.scores)

    @property
    def top1_seed_sd(self) -> float:
        """Return the standard deviation of the scores."""
        return statistics.stdev(score.top1 for score in self.scores)


class UnnamedClips(Record):
    """Clips whose classes a network cannot name, and these classes, such as `verb knit`."""

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
    """Comparison on the clips that every network can name, if some network cannot name all.

    The gate decides on all clips. `scores` and `differences` are empty if there are no such clips.
    """

    split: SplitName
    num_all_clips: int
    num_clips: int
    num_sources: int
    unnamed: tuple[UnnamedClips, ...]
    scores: tuple[NetworkScore, ...]
    differences: tuple[PairedDifference, ...]
