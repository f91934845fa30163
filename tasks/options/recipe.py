"""Declare how a network is trained: optimizer, schedule, loss, augmentation, regularization, validation.

Its initial weights and the seed are in `start`.
"""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from tasks.options.base import Options

MAX_EPOCHS = 1000
"""Upper limit of epochs, unless only the heads train. Those epochs may be ten times as many."""
LONG_EPOCHS = 200
"""Number of epochs from which a training of the heads is a long one. It keeps intermediate heads, and has a section in the report."""


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
        0,
        ge=0,
        lt=1,
        title="Label smoothing",
        description="Share of each label that is spread over the classes of the training clips, in the training loss only",
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
    segment_length: float = Field(
        1,
        gt=0,
        le=1,
        title="Segment length, share of the spacing",
        description="For training frames random: the snippet is drawn from this middle part of its segment; 1: from all of it",
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

    @property
    def is_long(self) -> bool:
        """Check whether this is a long training of the heads."""
        return self.trainable == "heads" and self.epochs >= LONG_EPOCHS

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
        if self.epochs > MAX_EPOCHS and self.trainable != "heads":
            raise ValueError(f"more than {MAX_EPOCHS} epochs are for trainable=heads, whose features are cached; lower epochs")
        return self
