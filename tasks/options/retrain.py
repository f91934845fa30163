"""Declare the options of `retrain` beside those of the training and the gate."""

from typing import ClassVar

from pydantic import Field

from tasks.options.base import Options, StoreUri
from tasks.options.presets import Preset


class RetrainOptions(Options):
    """Choose the dataset, and whether to train or decide again."""

    section: ClassVar[str] = "Rerun"

    preset: Preset = Field(
        "none",
        title="Preset",
        description="Replaces all training options but label noise. original: the original experiment (Adam 1e-5, batch size 1, whole network except its later batch norms, dropout 0.7, 60 epochs of the same frames); thorough: a published recipe for a GPU (AdamW, cosine, label smoothing, dropout, averaged weights, 50 epochs of random frames and crops); light: only the heads of tf_efficientnet_lite0, minutes on a CPU; long: the same heads for 4000 epochs, to see whether the validation error falls a second time",
    )
    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store"
    )
    force: bool = Field(False, title="Train again", description="Train even if this dataset was trained with these options before")
    decide_again: bool = Field(
        False, title="Decide again", description="Compare and decide again on the trained network, for example after a rejection"
    )
