"""Declare the options of a training: initial weights, cached views and seed.

`TrainOptions` joins them with the network (`network`) and with how it is trained, such as the learning rate (`recipe`).
"""

from enum import StrEnum
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.options.base import Address, Options
from tasks.options.network import Family, FlowOptions, Head, Modality, NetworkOptions
from tasks.options.recipe import RecipeOptions


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
    def _train_heads_on_sound(self) -> Self:
        if self.modality is not Modality.SOUND or self.fuse:
            return self
        if self.trainable != "heads":
            raise ValueError(f"modality=sound has no backbone to train, and trainable is {self.trainable}; set trainable=heads")
        if self.weights not in (Weights.AUTO, Weights.NONE, Weights.TRAINED) or self.backbone_weights:
            raise ValueError(
                "modality=sound has no backbone whose weights could be loaded; set weights=auto and leave backbone_weights empty"
            )
        return self

    @model_validator(mode="after")
    def _name_backbone(self) -> Self:
        if self.backbone_weights and self.backbone == "auto":
            raise ValueError(
                "backbone_weights are the weights of one backbone, and backbone is auto; name the backbone that the file was made for"
            )
        return self

    @model_validator(mode="after")
    def _check_probe(self) -> Self:
        if self.family is Family.VIDEO and self.head is Head.TCN and self.trainable != "heads":
            raise ValueError(
                f"head {self.head} relates the views of a clip, and a step that trains the backbone of family 3D shows one; "
                "set trainable to heads, or choose head linear"
            )
        if self.head is Head.PROBE and self.trainable != "heads":
            raise ValueError("head probe is fitted on the features of a frozen backbone; set trainable to heads, or choose head linear")
        return self

    @model_validator(mode="after")
    def _check_join(self) -> Self:
        if self.join == "logits":
            return self
        if not self.fuse:
            raise ValueError("join=features joins the networks under fuse, and fuse is empty; name two or more, or set join=logits")
        if self.trainable != "heads":
            raise ValueError(f"join=features trains a head above frozen networks, and trainable is {self.trainable}; set trainable=heads")
        return self

    def as_trained(self) -> Self:
        """Return the options of the one epoch in which a fitted probe is scored.

        Other trainings have the options as they are.
        """
        if self.head is not Head.PROBE:
            return self
        return self.model_copy(update={**{name: type(self).model_fields[name].default for name in IDLE_IN_PROBE}, "epochs": 1})
