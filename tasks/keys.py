"""What choices are known by in the store: keys of equal choices are equal, also where they differ in what changes nothing."""

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib import metadata

from tasks.errors import BadConfiguration
from tasks.options import Family, FlowOptions, Modality, SegmentOptions, TrainOptions

OPENCV = "opencv-contrib-python-headless"
UNNAMED_OPENCV = "5.0.0.93"
"""Optical flow in a folder without a version is of this one."""

LATER = ("dropout", "train_frames", "mirror", "validation_crops")
"""Options of a training that older stores do not know: where they have their defaults, they have no part in a key."""


def _shows_one_view(chosen: TrainOptions) -> bool:
    """Whether every epoch shows a clip alike."""
    has_colors = chosen.modality is not Modality.FLOW
    return chosen.train_frames == "middle" and chosen.crop == "centre" and not (chosen.mirror or (has_colors and chosen.color_jitter))


IDLE: tuple[tuple[Callable[[TrainOptions], bool], tuple[str, ...]], ...] = (
    (lambda chosen: chosen.family is not Family.MTRN, ("relation_draws",)),
    (lambda chosen: chosen.modality is not Modality.FLOW, ("flow_method", "flow_bound_pixels")),
    (lambda chosen: chosen.modality is not Modality.RGB or chosen.train_frames == "middle", ("frame_step",)),
    (lambda chosen: chosen.modality is Modality.FLOW, ("color_jitter",)),
    (lambda chosen: chosen.optimizer != "sgd", ("momentum",)),
    (lambda chosen: chosen.schedule != "step", ("step_epochs",)),
    (lambda chosen: chosen.schedule != "plateau", ("plateau_validations",)),
    (lambda chosen: chosen.schedule not in ("step", "plateau"), ("decay_factor",)),
    (lambda chosen: chosen.trainable != "heads" or _shows_one_view(chosen), ("feature_variants",)),
    (lambda chosen: chosen.trainable == "heads", ("batch_norm",)),
)
"""Where an option changes nothing of a training."""


def without_idle(chosen: TrainOptions) -> TrainOptions:
    """The same training with the defaults of what changes nothing in it, so that it is known again whatever a form said there."""
    idle = {name: TrainOptions.model_fields[name].default for is_idle, names in IDLE if is_idle(chosen) for name in names}
    return chosen.model_copy(update=idle)


def training_key(chosen: TrainOptions) -> dict[str, object]:
    """The part that the options of a training have in a key."""
    defaults = {name: TrainOptions.model_fields[name].default for name in LATER}
    return {name: value for name, value in chosen.model_dump(mode="json").items() if name not in defaults or value != defaults[name]}


def content_key(values: Mapping[str, object]) -> str:
    """16 hex digits that stand for `values`, whatever their order: the name of what was made with them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def recipe_of(options: SegmentOptions) -> str:
    """Name a way of cutting, whichever ffmpeg cuts.

    Labels, batches and the addresses that DAGs fill in go by it: they are the same for every ffmpeg, and Airflow has none to ask. Clips cut
    before the name of their folder had ffmpeg's version in it lie under it, too.
    """
    return content_key(options.model_dump(mode="json"))


def clip_recipe_of(options: SegmentOptions, ffmpeg_version: str) -> str:
    """Name the folder of the clips that this ffmpeg cuts with `options`; others cut other bytes."""
    return content_key({"segment": options.model_dump(mode="json"), "ffmpeg": ffmpeg_version})


def flow_recipe_of(options: FlowOptions) -> str:
    """Name the folder of the optical flow that the installed OpenCV computes with `options`.

    Its versions compute slightly different flow. PyAV and Pillow have no part in the name: those measured gave it the same frames, and
    another name means computing all flow again, for hours.
    """
    chosen, version = options.model_dump(mode="json"), installed(OPENCV)
    return content_key(chosen if version == UNNAMED_OPENCV else {**chosen, "opencv": version})


@cache
def frames_made_by() -> str:
    """Name what decodes and scales frames here: PyAV with its FFmpeg libraries, and Pillow."""
    return f"av-{installed('av')}-pillow-{installed('pillow')}"


@cache
def installed(distribution: str) -> str:
    """Give the version of an installed package without the cost of importing it.

    Raises:
        BadConfiguration: it is not installed.
    """
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise BadConfiguration(f"{distribution} is not installed, and steps need it; install Retake with its extra `steps`") from None
