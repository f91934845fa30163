"""Declare the options of each step: the command line and Airflow's trigger forms are made from these models."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

AnyOptions = TypeVar("AnyOptions", bound=BaseModel)
MODEL_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"
STORE_URI_PATTERN = r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/\.*[A-Za-z0-9_=-][A-Za-z0-9._=-]*)*/?$"
"""A bucket, and folders of which none is `.`, `..` or empty."""
StoreUri = Annotated[str, Field(pattern=STORE_URI_PATTERN)]


class Options(BaseModel):
    """A closed, immutable set of options.

    `section` is the heading of the fields that the class itself declares in a trigger form.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    section: ClassVar[str]

    def picked(self, model: type[AnyOptions]) -> AnyOptions:
        """Select the options that `model` declares."""
        return model.model_validate({name: getattr(self, name) for name in model.model_fields})


class IngestOptions(Options):
    """Select the files to ingest."""

    section: ClassVar[str] = "Ingest"

    sources: list[str] = Field(
        [], title="Sources", description="Folders, files or http(s) addresses; empty: everything under inbox/ of the store"
    )
    max_video_mib: int = Field(4096, ge=1, le=1_048_576, title="Maximum video size, MiB", description="Larger files are set aside")
    max_video_minutes: int = Field(240, ge=1, le=10_080, title="Maximum video length, minutes", description="Longer videos are set aside")


class SegmentOptions(Options):
    """Set how videos are cut into clips. A hash of these options and of ffmpeg's version names the folder of the clips."""

    section: ClassVar[str] = "Clips"

    clip_seconds: float = Field(8, ge=1, le=60, title="Clip length, seconds")
    fps: int = Field(30, ge=5, le=60, title="Frames per second", description="Constant frame rate of every clip")
    short_side: int = Field(
        256, ge=128, le=1080, title="Short side, pixels", description="Larger videos are scaled down to it; smaller ones keep their size"
    )
    min_clip_seconds: float = Field(
        2, ge=0.3, le=60, title="Minimum last clip, seconds", description="A shorter rest at the end of a video is dropped and recorded"
    )
    crf: int = Field(20, ge=0, le=40, title="x264 quality (CRF)", description="Lower: better quality and larger files")
    gop_frames: int = Field(15, ge=1, le=300, title="Group of pictures, frames", description="Short groups make sampling seeks cheap")


class LabelOptions(Options):
    """Set how labels are matched to clips."""

    section: ClassVar[str] = "Labels"

    min_overlap: float = Field(
        0.25, ge=0, le=1, title="Minimum overlap", description="Share of a clip that a labelled interval must cover to label it"
    )


class SplitOptions(Options):
    """Set how source videos are assigned to train, val and test. A video never changes its split."""

    section: ClassVar[str] = "Split"

    val_share: float = Field(
        23 / 102, gt=0, lt=1, title="Validation share", description="Share of the labelled clips; the original experiment has 23 of 102"
    )
    test_share: float = Field(0, ge=0, lt=1, title="Test share", description="Share of the labelled clips; 0: no test set")
    split_seed: int = Field(0, ge=0, le=2**31 - 1, title="Split seed")

    @model_validator(mode="after")
    def _leave_something_to_train(self) -> "SplitOptions":
        if self.val_share + self.test_share >= 1:
            raise ValueError("val_share and test_share leave nothing to train on")
        return self


class Weights(StrEnum):
    """Where a network's weights come from.

    AUTO takes the network that `checkpoint` names, else EPIC's weights if they are available, else ImageNet's.
    """

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
    """The input of a network."""

    RGB = "rgb"
    FLOW = "flow"
    RGB_DIFFERENCE = "rgb-difference"


class FlowOptions(Options):
    """Set how optical flow is computed. A hash of these options and of OpenCV's version names its folder."""

    section: ClassVar[str] = "Optical flow"

    flow_method: Literal["tvl1", "dis"] = Field(
        "tvl1", title="Optical flow method", description="For modality flow. tvl1: as in EPIC-KITCHENS-55 and TSN; dis: many times faster"
    )
    flow_bound_pixels: float = Field(
        20, gt=0, le=127, title="Maximum flow, pixels", description="Motion is clipped to this in both directions and stored as 8 bit"
    )


