"""What a person can choose for each step. The command line and Airflow's trigger forms are both made from these models."""

from enum import StrEnum
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

AnyOptions = TypeVar("AnyOptions", bound=BaseModel)
MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
STORE_URI_PATTERN = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\.*[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?$"
"""A bucket, and folders of which none is `.`, `..` or empty."""
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
    """How a video is cut into clips. The clips lie under a hash of these choices and of the version of ffmpeg."""

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
    """Where a network starts from. AUTO takes the first of EPIC and ImageNet that is available, or the trained network that is named."""

    AUTO = "auto"
    EPIC = "epic"
    IMAGENET = "imagenet"
    NONE = "none"
    TRAINED = "trained"


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
    """How optical flow is computed. It lies under a hash of these choices and of the version of OpenCV."""

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
    """How a network is trained. The defaults have the original experiment's optimizer, rate, batch and length; `ORIGINAL` has all."""

    epochs: int = Field(60, ge=1, le=1000, title="Epochs at most")
    batch_size: int = Field(1, ge=1, le=256, title="Batch size, clips")
    accumulate_batches: int = Field(
        1,
        ge=1,
        le=256,
        title="Batches a step",
        description="The weights change once after so many batches, as after one batch of them all; an epoch's last step may have fewer",
    )
    trainable: Literal["all", "last-stage", "heads"] = Field(
        "all",
        title="Trained part",
        description="all: the whole network; last-stage: the backbone's last stage (layer4 of a ResNet) and the heads; heads: the heads on a frozen backbone. What is frozen rests wholly, batch-norm too",
    )
    learning_rate: float = Field(1e-5, gt=0, le=1, title="Learning rate")
    layer_decay: float = Field(
        1,
        gt=0,
        le=1,
        title="Layer-wise decay",
        description="Each stage further from the heads learns at this share of the rate of the next; 1: all alike. Not where the heads alone train",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", title="Optimizer", description="adam, adamw or sgd")
    momentum: float = Field(0.9, ge=0, lt=1, title="Momentum", description="Of sgd alone")
    weight_decay: float = Field(
        0,
        ge=0,
        le=1,
        title="Weight decay",
        description="Of weights, not of biases and norms. adamw takes it off the weights, adam and sgd add it to the gradient",
    )
    schedule: Literal["constant", "step", "cosine", "plateau"] = Field(
        "constant",
        title="Schedule of the learning rate",
        description="step: times the decay factor every so many epochs; cosine: down to nothing at the end; plateau: times the factor when val's loss no longer falls",
    )
    warmup_epochs: int = Field(
        0,
        ge=0,
        le=999,
        title="Warm-up, epochs",
        description="The rate rises evenly from a hundredth of itself, epoch by epoch, and the schedule begins after that; not with plateau",
    )
    step_epochs: int = Field(20, ge=1, le=1000, title="Epochs a step", description="Of schedule step")
    plateau_validations: int = Field(
        5, ge=1, le=1000, title="Validations a plateau", description="Of schedule plateau: so many in a row without a lower loss"
    )
    decay_factor: float = Field(0.1, gt=0, lt=1, title="Decay factor", description="Of schedules step and plateau")
    label_smoothing: float = Field(
        0, ge=0, lt=1, title="Label smoothing", description="Share of a label that all classes get alike, in the training loss alone"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        title="Class weights",
        description="balanced: in the training loss a clip counts in inverse proportion to the number of train's clips of its verb, and of its noun; 1 on the mean. Not with a balanced sampler",
    )
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled",
        title="Sampler",
        description="balanced: an epoch has as many clips as ever and shows each action equally often, rare clips several times in several views",
    )
    train_frames: Literal["random", "middle"] = Field(
        "random",
        title="Training frames",
        description="random: each epoch draws a snippet from each segment; middle: the same snippets in every epoch, those of a test",
    )
    crop: Literal["resized", "multi-scale", "centre"] = Field(
        "resized",
        title="Training crop",
        description="resized: of random place, size and shape; multi-scale: TSN's 13 places and sizes of 1, 0.875, 0.75 of the short side, for rgb 0.66, too; centre: the centre alone",
    )
    mirror: bool = Field(
        True,
        title="Mirror training clips",
        description="Half of them, at random. Turn it off where actions mirror each other, as putting to the right and taking from the left may. "
        "Five of the ten crops of a test are mirror images all the same",
    )
    color_jitter: float = Field(
        0,
        ge=0,
        le=1,
        title="Colour jitter",
        description="Largest change of brightness, contrast and saturation, as a share; flow has no colours and stays as it is",
    )
    mixup: float = Field(
        0,
        ge=0,
        le=10,
        title="Mixup",
        description="alpha of the Beta distribution that two clips of a batch and their labels are mixed by; 0: never. Needs batches of 2 or more. Where the heads alone train, the backbone's features are mixed",
    )
    dropout: float = Field(
        0,
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of each snippet's features that is left out before the heads, or the relations, see them; 0: none",
    )
    ema_decay: float = Field(
        0,
        ge=0,
        lt=1,
        title="Moving average of weights",
        description="Decay a step, say 0.999, and less in the first steps; the averaged weights, batch-norm's statistics with them, are validated and kept. 0: none",
    )
    clip_norm: float = Field(
        0, ge=0, le=1000, title="Gradient clipping", description="Largest norm of all gradients of a step together; 0: none"
    )
    batch_norm: Literal["partial", "first-only", "frozen", "train"] = Field(
        "partial",
        title="Batch-norm statistics",
        description="partial: only the first layer's are updated; first-only: so, and the scales and shifts of the other layers rest, too, as in TSN's code; frozen: none; train: all",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", title="Precision", description="32-true, bf16-mixed or 16-mixed, which needs a GPU"
    )
    validate_every: int = Field(1, ge=1, le=100, title="Validate every n epochs")
    validation_crops: Literal[1, 10] = Field(
        1,
        title="Crops of a validation",
        description="What chooses the epoch that is kept: the centre, or the ten crops of a test, which take ten times as long",
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title="Early stopping, validations",
        description="Stop after so many validations without a lower loss; 0 never stops early",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> "RecipeOptions":
        if self.validate_every > self.epochs:
            raise ValueError(f"validate_every {self.validate_every} is more than {self.epochs} epochs: no checkpoint would be kept")
        if self.schedule == "plateau" and self.warmup_epochs:
            raise ValueError("schedule plateau has no warm-up; set warmup_epochs to 0, or choose another schedule")
        if self.schedule == "plateau" and 0 < self.patience <= self.plateau_validations:
            raise ValueError(
                f"patience {self.patience} would end the training before {self.plateau_validations} validations lower the rate; "
                "set it higher than plateau_validations, or to 0"
            )
        if self.schedule == "step" and self.epochs - self.warmup_epochs <= self.step_epochs:
            raise ValueError(f"schedule step would end before its first step after {self.step_epochs} epochs; lower step_epochs")
        if self.schedule == "plateau" and self.epochs // self.validate_every <= self.plateau_validations:
            raise ValueError(
                f"schedule plateau would end with its {self.epochs // self.validate_every} validations before it could lower the rate; "
                "lower plateau_validations"
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"a warm-up of {self.warmup_epochs} epochs leaves none of {self.epochs} at the full rate; lower warmup_epochs")
        if self.mixup and self.batch_size < 2:
            raise ValueError("mixup mixes the clips of a batch and batch_size is 1; raise batch_size, or set mixup to 0")
        if self.layer_decay < 1 and self.trainable == "heads":
            raise ValueError(
                "layer_decay has nothing to slow down where the heads alone train; set it to 1, or trainable to all or last-stage"
            )
        if self.class_weights == "balanced" and self.sampler == "balanced":
            raise ValueError("class_weights and sampler would both make up for rare classes; balance one of them")
        return self


class TrainOptions(RecipeOptions, FlowOptions, NetworkOptions):
    """The network, where it starts from, and how it is fine-tuned."""

    weights: Weights = Field(
        Weights.AUTO,
        title="Start from",
        description="EPIC-KITCHENS-55 checkpoint, ImageNet backbone under new heads, nothing, or the trained network under Checkpoint; "
        "auto takes the first that is available",
    )
    checkpoint: str | None = Field(
        None,
        title="Checkpoint",
        description="Of the EPIC weights: a published file's name, a file, an s3:// or http(s) address. A name, and empty for the network's own, is looked up under pretrained/ of the store, then at its public address. "
        "Or a trained network: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this store; classes that it does not know get new, seeded outputs",
    )
    fuse: list[str] = Field(
        [],
        title="Fuse",
        description="Trained networks to be fused in place of a training, one a line: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this "
        "store. Their logits are averaged by weights chosen on val; all else under Train is left out",
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
    batch_norm="first-only",
    dropout=0.7,
    train_frames="middle",
    crop="centre",
    mirror=False,
    validate_every=2,
    validation_crops=10,
)
"""The original experiment: Adam 1e-5, batch 1, the whole network, 60 epochs of the same frames, every second one validated with ten crops.

docs/models.md has what still differs.
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
"""New heads on a light backbone, which sees each clip once an epoch and whose features are kept: minutes on a CPU, and no weights to download."""

PRESETS: dict[str, TrainOptions] = {"original": ORIGINAL, "light": LIGHT}


class RetrainOptions(Options):
    """What is trained on, and whether it is trained again."""

    preset: Literal["none", "original", "light"] = Field(
        "none",
        title="Preset",
        description="original: the original experiment (Adam 1e-5, batch 1, whole network but its later batch-norms, dropout 0.7, 60 epochs of the same frames); light: the heads of tf_efficientnet_lite0 alone, minutes on a CPU. In place of all that is under Train",
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
        2000, ge=100, le=100_000, title="Bootstrap resamples", description="Of source videos, for the 95 % intervals of differences"
    )
    engine: Literal["auto", "pytorch", "openvino", "openvino-int8", "cuda"] = Field(
        "auto",
        title="Scoring engine",
        description="auto: CUDA on a GPU, OpenVINO on a CPU, PyTorch there for fewer than 10 clips; openvino-int8 is calibrated on training clips. Each first scores 3 of the clips, int8 30, beside PyTorch in float32; where a logit differs by more than a tolerance, or a best class but for near ties, OpenVINO goes on in float32, or PyTorch takes over",
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
        description="interval: the 95 % interval of the difference of action top-1 must lie above zero; margin: that, and the difference must exceed the least gain",
    )
    min_gain_points: float = Field(
        1.0, ge=0, le=100, title="Least gain, percentage points", description="Of action top-1, where the gain rule is margin"
    )
    beat_guessing: bool = Field(
        True,
        title="Must beat guessing",
        description="Top-1 of actions (of verbs where no label has an object) must be higher than by always guessing the commonest",
    )
    max_class_loss_points: float = Field(
        20.0,
        ge=0,
        le=100,
        title="Largest loss of a class, percentage points",
        description="Of recall, for a verb or noun with enough clips; a larger one counts where chance explains it in fewer than one of twenty such comparisons of all these classes",
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


MODEL_REFERENCE = r"models:/[A-Za-z0-9][A-Za-z0-9._-]{0,62}(@[A-Za-z0-9_-]{1,62}|/[1-9][0-9]{0,8})"


class PredictOptions(Options):
    """What is predicted, and by which networks."""

    videos: list[str] = Field(
        [],
        title="Videos",
        description="Folders, files, or http(s) addresses; empty takes every ingested video of the store that was not trained on",
    )
    model: str = Field(
        "models:/retake-tsn@champion",
        pattern=f"^{MODEL_REFERENCE}$",
        title="Model",
        description="models:/NAME@ALIAS or models:/NAME/VERSION, of MLflow's registry",
    )
    against: str = Field(
        "baseline",
        pattern=f"^(baseline|none|{MODEL_REFERENCE})$",
        title="Compared with",
        description="baseline: the network that the model's training started from; none; or another registered model",
    )
    allow_trained: bool = Field(
        False, title="Videos that were trained on", description="Predict them too; on these a network looks better than it is"
    )
    num_to_label: int = Field(
        50, ge=0, le=1000, title="Clips to label", description="So many clips are listed, best first, whose labels would teach most"
    )
    preview: bool = Field(False, title="Preview videos", description="Draw the predictions into a copy of each video; takes time")


class ComparisonOptions(Options):
    """Which networks are compared, and on what."""

    configurations: list[str] = Field(
        ["family=TSN", "family=TRN", "family=MTRN", "family=TSM"],
        min_length=2,
        max_length=100,
        title="Configurations",
        description="One a line, as in `family=TRN backbone=resnet50 learning_rate=0.001`: what differs from the options under Train, which all "
        "share. The others are compared to the first",
    )
    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty takes the latest dataset of the store"
    )
