"""Declare the options of `retrain` beside those of the training and the gate."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options, StoreUri
from tasks.options.comparison import DATASET, MAX_HOURS


class RetrainOptions(Options):
    """Choose the dataset, and whether to train or decide again."""

    section: ClassVar[str] = "Rerun"

    dataset: StoreUri | None = DATASET
    force: bool = Field(False, title="Train again", description="Train even if this dataset was trained with these options before")
    decide_again: bool = Field(
        False, title="Decide again", description="Compare and decide again on the trained network, for example after a rejection"
    )
    max_hours: float | None = MAX_HOURS
