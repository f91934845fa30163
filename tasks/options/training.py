"""Declare the options of a training, its presets, and of `retrain`."""

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from tasks.options.base import Options, StoreUri
from tasks.options.network import FlowOptions, NetworkOptions
from tasks.options.recipe import RecipeOptions


class Weights(StrEnum):
    """Origin of a network's weights.

    AUTO takes the network that `checkpoint` names, else EPIC's weights if they are available, else ImageNet's.
    """

    AUTO = "auto"
    EPIC = "epic"
    IMAGENET = "imagenet"
    NONE = "none"
    TRAINED = "trained"


class StartOptions(Options):
    """Choose the weights that a training starts from."""

    section: ClassVar[str] = "Initial weights"

    weights: Weights = Field(
        Weights.AUTO,
        title="Start from",
        description="epic: EPIC-KITCHENS-55 checkpoint; imagenet: ImageNet backbone with new heads; none: random weights; trained: the network under "
        "Checkpoint; auto: the first that is available",
    )
    checkpoint: str | None = Field(
        None,
        title="Checkpoint",
        description="EPIC weights: name of a published file, a path, an s3:// or http(s) address. A name (empty: the network's own) is looked up under pretrained/ of the store, then at its public address. "
        "Trained network: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this store; classes that are new to it get new, seeded outputs",
    )
    fuse: list[str] = Field(
        [],
        title="Fuse",
        description="Trained networks to fuse instead of training, one per line: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this "
        "store. Their logits are averaged with weights chosen on val; all other training options are ignored",
    )


class TrainOptions(StartOptions, RecipeOptions, FlowOptions, NetworkOptions):
    """Choose the network, its initial weights, and how it is fine-tuned."""

    section: ClassVar[str] = "Cache and seed"

    feature_variants: int = Field(
        10,
        ge=1,
        le=1000,
        title="Views per clip, heads only",
        description="If only the heads train: random views of each training clip that the frozen backbone sees, once per dataset; epochs take turns with them",
    )
    frame_step: int = Field(
        1,
        ge=1,
        le=30,
        title="Cache every n-th frame",
        description="For modality rgb. 1: training frames are drawn from all frames; higher: less disk space",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Training seed")


ORIGINAL = TrainOptions(
    backbone="resnet50",
    weights=Weights.EPIC,
    epochs=60,
    learning_rate=1e-5,
    batch_size=1,
    trainable="all",
    batch_norm="first-only",
    dropout=0.7,
    train_frames="middle",
    crop="centre",
    mirror=False,
    validate_every=2,
    validation_crops=10,
)
"""The original experiment: Adam 1e-5, batch size 1, whole network, 60 epochs of the same frames, ten-crop validation every second epoch.

docs/models.md lists the remaining differences.
"""

LIGHT = TrainOptions(
    backbone="tf_efficientnet_lite0",
    weights=Weights.IMAGENET,
    epochs=4,
    learning_rate=5e-3,
    batch_size=4,
    trainable="heads",
    frame_step=3,
)
"""New heads on a light backbone that sees each clip once per epoch, with cached features: minutes on a CPU, no weights to download."""

THOROUGH = TrainOptions(
    backbone="resnet50",
    weights=Weights.AUTO,
    epochs=50,
    batch_size=8,
    trainable="all",
    learning_rate=1e-4,
    layer_decay=0.7,
    optimizer="adamw",
    weight_decay=0.05,
    schedule="cosine",
    warmup_epochs=3,
    label_smoothing=0.1,
    crop="multi-scale",
    dropout=0.5,
    ema_decay=0.999,
    clip_norm=20,
    precision="bf16-mixed",
)
"""The whole network by a recipe of published fine-tunings on videos.

- mmaction2's guide to fine-tuning TSN: 50 epochs, random frames, multi-scale crop, mirror images.
- Video Swin Transformer (arXiv 2106.13230) on Something-Something v2: AdamW at 3e-4 for 64 clips, weight decay 0.05, warm-up of 2.5 epochs,
  cosine, label smoothing 0.1, dropout 0.5, mixed precision. 8 clips scale the rate by the square root of 8/64 (arXiv 2205.10287).
- ConvNeXt's fine-tuning (arXiv 2201.03545): layer-wise decay 0.7, averaged weights.
- TSM (arXiv 1811.08383): gradients up to norm 20; on small datasets, frozen batch norms except for the first.
"""

LONG = TrainOptions(
    backbone="tf_efficientnet_lite0",
    weights=Weights.IMAGENET,
    epochs=4000,
    learning_rate=1e-4,
    batch_size=16,
    trainable="heads",
    train_frames="middle",
    crop="centre",
    mirror=False,
)
"""Thousands of epochs of new heads on the same views, with a constant rate and no early stopping: is there a second descent?

One view of each clip, because the training error then reaches 0. Source: Nakkiran et al. 2019, arXiv 1912.02292.
"""

Preset = Literal["none", "original", "thorough", "light", "long"]
PRESETS: dict[str, TrainOptions] = {"original": ORIGINAL, "thorough": THOROUGH, "light": LIGHT, "long": LONG}
UNPRESET = {"label_noise"}
"""Options that a preset leaves as they are chosen."""


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
