"""Declare the options of a training; `TrainOptions` joins them with those of the network."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.options.base import Address, Options
from tasks.options.network import AUTO_BACKBONE, Family, FlowOptions, Head, NetworkOptions

MAX_EPOCHS = 1000
"""Upper limit of epochs; ten times as many if only the heads train."""
LONG_EPOCHS = 200
"""A training of the heads for so many epochs keeps intermediate heads, and has a section in the report."""


class OptimizerOptions(Options):
    """Set the optimizer, the batch, and the part of the network that is trained."""

    section: ClassVar[str] = "Optimizer"

    epochs: int = Field(
        60, ge=1, le=10 * MAX_EPOCHS, title="Maximum epochs", description=f"More than {MAX_EPOCHS} only if only the heads train"
    )
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
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", title="Optimizer", description="adam, adamw, or sgd with momentum 0.9")
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

    schedule: Literal["constant", "cosine"] = Field(
        "constant", title="Learning rate schedule", description="cosine: the rate falls to 0 at the end"
    )
    warmup_epochs: int = Field(
        0,
        ge=0,
        le=999,
        title="Warm-up, epochs",
        description="The rate rises linearly from 1 % of its value, epoch by epoch; the schedule starts afterwards",
    )


class LossOptions(Options):
    """Set the training loss and the noise of its labels."""

    section: ClassVar[str] = "Loss"

    label_smoothing: float = Field(
        0,
        ge=0,
        lt=1,
        title="Label smoothing",
        description="Share of each label that is spread over the classes of the training clips, in the training loss only",
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none",
        title="Class weights",
        description="balanced: the training loss weights each clip by the inverse frequency of its verb, and of its noun, in train; the mean weight is 1",
    )
    label_noise: float = Field(
        0,
        ge=0,
        le=1,
        title="Label noise",
        description="To study long trainings: share of the training clips that get the verb and noun of another action of train. Such a network is never registered. Presets leave this option as it is",
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
    """Set how a network is trained; optimizer, rate, batch size and epochs default to `ORIGINAL`'s."""

    retired: ClassVar[Mapping[str, Any]] = {
        "layer_decay": 1.0, "momentum": 0.9, "step_epochs": 20, "plateau_validations": 5, "decay_factor": 0.1, "sampler": "shuffled",
        "segment_length": 1.0, "color_jitter": 0.0, "mixup": 0.0, "ema_decay": 0.0, "clip_norm": 0.0,
    }  # fmt: skip
    retired_values: ClassVar[Mapping[str, Collection[str]]] = {"schedule": ("step", "plateau")}

    @property
    def is_long(self) -> bool:
        """Check whether this is a long training of the heads."""
        return self.trainable == "heads" and self.epochs >= LONG_EPOCHS

    @model_validator(mode="after")
    def _fit_together(self) -> "RecipeOptions":
        if self.validate_every > self.epochs:
            raise ValueError(f"validate_every {self.validate_every} is more than {self.epochs} epochs: no checkpoint would be kept")
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"a warm-up of {self.warmup_epochs} epochs leaves none of {self.epochs} at the full rate; lower warmup_epochs")
        if self.epochs > MAX_EPOCHS and self.trainable != "heads":
            raise ValueError(f"more than {MAX_EPOCHS} epochs are for trainable=heads, whose features are cached; lower epochs")
        return self


class Weights(StrEnum):
    """Origin of a network's weights.

    AUTO takes the network that `checkpoint` names, else the file of `backbone_weights`, else EPIC's weights if they are available, else
    the published weights of the backbone: ImageNet's, or Kinetics-400's of a video network.
    """

    AUTO = "auto"
    EPIC = "epic"
    IMAGENET = "imagenet"
    FILE = "file"
    NONE = "none"
    TRAINED = "trained"


