"""Declare options of compare_networks and compare_versions."""

from typing import ClassVar, Literal

from pydantic import Field

from tasks.options.base import Address, Options, StoreUri
from tasks.options.retrain import DATASET, MAX_HOURS


class ComparisonOptions(Options):
    """Choose the networks to compare, and the dataset."""

    section: ClassVar[str] = "Comparison"

    configurations: list[Address] = Field(
        ["family=TSN", "family=TRN", "family=MTRN", "family=TSM"],
        min_length=2,
        max_length=100,
        title="Configurations",
        description="One per line, such as `family=TRN backbone=resnet50 learning_rate=0.001`: the differences from the training options of this form, "
        "which all share. The first is the reference for the others",
    )
    dataset: StoreUri | None = DATASET
    split: Literal["val", "test"] = Field(
        "val",
        title="Split",
        description="The clips to score on. test spends the test split: a later decision on it counts each network as one that it was chosen from, and demands "
        "more certainty",
    )
    max_hours: float | None = MAX_HOURS


class VersionOptions(Options):
    """Choose two trained networks to compare, and the clips."""

    section: ClassVar[str] = "Comparison"

    first: str = Field(
        "models:/retake-tsn@champion", title="First", description="models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of a training"
    )
    second: str = Field("models:/retake-tsn@challenger", title="Second", description="Likewise; its differences from the first are shown")
    dataset: StoreUri | None = DATASET
    split: Literal["all", "train", "val", "test"] = Field(
        "all",
        title="Split",
        description="The labelled clips to take; those of videos that trained a network or chose its epochs are always left out",
    )
