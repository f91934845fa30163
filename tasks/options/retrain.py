"""Declare options of retrain: tests, learning curve, gate and registry."""

import math
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.options.base import MODEL_NAME_PATTERN, Options, StoreUri
from tasks.options.data import SplitOptions

DATASET = Field(None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store")
MAX_SEEDS = 10
"""Most trainings of a recipe for one decision."""
MAX_HOURS = Field(
    None,
    gt=0,
    le=1000,
    title="Longest training, hours",
    description="What is expected to train longer does not start unasked: its run asks first, under Required actions. Empty: 2 without a GPU, "
    "12 with one",
)


class RetrainOptions(Options):
    """Choose the dataset, the number of seeds, and whether to train or decide again."""

    section: ClassVar[str] = "Rerun"

    dataset: StoreUri | None = DATASET
    force: bool = Field(False, title="Train again", description="Train even if this dataset was trained with these options before")
    decide_again: bool = Field(
        False, title="Decide again", description="Compare and decide again on the trained network, for example after a rejection"
    )
    num_seeds: int | None = Field(
        None,
        ge=1,
        le=MAX_SEEDS,
        title="Seeds",
        description="Trainings of the recipe, each with a seed of its own: the gate decides on their mean, and the network of the training seed is "
        "registered. Empty: 5 if only heads are trained, on cached features and for fewer than 200 epochs; else, and for a probe, 1",
    )
    max_hours: float | None = MAX_HOURS


class EvaluateOptions(Options):
    """Set how a network is tested."""

    section: ClassVar[str] = "Evaluation"
    retired_values: ClassVar[Mapping[str, Collection[str]]] = {"engine": ("openvino-int8",)}

    crops: Literal[1, 10] = Field(10, title="Crops", description="10: TSN's ten crops; 1: the centre crop, for a quick check")
    bootstrap_resamples: int = Field(
        2000, ge=100, le=100_000, title="Bootstrap resamples", description="Of source videos, for the 95 % intervals of differences"
    )
    engine: Literal["auto", "pytorch", "openvino", "cuda"] = Field(
        "auto",
        title="Inference engine",
        description="auto: CUDA on a GPU; on a CPU OpenVINO, or PyTorch for fewer than 10 clips. Each engine is checked on 3 clips against PyTorch in float32; if a logit differs by more than a tolerance, or a top class by more than a near tie, OpenVINO falls back to float32, or to PyTorch",
    )


class LearningCurveOptions(Options):
    """Choose whether the report says if more labels would help. It changes no training."""

    section: ClassVar[str] = "Learning curve"

    learning_curve: bool = Field(
        True,
        title="Learning curve",
        description="Trains heads on 10, 20, 50 and 100 % of the training clips, and extrapolates the accuracy to twice as many clips. Takes seconds to minutes if only the heads train. If more is trained, the features of all training clips are computed first, which can take hours on a CPU",
    )


class CurveOptions(Options):
    """Choose the training that a learning curve is drawn of."""

    section: ClassVar[str] = "Learning curve"

    plan: StoreUri = Field("", title="Plan", description="Address of the plan of a decision: s3://…/runs/KEY/decisions/KEY/plan/")


class GateOptions(Options):
    """Set when the new network replaces the champion, which a tie keeps."""

    section: ClassVar[str] = "Promotion"
    retired: ClassVar[Mapping[str, Any]] = {"gain_rule": "interval", "min_gain_points": 1.0, "beat_guessing": True}

    promotion: Literal["auto", "approve", "never"] = Field(
        "auto",
        title="Promotion",
        description="If every rule passes, or there is no champion yet: auto promotes at once; approve asks a person in Airflow; never only registers the model",
    )
    approval_hours: int = Field(
        72,
        ge=1,
        le=8760,
        title="Approval timeout, hours",
        description="Without an answer by then the champion stays; until then no other retrain starts",
    )
    min_gate_clips: int = Field(
        10,
        ge=1,
        le=1_000_000,
        title="Minimum clips",
        description="In the split that decides: test, or val if test has fewer of them or of source videos",
    )
    min_gate_sources: int = Field(3, ge=1, le=1_000_000, title="Minimum source videos", description="Source videos of those clips")
    yearly_error: float = Field(
        0.1,
        ge=0.002,
        le=1,
        title="Error allowed in a year",
        description="In any 365 days the charges of decisions under this model name sum to at most this. A charge is about the chance that a decision promotes "
        "a network that is no better, at most 0.025. A decision demands more certainty the less is left, and the more networks were scored on the same clips",
    )
    max_class_loss_points: float = Field(
        20.0,
        ge=0,
        le=100,
        title="Maximum recall loss per class, percentage points",
        description="For verbs and nouns with enough clips. A larger loss counts if chance explains it in fewer than one of twenty such comparisons of all these classes",
    )
    min_class_clips: int = Field(
        10, ge=1, le=1_000_000, title="Minimum clips per class", description="Classes with fewer clips are shown, but decide nothing"
    )

    def labels_needed(self, num_clips: int, num_acting: int, num_deciding: int) -> int:
        """Estimate at how many labelled clips the deciding split has enough clips.

        Those that it lacks, or has too many, come at the default share of val: the share so far depends on which few videos are there. Only
        clips with an action count: `num_acting` of all `num_clips`, and `num_deciding` in the deciding split.
        """
        rate = SplitOptions().val_share * (num_acting / num_clips if num_acting else 1)
        return num_clips + math.ceil((self.min_gate_clips - num_deciding) / rate)

    def is_enough(self, num_clips: int, num_sources: int) -> bool:
        """Check whether a split has the clips and source videos to decide."""
        return num_clips >= self.min_gate_clips and num_sources >= self.min_gate_sources


class RegisterOptions(Options):
    """Choose the registered model."""

    section: ClassVar[str] = "Registration"

    model_name: str = Field(
        "retake-tsn",
        pattern=MODEL_NAME_PATTERN,
        title="Registered model",
        description="Name in MLflow's registry; networks registered under one name compete for its champion",
    )
