"""What a person can choose for each step. The command line and Airflow's trigger forms are both made from these models."""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

AnyOptions = TypeVar("AnyOptions", bound=BaseModel)
MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
STORE_URI_PATTERN = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._=/-]*)?$"
StoreUri = Annotated[str, Field(pattern=STORE_URI_PATTERN)]


class Options(BaseModel):
    """A closed, immutable set of choices."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def picked(self, model: type[AnyOptions]) -> AnyOptions:
        """The part of these choices that `model` knows."""
        return model.model_validate({name: getattr(self, name) for name in model.model_fields})


class IngestOptions(Options):
    """Which files are taken in."""

    sources: list[str] = Field(
        [], title="Sources", description="Folders, files, or http(s) addresses; empty takes what lies under inbox/ of the store"
    )
    max_video_mib: int = Field(4096, ge=1, le=1_048_576, title="Largest video, MiB", description="A larger file or download is set aside")
    max_video_minutes: int = Field(240, ge=1, le=10_080, title="Longest video, minutes", description="A longer video is set aside")


class SegmentOptions(Options):
    """How a video is cut into clips. The clips lie under a hash of these choices."""

    clip_seconds: float = Field(8, ge=1, le=60, title="Clip length, seconds")
    fps: int = Field(30, ge=5, le=60, title="Frames per second", description="Constant rate of every clip")
    short_side: int = Field(
        256, ge=128, le=1080, title="Short side, pixels", description="Larger videos are scaled down to it; smaller ones keep their size"
    )
    min_clip_seconds: float = Field(
        2, ge=0.3, le=60, title="Shortest rest, seconds", description="A shorter rest at a video's end is dropped and recorded"
    )
    crf: int = Field(20, ge=0, le=40, title="x264 quality (CRF)", description="Lower is better and larger")
    gop_frames: int = Field(15, ge=1, le=300, title="Group of pictures, frames", description="Short groups make sampling seeks cheap")


class LabelOptions(Options):
    """How labels find their clips."""

    min_overlap: float = Field(
        0.25, ge=0, le=1, title="Least overlap", description="Share of a clip that an interval must cover to label it"
    )


class SplitOptions(Options):
    """How source videos are dealt to train, val and test. A video that has a split keeps it for ever."""

    val_share: float = Field(
        23 / 102, gt=0, lt=1, title="Share for validation", description="Of labelled clips; the original experiment's is 23 of 102"
    )
    test_share: float = Field(0, ge=0, lt=1, title="Share for test", description="0 makes no test set")
    split_seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed of the split")

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> "SplitOptions":
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share leave nothing to train on")
        return self


class Weights(StrEnum):
    """Where a network starts from. AUTO takes the first of EPIC and ImageNet that can be had."""

    AUTO = "auto"
    EPIC = "epic"
    IMAGENET = "imagenet"
    NONE = "none"


class Family(StrEnum):
    """Networks that EPIC-KITCHENS-55 published: TSN averages over segments, TRN relates them, MTRN does so at several scales, TSM shifts."""

    TSN = "TSN"
    TRN = "TRN"
    MTRN = "MTRN"
    TSM = "TSM"


class Modality(StrEnum):
    """What a network looks at."""

    RGB = "rgb"
    FLOW = "flow"
    RGB_DIFFERENCE = "rgb-difference"


class FlowOptions(Options):
    """How optical flow is computed. It lies under a hash of these choices."""

    flow_method: Literal["tvl1", "dis"] = Field(
        "tvl1", title="Optical flow", description="For modality flow. tvl1: as EPIC-KITCHENS-55 and TSN made it; dis: many times as fast"
    )
    flow_bound_pixels: float = Field(
        20, gt=0, le=127, title="Largest flow, pixels", description="A frame's motion is clipped to plus and minus it and stored as 8 bit"
    )


class NetworkOptions(Options):
    """The network that is trained."""

    family: Family = Field(
        Family.TSN,
        title="Network",
        description="TSN averages over segments and cannot tell a film from its reverse; TRN, MTRN (multi-scale) and TSM can",
    )
    modality: Modality = Field(
        Modality.RGB,
        title="Input",
        description="rgb: one frame a segment; flow: five x/y pairs of optical flow, computed first; rgb-difference: five differences of frames",
    )
    backbone: str = Field(
        "auto",
        pattern=MODEL_NAME_PATTERN,
        title="Backbone",
        description="auto takes resnet50, or tf_efficientnet_lite0 where no weights can be downloaded; or bninception, or any timm or torchvision model by name",
    )
    num_segments: int = Field(8, ge=1, le=32, title="Segments", description="Snippets a clip")
    relation_draws: int = Field(
        0,
        ge=0,
        le=10_000,
        title="Draws of relations, MTRN",
        description="In a test MTRN answers with the mean of so many random draws under the training's seed; 0: with the mean of all possible draws",
    )


class RecipeOptions(Options):
    """How a network is trained. The defaults are the original experiment's, with partial batch-norm."""

    epochs: int = Field(60, ge=1, le=1000, title="Epochs at most")
    batch_size: int = Field(1, ge=1, le=256, title="Batch size, clips")
    accumulate_batches: int = Field(
        1, ge=1, le=256, title="Batches a step", description="Gradients of so many batches are added up before the weights change"
    )
    trainable: Literal["all", "last-stage", "heads"] = Field(
        "all",
        title="Trained part",
        description="all: the whole network; last-stage: the backbone's last stage and the heads; heads: the heads on a frozen backbone",
    )
    learning_rate: float = Field(1e-5, gt=0, le=1, title="Learning rate")
    layer_decay: float = Field(
        1,
        gt=0,
        le=1,
        title="Layer-wise decay",
        description="Each stage further from the heads learns at this share of the rate of the next; 1: all alike",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", title="Optimizer")
    momentum: float = Field(0.9, ge=0, lt=1, title="Momentum", description="Of sgd")
    weight_decay: float = Field(0, ge=0, le=1, title="Weight decay", description="Of weights, not of biases and norms")
    schedule: Literal["constant", "step", "cosine", "plateau"] = Field(
        "constant",
        title="Schedule of the learning rate",
        description="step: times the decay factor every so many epochs; cosine: down to nothing; plateau: times the factor when val no longer gains",
    )
    warmup_epochs: int = Field(
        0, ge=0, le=1000, title="Warm-up, epochs", description="The rate rises from a hundredth of itself; not with plateau"
    )
    step_epochs: int = Field(20, ge=1, le=1000, title="Epochs a step", description="Of schedule step; of plateau: validations without gain")
    decay_factor: float = Field(0.1, gt=0, lt=1, title="Decay factor", description="Of schedules step and plateau")
    label_smoothing: float = Field(0, ge=0, lt=1, title="Label smoothing")
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        title="Class weights",
        description="balanced: the loss of a clip counts in inverse proportion to its class's number of clips",
    )
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled", title="Sampler", description="balanced: actions are drawn equally often, rare clips several times an epoch"
    )
    crop: Literal["resized", "multi-scale"] = Field(
        "resized",
        title="Training crop",
        description="resized: of random size and shape; multi-scale: TSN's corners and centres at four scales",
    )
    color_jitter: float = Field(
        0, ge=0, le=1, title="Colour jitter", description="Largest change of brightness, contrast and saturation; flow has no colours"
    )
    mixup: float = Field(
        0, ge=0, le=10, title="Mixup", description="alpha of the Beta distribution that clips of a batch are mixed by; 0: never"
    )
    ema_decay: float = Field(
        0, ge=0, lt=1, title="Moving average of weights", description="Decay a step, say 0.999; its weights are validated and kept. 0: none"
    )
    clip_norm: float = Field(0, ge=0, le=1000, title="Gradient clipping", description="Largest norm of all gradients together; 0: none")
    batch_norm: Literal["partial", "frozen", "train"] = Field(
        "partial", title="Batch-norm statistics", description="partial: only the first layer's are updated; frozen: none; train: all"
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field("32-true", title="Precision", description="16-mixed needs a GPU")
    validate_every: int = Field(1, ge=1, le=100, title="Validate every n epochs")
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title="Early stopping, validations",
        description="Stop after so many validations without a lower loss; 0 never stops early",
    )


