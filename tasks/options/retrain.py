"""Declare the options of `retrain` beside those of the training and the gate."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options, StoreUri


class RetrainOptions(Options):
    """Choose the dataset, and whether to train or decide again."""

    section: ClassVar[str] = "Rerun"

    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store"
    )
    force: bool = Field(False, title="Train again", description="Train even if this dataset was trained with these options before")
    decide_again: bool = Field(
        False, title="Decide again", description="Compare and decide again on the trained network, for example after a rejection"
    )
    max_hours: float | None = Field(
        None,
        gt=0,
        le=1000,
        title="Longest training, hours",
        description="A training that is expected to take longer asks first, under Required actions; empty: 2 without a GPU, 12 with one",
    )
