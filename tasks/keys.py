"""Derive store keys from options, as far as they have an effect, and from files.

`pipeline/_plans.py` puts the key of a training together.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib import metadata
from pathlib import Path

from tasks.errors import BadConfiguration
from tasks.options import ExportOptions, Family, FlowOptions, Head, Modality, Options, RecipeOptions, SegmentOptions, TrainOptions
from tasks.options.training import IDLE_IN_PROBE

OPENCV = "opencv-contrib-python-headless"
UNNAMED_OPENCV = "5.0.0.93"
"""Version of the optical flow in folders without a version in their key."""

ALWAYS = frozenset((
    "family", "modality", "backbone", "num_segments", "relation_draws", "flow_method", "flow_bound_pixels", "epochs", "batch_size",
    "accumulate_batches", "trainable", "learning_rate", "layer_decay", "optimizer", "momentum", "weight_decay", "schedule", "warmup_epochs",
    "step_epochs", "plateau_validations", "decay_factor", "label_smoothing", "class_weights", "sampler", "crop", "color_jitter", "mixup",
    "ema_decay", "clip_norm", "batch_norm", "precision", "validate_every", "patience", "weights", "checkpoint", "fuse", "feature_variants",
    "frame_step", "seed",
    "clip_seconds", "fps", "short_side", "min_clip_seconds", "crf", "gop_frames",
    "promotion", "approval_hours", "min_gate_clips", "min_gate_sources", "gain_rule", "min_gain_points", "beat_guessing",
    "max_class_loss_points", "min_class_clips",
    "crops", "bootstrap_resamples", "engine", "format", "max_drop_points",
))  # fmt: skip
"""Options in every key, even retired ones: the first of training, cutting, the gate, tests and packages. Later ones are left out at their
defaults, so that earlier keys stay."""
ALWAYS_IN_FORMS = ALWAYS | frozenset((
    "interpolation", "sampling_window", "segment_length",
    "head", "label_noise", "train_frames", "mirror", "dropout", "validation_crops", "backbone_weights", "join", "views_seed", "yearly_error",
    "sources", "own_channels", "max_video_mib", "max_video_minutes", "cut", "val_share", "test_share", "split_seed", "min_overlap",
    "nothing_share", "preset", "dataset", "num_seeds", "model_name", "force_token", "decide_token", "configurations", "split", "first", "second",
    "search", "ranges", "num_trials", "rounds", "objectives", "folds", "then_retrain",
    "halving", "budget_hours", "search_sampler", "search_seed",
    "videos", "model", "against", "allow_trained", "num_to_label", "stride_seconds", "interval_precision", "pairs", "preview",
    "dry_run", "keep_days", "keep_runs", "video", "source", "reason", "confirm", "plan", "then",
))  # fmt: skip
"""Options in the key of every form that has them, even retired ones."""


def shows_one_view(chosen: TrainOptions) -> bool:
    """Check whether every epoch shows the same view of a clip."""
    if chosen.modality.is_heard:
        return chosen.train_frames == "middle"
    return chosen.train_frames == "middle" and chosen.crop == "centre" and not chosen.mirror


IDLE: tuple[tuple[Callable[[TrainOptions], bool], tuple[str, ...]], ...] = (
    (lambda chosen: chosen.head is Head.PROBE, IDLE_IN_PROBE),
    (lambda chosen: chosen.family is Family.VIDEO, ("num_segments", "frame_step", "validation_crops")),
    (lambda chosen: chosen.modality is not Modality.FLOW, ("flow_method",)),
    (lambda chosen: chosen.modality is not Modality.RGB or chosen.train_frames == "middle", ("frame_step",)),
    (lambda chosen: chosen.modality.is_heard, ("crop", "mirror", "validation_crops")),
    (lambda chosen: chosen.trainable != "heads" or shows_one_view(chosen), ("feature_variants",)),
    (lambda chosen: chosen.trainable == "heads", ("batch_norm",)),
    (lambda chosen: chosen.views_seed == chosen.seed or shows_one_view(chosen), ("views_seed",)),
)
"""Conditions under which options have no effect on a training."""


def without_idle(chosen: TrainOptions) -> TrainOptions:
    """Reset options without effect to their defaults, so that equal trainings have equal keys."""
    idle = {name: TrainOptions.model_fields[name].default for is_idle, names in IDLE if is_idle(chosen) for name in names}
    return chosen.model_copy(update=idle)


JOINED = {"join", "head", "feature_variants", "frame_step", "seed", "views_seed", *RecipeOptions.model_fields}
"""Options with an effect on a head that trains on the features of several networks, besides the networks themselves."""


def fused(chosen: TrainOptions, members: Sequence[str]) -> TrainOptions:
    """Return the options with an effect on a fusion of `members`."""
    # Where logits are averaged, `fuse` alone has an effect.
    joined = chosen.model_dump(include=JOINED) if chosen.join == "features" else {}
    return without_idle(TrainOptions(fuse=list(members), **joined))


def without_later(values: Mapping[str, object], *models: type[Options], always: Collection[str] = ALWAYS_IN_FORMS) -> dict[str, object]:
    """Leave later options than those in `always` out of `values` at their defaults."""
    defaults: dict[str, object] = {name: field.default for model in models for name, field in model.model_fields.items()}
    defaults |= {name: value for model in models for name, value in model.all_retired().items()}
    return {name: value for name, value in values.items() if name in always or name not in defaults or value != defaults[name]}


def options_key(chosen: Options) -> dict[str, object]:
    """Return options as they enter the key of a result."""
    values = without_later(chosen.keyed(), type(chosen), always=ALWAYS)
    # A key without this name is of labels that are smoothed over all outputs of a head.
    return values | ({"smoothed_over": "classes of train"} if values.get("label_smoothing") else {})


def content_key(values: Mapping[str, object]) -> str:
    """Hash `values`, independently of their order, to a key of 16 hex digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def file_sha256(path: Path) -> str:
    """Hash the content of a file with SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def form_key(values: Mapping[str, object], *models: type[Options]) -> str:
    """Compute the key of a form from the values of its options, which `models` declare."""
    return content_key(without_later(values, *models))


def search_key(values: Mapping[str, object]) -> str:
    """Compute the key of a search, or of its form, from its options."""
    # A key without this name is of trials that are scored at the epoch that answers the scored clips best.
    return content_key({**values, "scored_epoch": "last"})


def configuration_key(chosen: TrainOptions) -> str:
    """Compute the key of one configuration of a comparison of networks."""
    return content_key(options_key(without_idle(chosen)))


def export_key(chosen: ExportOptions, student: str | None = None) -> str:
    """Compute the key of a package of a training, or of its `student`."""
    # The margin counts for int8 alone.
    idle = () if chosen.precision == "int8" else ("max_drop_points",)
    options = {name: value for name, value in options_key(chosen).items() if name not in idle}
    return content_key(options | ({"student": student} if student else {}))


def recipe_of(options: SegmentOptions) -> str:
    """Compute the key of cutting options, independently of the ffmpeg version.

    Used for labels, batches and addresses in DAGs, because Airflow has no ffmpeg whose version it could read. Older clips, cut before their
    folder's name included ffmpeg's version, are stored under this key too.
    """
    return content_key(options_key(options))


def clip_recipe_of(options: SegmentOptions, ffmpeg_version: str) -> str:
    """Compute the key of clips cut with `options` by this ffmpeg: others write other bytes."""
    return content_key({"segment": options_key(options), "ffmpeg": ffmpeg_version})


def flow_recipe_of(options: FlowOptions) -> str:
    """Compute the key of optical flow computed with `options` by the installed OpenCV.

    OpenCV's versions compute slightly different flow. PyAV and Pillow are not part of the key: the versions measured decode the same frames,
    and a new key would mean recomputing all flow for hours.
    """
    chosen, version = options_key(options), installed(OPENCV)
    return content_key(chosen if version == UNNAMED_OPENCV else {**chosen, "opencv": version})


@cache
def frames_made_by() -> str:
    """Return the versions of PyAV (with its FFmpeg) and Pillow, which decode and scale frames."""
    return f"av-{installed('av')}-pillow-{installed('pillow')}"


@cache
def installed(distribution: str) -> str:
    """Return the version of an installed package without importing it.

    Raises:
        BadConfiguration: it is not installed.
    """
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        raise BadConfiguration(f"{distribution} is not installed, and steps need it; install Retake with its extra `steps`") from None