class NetworkOptions(Options):
    """Choose the network to train."""

    section: ClassVar[str] = "Network"

    family: Family = Field(
        Family.TSN,
        title="Network",
        description="TSN averages over segments and ignores their order; TRN, MTRN (multi-scale) and TSM use it",
    )
    modality: Modality = Field(
        Modality.RGB,
        title="Input",
        description="rgb: one frame per segment; flow: five x/y fields of optical flow, computed first; rgb-difference: five frame differences",
    )
    backbone: str = Field(
        "auto",
        pattern=MODEL_NAME_PATTERN,
        title="Backbone",
        description="auto: resnet50, or tf_efficientnet_lite0 if no weights can be downloaded; else bninception, or the name of a timm or torchvision model",
    )
    num_segments: int = Field(8, ge=1, le=32, title="Segments", description="Snippets per clip")
    relation_draws: int = Field(
        0,
        ge=0,
        le=10_000,
        title="Relation draws, MTRN",
        description="Random draws of relations that a test averages over, under the training's seed; 0: the mean over all possible draws",
    )


class OptimizerOptions(Options):
    """Set the optimizer, the batch, and the part of the network that is trained."""

    section: ClassVar[str] = "Optimizer"

    epochs: int = Field(60, ge=1, le=1000, title="Maximum epochs")
    batch_size: int = Field(1, ge=1, le=256, title="Batch size, clips")
    accumulate_batches: int = Field(
        1,
        ge=1,
        le=256,
        title="Gradient accumulation, batches",
        description="Batches per optimizer step, with the gradient of one batch of all their clips; the last step of an epoch may have fewer",
    )
    trainable: Literal["all", "last-stage", "heads"] = Field(
        "all",
        title="Trainable layers",
        description="all: the whole network; last-stage: the backbone's last stage (layer4 of a ResNet) and the heads; heads: the heads on a frozen backbone. Batch norm in frozen layers is frozen, too",
    )
    learning_rate: float = Field(1e-5, gt=0, le=1, title="Learning rate")
    layer_decay: float = Field(
        1,
        gt=0,
        le=1,
        title="Layer-wise learning rate decay",
        description="Factor of the rate from each stage to the stage before it; 1: one rate for all. Not if only the heads train",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", title="Optimizer", description="adam, adamw or sgd")
    momentum: float = Field(0.9, ge=0, lt=1, title="Momentum", description="For sgd")
    weight_decay: float = Field(
        0,
        ge=0,
        le=1,
        title="Weight decay",
        description="Not applied to biases and norms. Decoupled in adamw; added to the gradient in adam and sgd",
    )


class ScheduleOptions(Options):
    """Set the learning rate schedule."""

    section: ClassVar[str] = "Learning rate schedule"

    schedule: Literal["constant", "step", "cosine", "plateau"] = Field(
        "constant",
        title="Learning rate schedule",
        description="step: times the decay factor every few epochs; cosine: down to 0 at the end; plateau: times the decay factor when the validation loss stops falling",
    )
    warmup_epochs: int = Field(
        0,
        ge=0,
        le=999,
        title="Warm-up, epochs",
        description="The rate rises linearly from 1 % of its value, epoch by epoch; the schedule starts afterwards. Not with plateau",
    )
    step_epochs: int = Field(20, ge=1, le=1000, title="Step size, epochs", description="For schedule step: epochs between two decays")
    plateau_validations: int = Field(
        5,
        ge=1,
        le=1000,
        title="Plateau patience, validations",
        description="For schedule plateau: validations in a row without a lower loss before the rate decays",
    )
    decay_factor: float = Field(0.1, gt=0, lt=1, title="Decay factor", description="For schedules step and plateau")


class LossOptions(Options):
    """Set the training loss and how often each clip is drawn."""

    section: ClassVar[str] = "Loss and sampling"

    label_smoothing: float = Field(
        0, ge=0, lt=1, title="Label smoothing", description="Share of each label that is spread over all classes, in the training loss only"
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        title="Class weights",
        description="balanced: the training loss weights each clip by the inverse frequency of its verb, and of its noun, in train; the mean weight is 1. Not with a balanced sampler",
    )
    sampler: Literal["shuffled", "balanced"] = Field(
        "shuffled",
        title="Sampler",
        description="balanced: an epoch has the same length and shows each action equally often; rare clips repeat in several views",
    )


class AugmentationOptions(Options):
    """Set how training clips are sampled and augmented."""

    section: ClassVar[str] = "Augmentation"

    train_frames: Literal["random", "middle"] = Field(
        "random",
        title="Training frames",
        description="random: each epoch draws a snippet from each segment; middle: every epoch has the snippets of a test",
    )
    crop: Literal["resized", "multi-scale", "centre"] = Field(
        "resized",
        title="Training crop",
        description="resized: random position, size and aspect ratio; multi-scale: TSN's 13 positions at 1, 0.875, 0.75 and, for rgb, 0.66 of the short side; centre: the centre crop",
    )
    mirror: bool = Field(
        True,
        title="Horizontal flip",
        description="Flips half of the training clips at random. Turn it off if actions mirror each other, such as putting to the right and taking "
        "from the left. Five of the ten test crops are flipped in any case",
    )
    color_jitter: float = Field(
        0,
        ge=0,
        le=1,
        title="Color jitter",
        description="Maximum relative change of brightness, contrast and saturation; not applied to optical flow",
    )
    mixup: float = Field(
        0,
        ge=0,
        le=10,
        title="Mixup alpha",
        description="Alpha of the Beta distribution that mixes two clips of a batch and their labels; 0: off. Needs a batch size of at least 2. If only the heads train, it mixes the backbone's features",
    )


class RegularizationOptions(Options):
    """Set regularization, batch norm and precision."""

    section: ClassVar[str] = "Regularization and precision"

    dropout: float = Field(
        0,
        ge=0,
        lt=1,
        title="Dropout",
        description="Share of each snippet's features that is dropped before the heads or the relations; 0: off",
    )
    ema_decay: float = Field(
        0,
        ge=0,
        lt=1,
        title="EMA decay",
        description="Exponential moving average of weights and batch-norm statistics: decay per step, such as 0.999, lower in the first steps. The averaged weights are validated and kept. 0: off",
    )
    clip_norm: float = Field(
        0, ge=0, le=1000, title="Gradient clipping, norm", description="Maximum norm of all gradients together; 0: off"
    )
    batch_norm: Literal["partial", "first-only", "frozen", "train"] = Field(
        "partial",
        title="Batch norm",
        description="partial: updates statistics in the first layer only; first-only: also freezes scale and shift in all other layers, as in TSN's code; frozen: updates no statistics; train: updates all",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = Field(
        "32-true", title="Precision", description="32-true, bf16-mixed, or 16-mixed (needs a GPU)"
    )


class ValidationOptions(Options):
    """Set when and how a training is validated and stopped."""

    section: ClassVar[str] = "Validation"

    validate_every: int = Field(1, ge=1, le=100, title="Validate every n epochs")
    validation_crops: Literal[1, 10] = Field(
        1,
        title="Validation crops",
        description="Crops of the validation that selects the kept epoch: the centre crop, or a test's ten crops, which take ten times as long",
    )
    patience: int = Field(
        0,
        ge=0,
        le=1000,
        title="Early stopping patience, validations",
        description="Stops after this number of validations without a lower loss; 0: off",
    )


class RecipeOptions(ValidationOptions, RegularizationOptions, AugmentationOptions, LossOptions, ScheduleOptions, OptimizerOptions):
    """Set how a network is trained. By default optimizer, rate, batch size and epochs are the original experiment's; `ORIGINAL` has the rest."""

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
            raise ValueError("layer_decay has nothing to slow down if only the heads train; set it to 1, or trainable to all or last-stage")
        if self.class_weights == "balanced" and self.sampler == "balanced":
            raise ValueError("class_weights and sampler both compensate for rare classes; balance one of them")
        return self


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

PRESETS: dict[str, TrainOptions] = {"original": ORIGINAL, "light": LIGHT}


class RetrainOptions(Options):
    """Choose the dataset, and whether to train or decide again."""

    section: ClassVar[str] = "Rerun"

    preset: Literal["none", "original", "light"] = Field(
        "none",
        title="Preset",
        description="Replaces all training options. original: the original experiment (Adam 1e-5, batch size 1, whole network except its later batch norms, dropout 0.7, 60 epochs of the same frames); light: only the heads of tf_efficientnet_lite0, minutes on a CPU",
    )
    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store"
    )
    force: bool = Field(False, title="Train again", description="Train even if this dataset was trained with these options before")
    decide_again: bool = Field(
        False, title="Decide again", description="Compare and decide again on the trained network, for example after a rejection"
    )


class EvaluateOptions(Options):
    """Set how a network is tested."""

    section: ClassVar[str] = "Evaluation"

    crops: Literal[1, 10] = Field(10, title="Crops", description="10: TSN's ten crops; 1: the centre crop, for a quick check")
    bootstrap_resamples: int = Field(
        2000, ge=100, le=100_000, title="Bootstrap resamples", description="Of source videos, for the 95 % intervals of differences"
    )
    engine: Literal["auto", "pytorch", "openvino", "openvino-int8", "cuda"] = Field(
        "auto",
        title="Inference engine",
        description="auto: CUDA on a GPU; on a CPU OpenVINO, or PyTorch for fewer than 10 clips; openvino-int8 is calibrated on training clips. Each engine is checked on 3 clips (int8: 30) against PyTorch in float32; if a logit differs by more than a tolerance, or a top class by more than a near tie, OpenVINO falls back to float32, or to PyTorch",
    )


class GateOptions(Options):
    """Set when the fine-tuned network replaces the champion. The champion is scored on the same clips; a tie keeps it."""

    section: ClassVar[str] = "Promotion"

    promotion: Literal["auto", "approve", "never"] = Field(
        "auto",
        title="Promotion",
        description="If every rule passes: auto promotes at once; approve asks a person in Airflow; never only registers the model",
    )
    approval_hours: int = Field(
        72,
        ge=1,
        le=8760,
        title="Approval timeout, hours",
        description="Without an answer by then the champion stays; until then no other retrain starts",
    )
    min_gate_clips: int = Field(
        10, ge=1, le=1_000_000, title="Minimum clips", description="In the split that decides: test, or val if there is no test"
    )
    min_gate_sources: int = Field(3, ge=1, le=1_000_000, title="Minimum source videos", description="Source videos of those clips")
    gain_rule: Literal["interval", "margin"] = Field(
        "interval",
        title="Gain rule",
        description="interval: the 95 % interval of the difference in action top-1 must lie above zero; margin: the difference must also exceed the minimum gain",
    )
    min_gain_points: float = Field(
        1.0, ge=0, le=100, title="Minimum gain, percentage points", description="In action top-1, for gain rule margin"
    )
    beat_guessing: bool = Field(
        True,
        title="Must beat guessing",
        description="Action top-1 (verb top-1 if no label has an object) must be higher than always guessing the most frequent class",
    )
    max_class_loss_points: float = Field(
        20.0,
        ge=0,
        le=100,
        title="Maximum recall loss per class, percentage points",
        description="For verbs and nouns with enough clips. A larger loss counts if chance explains it in fewer than one of twenty such comparisons of all these classes",
    )
    min_class_clips: int = Field(
        10, ge=1, le=1_000_000, title="Minimum clips per class", description="Classes with fewer clips are shown, but decide nothing"
    )


class RegisterOptions(Options):
    """Choose the registered model."""

    section: ClassVar[str] = "Registration"

    model_name: str = Field(
        "retake-tsn",
        pattern=MODEL_NAME_PATTERN,
        title="Registered model",
        description="Name in MLflow's registry; networks registered under one name compete for its champion",
    )


MODEL_REFERENCE = r"models:/[A-Za-z0-9][A-Za-z0-9._-]{0,62}(@[A-Za-z0-9_-]{1,62}|/[1-9][0-9]{0,8})"


class PredictOptions(Options):
    """Choose the videos to predict and the networks."""

    section: ClassVar[str] = "Prediction"

    videos: list[str] = Field(
        [],
        title="Videos",
        description="Folders, files or http(s) addresses; empty: every ingested video of the store that was not trained on",
    )
    model: str = Field(
        "models:/retake-tsn@champion",
        pattern=f"^{MODEL_REFERENCE}$",
        title="Model",
        description="models:/NAME@ALIAS or models:/NAME/VERSION in MLflow's registry",
    )
    against: str = Field(
        "baseline",
        pattern=f"^(baseline|none|{MODEL_REFERENCE})$",
        title="Compare with",
        description="baseline: the network that the model's training started from; none; or another registered model",
    )
    allow_trained: bool = Field(
        False, title="Include training videos", description="Predict videos that were trained on, too; their scores are optimistic"
    )
    num_to_label: int = Field(
        50, ge=0, le=1000, title="Clips to label", description="Number of clips to list whose labels would teach most, best first"
    )
    preview: bool = Field(False, title="Preview videos", description="Draw the predictions into a copy of each video; slow")


class ComparisonOptions(Options):
    """Choose the networks to compare, and the dataset."""

    section: ClassVar[str] = "Comparison"

    configurations: list[str] = Field(
        ["family=TSN", "family=TRN", "family=MTRN", "family=TSM"],
        min_length=2,
        max_length=100,
        title="Configurations",
        description="One per line, such as `family=TRN backbone=resnet50 learning_rate=0.001`: the differences from the training options of this form, "
        "which all share. The first is the reference for the others",
    )
    dataset: StoreUri | None = Field(
        None, title="Dataset", description="s3:// address of a dataset's folder; empty: the latest dataset of the store"
    )