class TrainOptions(RecipeOptions, FlowOptions, NetworkOptions):
    """The network, where it starts from, and how it is fine-tuned."""

    weights: Weights = Field(
        Weights.AUTO,
        title="Start from",
        description="EPIC-KITCHENS-55 checkpoint, ImageNet backbone under new heads, or nothing; auto takes the first that can be had",
    )
    checkpoint: str | None = Field(
        None,
        title="Checkpoint",
        description="File, s3:// or http(s) address of the EPIC checkpoint; empty looks under pretrained/ of the store, then at its public address",
    )
    feature_variants: int = Field(
        10,
        ge=1,
        le=1000,
        title="Views a clip, heads only",
        description="Where the heads alone are trained, the frozen backbone sees each training clip in so many random views, once a dataset; epochs take turns with them",
    )
    frame_step: int = Field(
        1,
        ge=1,
        le=30,
        title="Cache every n-th frame",
        description="For modality rgb: 1 draws training frames from all; larger needs less disk",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed of the training")


ORIGINAL = TrainOptions(
    backbone="resnet50",
    weights=Weights.EPIC,
    epochs=60,
    learning_rate=1e-5,
    batch_size=1,
    trainable="all",
    batch_norm="train",
    validate_every=2,
)
"""The original experiment: Adam 1e-5, batch 1, the whole network, 60 epochs, validated every second one."""

PRESETS: dict[str, TrainOptions] = {"original": ORIGINAL}


class RetrainOptions(Options):
    """What is trained on, and whether it is trained again."""

    preset: Literal["none", "original"] = Field(
        "none",
        title="Preset",
        description="original: the original experiment (Adam 1e-5, batch 1, whole network, 60 epochs) in place of all that is under Train",
    )
    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty takes the latest dataset of the store"
    )
    force: bool = Field(False, title="Train again", description="Train even where this dataset and these options were trained before")
    decide_again: bool = Field(
        False, title="Decide again", description="Compare and decide once more on what these options trained, say after a rejection"
    )


