"""Declare the options of comparisons of networks."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options, StoreUri


class ComparisonOptions(Options):
    """Choose the networks to compare, and the dataset."""

    section: ClassVar[str] = "Comparison"

    configurations: list[str] = Field(
        ["family=TSN", "family=TRN", "family=MTRN", "family=TSM"],
        min_length=2,
        max_length=100,
        title="Configurations",
        description="One per line, such as `family=TRN backbone=resnet50 learning_rate=0.001`: the differences from the training options of this form, "
        "which all share. The first is the reference for the others",
    )
    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store"
    )
