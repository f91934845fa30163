"""Name recipes for training options, and choose one for machine and clips."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field

from tasks.options.base import MODEL_NAME_PATTERN, Options
from tasks.options.network import AUTO_BACKBONE, Family, Head, Modality
from tasks.options.training import IDLE_IN_PROBE, StartOptions, TrainOptions, Weights
from tasks.wording import count

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
"""The original experiment; docs/original.md lists the remaining differences."""

LIGHT = TrainOptions(
    backbone="tf_efficientnet_lite0", weights=Weights.IMAGENET, epochs=4, learning_rate=5e-3, batch_size=4, trainable="heads", frame_step=3
)
"""New heads on the cached features of a light backbone: minutes on a CPU, and no download."""

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
"""Thousands of epochs of new heads, to find a second descent (Nakkiran et al. 2019, arXiv 1912.02292).

With one view of each clip, the training error reaches 0.
"""


def _named(name: str) -> str:
    if name in REMOVED_RECIPES:
        raise ValueError(f"the recipe {name} was removed; choose light or auto")
    if not re.fullmatch(MODEL_NAME_PATTERN, name):
        raise ValueError(f"{name!r} is no name of a recipe, which has up to 63 letters, digits, dots, dashes and underscores")
    return name


REMOVED_RECIPES = ("thorough",)
RecipeName = Annotated[str, AfterValidator(_named)]
PRESETS: dict[str, TrainOptions] = {"original": ORIGINAL, "light": LIGHT, "long": LONG}
"""The recipes that ship with the code."""
UNKEYED_PRESETS = ("none", *PRESETS)
"""Their options enter the key of a form, and their names do not."""
PURPOSES = {
    "auto": "suits the machine, the number of training clips and the weights that can be had; without a GPU it trains only heads, in minutes",
    "none": "the options of this form, as they are",
    "original": "the original experiment (Adam 1e-5, batch size 1, whole network except its later batch norms, dropout 0.7, 60 epochs of the same frames)",
    "light": "only the heads of tf_efficientnet_lite0, minutes on a CPU",
    "long": "the same heads as light for 4000 epochs, to see whether the validation error falls a second time",
}

MOST_PROBED_CLIPS = 10_000
"""Maximum number of training clips for which `auto` chooses a probe; docs/models.md has its time and memory up to there."""
PROBE_VIEWS = 4
"""Views per clip of a probe that `auto` chooses, as in the comparison of heads in docs/models.md."""


class PresetOptions(Options):
    """Choose how the training options are found."""

    section: ClassVar[str] = "Recipe"

    preset: RecipeName = Field(
        "auto",
        title="Recipe",
        description=f"{', '.join(PURPOSES)}, or a recipe that you saved. Options that differ from their defaults are kept",
        json_schema_extra={"examples": list(PURPOSES), "values_display": dict(PURPOSES)},
    )


def with_recipe(recipe: TrainOptions, given: Mapping[str, Any], named: Collection[str] = ()) -> dict[str, Any]:
    """Replace training options among `given` at their defaults by those of a recipe.

    Options in `named` are kept in any case. Where others name a start, the recipe's own start is left out.
    """
    kept = _kept(given, named)
    start = set(StartOptions.model_fields)
    own_start = start | {"backbone"} if _has_own_start({**kept, "weights": None}) else start if kept.get("weights") else set()
    return {**given, **recipe.model_dump(mode="json"), **TrainOptions().model_dump(mode="json", include=own_start), **kept}


def _kept(given: Mapping[str, Any], named: Collection[str]) -> dict[str, Any]:
    """Select the training options that differ from their defaults, or that are named."""
    defaults = TrainOptions().model_dump(mode="json")
    return {name: value for name, value in given.items() if name in defaults and (name in named or value != defaults[name])}


def choose_recipe(
    given: Mapping[str, Any],
    *,
    has_gpu: bool,
    num_clips: int,
    frozen: bool = False,
    named: Collection[str] = (),
    varied: Collection[str] = (),
) -> tuple[TrainOptions, str]:
    """Choose the recipe of the preset `auto`.

    A GPU trains the whole network as the original experiment did. A frozen backbone, as on a CPU, gets a probe, which needs no epochs, or
    above `MOST_PROBED_CLIPS` clips the heads of `LIGHT`. docs/retrain-and-gate.md compares the two.

    Args:
        given: training options; those that differ from their defaults are kept.
        num_clips: number of training clips.
        frozen: whether a GPU is to train heads alone, too.
        named: names of options that are kept in any case.
        varied: names of options in which several networks differ that share this recipe.

    Returns:
        the options, and a line that says which were chosen and why.

    Raises:
        ValidationError: the kept options do not fit one another.
    """
    kept = _kept(given, named)
    if kept.get("fuse") and kept.get("join", "logits") == "logits":
        return TrainOptions.model_validate(kept), "auto: trained networks are fused, and nothing is trained"
    is_heard = kept.get("modality") == Modality.SOUND
    is_frozen = is_heard or kept.get("head") == Head.PROBE or kept.get("trainable", "all" if has_gpu and not frozen else "heads") == "heads"
    chosen = (LIGHT if is_frozen or not has_gpu else ORIGINAL).model_dump(mode="json", exclude_defaults=True)
    if has_gpu or _has_own_start(kept):
        chosen |= {"backbone": AUTO_BACKBONE, "weights": Weights.AUTO}
    is_tried = {*IDLE_IN_PROBE, "head", "family", "trainable"} & set(varied) or {*IDLE_IN_PROBE, "head"} & kept.keys()
    suits = is_frozen and not is_tried and kept.get("family") not in (Family.TRN, Family.MTRN)
    is_probed = suits and num_clips <= MOST_PROBED_CLIPS
    if is_frozen:
        chosen["trainable"] = "heads"
    if is_probed:
        chosen |= {"head": Head.PROBE, "feature_variants": PROBE_VIEWS}
    options = TrainOptions.model_validate({**chosen, **kept})
    many = f", more than {MOST_PROBED_CLIPS:,}" if suits and not is_probed else ""
    line = f"auto: {_in_words(options)}, for {'a' if has_gpu else 'no'} GPU and {count(num_clips, 'training clip')}{many}"
    return options, f"{line}; kept from the form: {', '.join(kept)}" if kept else line


def _has_own_start(kept: Mapping[str, Any]) -> bool:
    """Check whether options exclude the start of a recipe."""
    return bool(
        any(kept.get(name) for name in ("checkpoint", "backbone_weights", "fuse", "backbone", "weights"))
        or kept.get("family") == Family.VIDEO
        or kept.get("modality") in (Modality.FLOW, Modality.SOUND)
    )


def _in_words(options: TrainOptions) -> str:
    on = f" {options.backbone}" if options.backbone != AUTO_BACKBONE else ""
    if options.head is Head.PROBE:
        return f"a probe on{on or ' a frozen backbone'}"
    part = {"heads": "the heads alone on", "last-stage": "the last stage of", "all": "all of"}[options.trainable]
    return f"{part}{on or ' the network'} for {count(options.epochs, 'epoch')}"
