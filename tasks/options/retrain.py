"""Declare the options of `retrain` and of comparisons, beside those of the training and the gate.

`dags/retrain.py` says which of them the form shows.
"""

from typing import ClassVar, Literal

from pydantic import Field

from tasks.options.base import Address, Options, StoreUri

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
        description="The labelled clips to take; those of films that trained a network or chose its epochs are always left out",
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
