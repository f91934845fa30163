"""Name recipes that replace the training options of a form."""

from collections.abc import Mapping
from typing import Any, Literal

from tasks.options.training import TrainOptions, Weights

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
"""The original experiment, trained for 60 epochs of the same frames.

Adam 1e-5, batch size 1, whole network, ten-crop validation every second epoch. docs/models.md lists the remaining differences.
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
"""New heads on a light backbone that sees each clip once per epoch.

Features are cached. It takes minutes on a CPU, and downloads no weights.
"""

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
"""Fine-tuning of the whole network, by a recipe of published fine-tunings on videos.

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
"""Thousands of epochs of new heads on the same views, to find a second descent.

The rate is constant, and there is no early stopping. One view of each clip, because the training error then
reaches 0. Source: Nakkiran et al. 2019, arXiv 1912.02292.
"""

Preset = Literal["none", "original", "thorough", "light", "long"]
PRESETS: dict[str, TrainOptions] = {"original": ORIGINAL, "thorough": THOROUGH, "light": LIGHT, "long": LONG}
UNPRESET = {"label_noise"}
"""Options that a preset does not change."""
NAMED_STARTS = ("checkpoint", "backbone_weights", "fuse")


def with_preset(preset: Preset, given: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the training options among `given` by those of a preset.

    Raises:
        ValueError: they name a start that the preset would ignore.
    """
    if preset == "none":
        return dict(given)
    for name in NAMED_STARTS:
        if given[name]:
            raise ValueError(
                f"preset {preset} starts from weights of its own, and {name} names others; set preset to none, or leave {name} out"
            )
    return {**given, **PRESETS[preset].model_dump(mode="json", exclude=UNPRESET)}
