"""Declare the options of a search for the best recipe."""

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.options.base import Options, StoreUri

RANGES = {
    "learning_rate": "1e-5..1e-1 log",
    "schedule": "constant, cosine",
    "batch_size": "2, 4, 8, 16",
    "weight_decay": "1e-6..1e-1 log",
    "dropout": "0..0.8",
    "label_smoothing": "0..0.2",
    "class_weights": "none, balanced",
    "warmup_epochs": "0..2",
    "trainable": "heads, last-stage, all",
    "crop": "resized, multi-scale, centre",
    "mirror": "true, false",
    "num_segments": "3, 5, 8",
    "family": "TSN, TRN, MTRN, TSM",
    "head": "linear, probe, tcn",
    "modality": "rgb, rgb-difference",
    "backbone": "tf_efficientnet_lite0, resnet50",
}
"""Options of a training that can be searched, with their default ranges."""

Searched = Literal[
    "learning_rate", "schedule", "batch_size", "weight_decay", "dropout", "label_smoothing", "class_weights", "warmup_epochs", "trainable",
    "crop", "mirror", "num_segments", "family", "head", "modality", "backbone",
]  # fmt: skip
MAX_ROUNDS = 8


class SearchOptions(Options):
    """Choose the options to search, and for how long."""

    section: ClassVar[str] = "Search"
    retired: ClassVar[Mapping[str, Any]] = {"halving": False, "budget_hours": 0.0, "search_sampler": "tpe", "search_seed": 0}
    retired_values: ClassVar[Mapping[str, Collection[str]]] = {
        "search": ("mixup", "color_jitter", "segment_length", "clip_seconds", "cut", "sampling_window"),
    }  # fmt: skip

    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store"
    )
    search: list[Searched] = Field(
        ["learning_rate", "schedule", "batch_size", "weight_decay", "dropout", "label_smoothing", "class_weights"],
        min_length=1,
        title="Searched options",
        description="All others keep the value of this form",
        json_schema_extra={"examples": list(RANGES)},
    )
    ranges: list[str] = Field(
        [f"{name}={values}" for name, values in RANGES.items()],
        title="Ranges",
        description="One per line: `dropout=0..0.8` between two numbers, `learning_rate=1e-5..1e-1 log` on a logarithmic scale, `batch_size=4, 8, 16` "
        "one of these. Only lines of searched options count",
    )
    num_trials: int = Field(24, ge=1, le=1000, title="Trials", description="Number of recipes that are trained, over all rounds")
    rounds: int = Field(
        3,
        ge=1,
        le=MAX_ROUNDS,
        title="Rounds",
        description="Trials of one round run at the same time; each round learns from the rounds before it",
    )
    objectives: Literal["accuracy", "accuracy and latency"] = Field(
        "accuracy",
        title="Objectives",
        description="accuracy: action top-1 on the scored clips, or verb top-1 if no label has an object; accuracy and latency: the trade-off with the seconds "
        "per clip of the network",
    )
    folds: int | None = Field(
        None,
        ge=0,
        le=10,
        title="Cross-validation, folds",
        description="Each trial is trained this many times, and scored on the training videos that it left out. 0: trials are scored on val; a later "
        "decision on val counts them all, and demands more certainty. Empty: 3, or as many as train has source videos",
    )
    then_retrain: bool = Field(
        False,
        title="Retrain the winner",
        description="Start retrain with the winner's options; its gate decides on clips that the search with folds never sees",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "SearchOptions":
        if self.folds == 1:
            raise ValueError("a single fold leaves no video to train on; choose 2 folds or more, or 0")
        if self.num_trials < self.rounds:
            raise ValueError(f"{self.num_trials} trials cannot fill {self.rounds} rounds; raise num_trials or lower rounds")
        return self