class StartOptions(Options):
    """Choose the weights that a training starts from."""

    section: ClassVar[str] = "Initial weights"

    weights: Weights = Field(
        Weights.AUTO,
        title="Start from",
        description="epic: EPIC-KITCHENS-55 checkpoint; imagenet: published weights of the backbone, with new heads (ImageNet's, or Kinetics-400's of a video network); file: the file under Backbone weights with new heads; none: random weights; trained: the network under "
        "Checkpoint; auto: the first that is available",
    )
    checkpoint: Address | None = Field(
        None,
        title="Checkpoint",
        description="EPIC weights: name of a published file, a path, an s3:// or http(s) address. A name (empty: the network's own) is looked up under pretrained/ of the store, then at its public address. "
        "Trained network: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this store; classes that are new to it get new, seeded outputs",
    )
    backbone_weights: Address | None = Field(
        None,
        title="Backbone weights",
        description="A file of your own with the weights of the backbone that is named, .safetensors or .pth: a path, an s3:// or http(s) address, or "
        "the sha256 of a file under pretrained/backbones/ of the store. Its classifier is left out",
    )
    fuse: list[str] = Field(
        [],
        title="Fuse",
        description="Trained networks to fuse instead of training, one per line: models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of this "
        "store. Their logits are averaged with weights chosen on val, and all other training options are ignored, or their features are joined",
    )
    join: Literal["logits", "features"] = Field(
        "logits",
        title="Join",
        description="What is combined of the networks under Fuse. logits: their answers are averaged, and nothing is trained; features: a new head "
        "trains on the features of all of them side by side, by the options of the head and of the training; with trainable heads",
    )

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        if self.backbone_weights and self.weights not in (Weights.AUTO, Weights.FILE):
            raise ValueError(f"backbone_weights names a file, and weights is {self.weights}; choose weights file, or leave one of them out")
        if self.weights is Weights.FILE and not self.backbone_weights:
            raise ValueError("weights=file needs backbone_weights, the file to start from")
        if self.backbone_weights and self.checkpoint:
            raise ValueError("backbone_weights and checkpoint both name a start; leave one of them out")
        return self


IDLE_IN_PROBE = (
    "epochs", "batch_size", "accumulate_batches", "learning_rate", "optimizer", "weight_decay", "schedule", "warmup_epochs",
    "label_smoothing", "dropout", "validate_every", "patience",
)  # fmt: skip
"""Options without effect on a probe, which is fitted and not trained."""


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
        description="For input rgb. 1: training frames are drawn from all frames; higher: less disk space",
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Training seed")
    views_seed: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        title="Seed of the views",
        description="Draws the random views of the training clips, so that trainings of heads with different seeds share features; empty: the training seed",
    )

    @model_validator(mode="after")
    def _fit_training_and_network_together(self) -> Self:
        is_frozen, is_joined = self.trainable == "heads", self.join == "features"
        is_heard = self.modality.is_heard and not self.fuse
        if is_heard and not is_frozen:
            raise ValueError(f"modality=sound has no backbone to train, and trainable is {self.trainable}; set trainable=heads")
        if is_heard and (self.weights not in (Weights.AUTO, Weights.NONE, Weights.TRAINED) or self.backbone_weights):
            raise ValueError(
                "modality=sound has no backbone whose weights could be loaded; set weights=auto and leave backbone_weights empty"
            )
        if self.backbone_weights and self.backbone == AUTO_BACKBONE:
            raise ValueError(
                "backbone_weights are the weights of one backbone, and backbone is auto; name the backbone that the file was made for"
            )
        if self.family is Family.VIDEO and self.head is Head.TCN and not is_frozen:
            raise ValueError(
                f"head {self.head} relates the views of a clip, and a step that trains the backbone of family 3D shows one; "
                "set trainable to heads, or choose head linear"
            )
        if self.head is Head.PROBE and not is_frozen:
            raise ValueError("head probe is fitted on the features of a frozen backbone; set trainable to heads, or choose head linear")
        if is_joined and not self.fuse:
            raise ValueError("join=features joins the networks under fuse, and fuse is empty; name two or more, or set join=logits")
        if is_joined and not is_frozen:
            raise ValueError(f"join=features trains a head above frozen networks, and trainable is {self.trainable}; set trainable=heads")
        return self

    def as_trained(self) -> Self:
        """Return these options, of a probe those of the one epoch that scores it."""
        if self.head is not Head.PROBE:
            return self
        return self.model_copy(update={**{name: type(self).model_fields[name].default for name in IDLE_IN_PROBE}, "epochs": 1})