class EvaluateOptions(Options):
    """How a network is tested."""

    crops: Literal[1, 10] = Field(10, title="Crops", description="10 at TSN's offsets, or the centre alone for a quick check")
    bootstrap_resamples: int = Field(
        2000, ge=100, le=100_000, title="Bootstrap resamples", description="Of source videos, for 95 % intervals"
    )
    engine: Literal["auto", "pytorch", "openvino", "openvino-int8", "cuda"] = Field(
        "auto",
        title="Scoring engine",
        description="auto: CUDA on a GPU, OpenVINO on a CPU, PyTorch there for fewer than 10 clips; openvino-int8 is calibrated on training clips. Each first scores 3 clips of the split beside PyTorch in float32, which takes over where a logit differs by more than a tolerance, or a best class but for near ties",
    )


class GateOptions(Options):
    """When the fine-tuned network may take the champion's place. The champion is scored again on the same clips; a tie keeps it."""

    promotion: Literal["auto", "approve", "never"] = Field(
        "auto",
        title="Promotion",
        description="auto: at once when every rule passes; approve: a person is asked then, in Airflow; never: register only",
    )
    approval_hours: int = Field(
        72,
        ge=1,
        le=8760,
        title="Time to approve, hours",
        description="Without an answer by then the champion stays; until then no other retrain starts",
    )
    min_gate_clips: int = Field(
        10, ge=1, le=1_000_000, title="Least clips", description="Of the split that decides: test, or val without it"
    )
    min_gate_sources: int = Field(3, ge=1, le=1_000_000, title="Least source videos", description="That those clips come from")
    gain_rule: Literal["interval", "margin"] = Field(
        "interval",
        title="Gain must",
        description="interval: the 95 % interval of the difference of action top-1 must lie above zero; margin: the difference must exceed the least gain",
    )
    min_gain_points: float = Field(
        1.0, ge=0, le=100, title="Least gain, percentage points", description="Of action top-1, where the gain rule is margin"
    )
    beat_guessing: bool = Field(
        True, title="Must beat guessing", description="Action top-1 must be higher than that of always guessing the commonest action"
    )
    max_class_loss_points: float = Field(
        20.0,
        ge=0,
        le=100,
        title="Largest loss of a class, percentage points",
        description="Of recall, for a verb or noun with enough clips",
    )
    min_class_clips: int = Field(
        10, ge=1, le=1_000_000, title="Enough clips of a class", description="Classes with fewer are shown, and decide nothing"
    )


class RegisterOptions(Options):
    """Where the fine-tuned network is registered."""

    model_name: str = Field(
        "retake-tsn",
        pattern=MODEL_NAME_PATTERN,
        title="Registered model",
        description="Name in MLflow's registry; the networks that are registered under one name compete to be its champion",
    )


def content_key(values: Mapping[str, object]) -> str:
    """16 hex digits that stand for `values`, whatever their order: the name of what was made with them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()[:16]


def recipe_of(options: SegmentOptions) -> str:
    """The folder name of clips cut with `options`."""
    return content_key(options.model_dump(mode="json"))


def flow_recipe_of(options: FlowOptions) -> str:
    """The folder name of optical flow computed with `options`."""
    return content_key(options.model_dump(mode="json"))
