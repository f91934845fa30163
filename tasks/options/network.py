"""Declare the options of the network and of optical flow."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from tasks.options.base import MODEL_NAME_PATTERN, Options
from tasks.video_networks import DEFAULT_VIDEO_NETWORK, VIDEO_NETWORKS


class Family(StrEnum):
    """Networks that EPIC-KITCHENS-55 published, and video networks.

    TSN averages over segments, TRN relates them, MTRN does so at several scales, TSM shifts. 3D sees consecutive frames at once.
    """

    TSN = "TSN"
    TRN = "TRN"
    MTRN = "MTRN"
    TSM = "TSM"
    VIDEO = "3D"


class Head(StrEnum):
    """The part of a network that answers from the features of a clip's segments."""

    LINEAR = "linear"
    PROBE = "probe"
    TCN = "tcn"


class Consensus(StrEnum):
    """How a family, or a `Head` of the same name, combines a clip's segments."""

    AVERAGE = "average"
    RELATION = "relation"
    MULTISCALE_RELATION = "multiscale-relation"
    TCN = "tcn"


class Modality(StrEnum):
    """The input of a network."""

    RGB = "rgb"
    FLOW = "flow"
    RGB_DIFFERENCE = "rgb-difference"
    SOUND = "sound"

    @property
    def is_heard(self) -> bool:
        """Check whether the input is made of a clip's sound."""
        return self is Modality.SOUND

    @property
    def is_scaled(self) -> bool:
        """Check whether the input is made of frames that `interpolation` scales."""
        return self in (Modality.RGB, Modality.RGB_DIFFERENCE)


Interpolation = Literal["bilinear", "bicubic"]

AUTO_BACKBONE = "auto"
SUGGESTED_BACKBONES = {
    "auto": "resnet50, or tf_efficientnet_lite0 if no weights can be downloaded",
    "resnet50": "EPIC-KITCHENS-55's weights or ImageNet's",
    "bninception": "EPIC-KITCHENS-55's weights or ImageNet's",
    "tf_efficientnet_lite0": "ImageNet's weights, which need no download",
    **dict.fromkeys(VIDEO_NETWORKS, "for family 3D"),
    "log-mel": "for input sound",
}
SOUND_BACKBONE = "log-mel"
"""Name of the features of sound, in place of a backbone: statistics of the spectrogram."""


class FlowOptions(Options):
    """Set how optical flow is computed; these options and OpenCV's version name its folder."""

    section: ClassVar[str] = "Optical flow"
    retired: ClassVar[Mapping[str, Any]] = {"flow_bound_pixels": 20.0}

    flow_method: Literal["tvl1", "dis"] = Field(
        "tvl1", title="Optical flow method", description="For input flow. tvl1: as in EPIC-KITCHENS-55 and TSN; dis: many times faster"
    )


class NetworkOptions(Options):
    """Choose the network to train."""

    section: ClassVar[str] = "Network"
    retired: ClassVar[Mapping[str, Any]] = {"relation_draws": 0, "interpolation": "auto", "sampling_window": 1.0}
    retired_values: ClassVar[Mapping[str, Collection[str]]] = {
        "head": ("attentive", "lstm"), "modality": ("spectrogram",), "backbone": ("aisfx",)
    }  # fmt: skip

    family: Family = Field(
        Family.TSN,
        title="Network family",
        description="TSN averages over segments and ignores their order; TRN, MTRN (multi-scale) and TSM use it; 3D: a video network, which sees consecutive frames at once",
    )
    modality: Modality = Field(
        Modality.RGB,
        title="Input",
        description="rgb: one frame per segment; flow: five x/y fields of optical flow, computed first; rgb-difference: five frame differences; "
        "sound: features of a window of sound, on which only heads train",
    )
    head: Head = Field(
        Head.LINEAR,
        title="Classification head",
        description="For TSN, TSM and 3D; TRN and MTRN have heads of their own. linear: the mean over segments; probe: the same, fitted by logistic regression on features of a frozen backbone, without epochs; tcn: the order of segments, by a convolutional network",
    )
    backbone: str = Field(
        "auto",
        pattern=MODEL_NAME_PATTERN,
        title="Backbone",
        description="auto, a suggestion, or any other model of timm or torchvision. auto: resnet50, or tf_efficientnet_lite0, which needs no download; "
        f"for family 3D {DEFAULT_VIDEO_NETWORK}; for input sound log-mel",
        json_schema_extra={"examples": list(SUGGESTED_BACKBONES), "values_display": dict(SUGGESTED_BACKBONES)},
    )
    num_segments: int = Field(
        8,
        ge=1,
        le=64,
        title="Segments",
        description="Snippets per clip; at most 16 with MTRN. Not for 3D, which has its own number of views",
    )

    @model_validator(mode="after")
    def _fit_network_together(self) -> Self:
        is_video, is_heard = self.backbone in VIDEO_NETWORKS, self.modality.is_heard
        if self.head is not Head.LINEAR and self.family in (Family.TRN, Family.MTRN):
            raise ValueError(
                f"{self.family} relates segments by a head of its own; choose family TSN or TSM for head {self.head}, or head linear"
            )
        if self.family is Family.VIDEO and not is_video and self.backbone != AUTO_BACKBONE:
            raise ValueError(
                f"family 3D needs a video network and backbone {self.backbone} sees single pictures; "
                f"choose backbone auto, {', '.join(VIDEO_NETWORKS)}, or family TSN"
            )
        if self.family is not Family.VIDEO and is_video:
            raise ValueError(
                f"backbone {self.backbone} is a video network and family {self.family} needs one that sees single pictures; "
                "choose family 3D, or backbone auto"
            )
        if self.family is Family.VIDEO and self.modality is not Modality.RGB:
            raise ValueError(
                f"family 3D sees motion in its RGB frames, and its weights know no other input than rgb, not {self.modality}; "
                "choose modality rgb, or family TSN"
            )
        if self.backbone == SOUND_BACKBONE and not is_heard:
            raise ValueError(f"{self.backbone} stands for features of sound, and modality is {self.modality}; choose modality=sound")
        if is_heard and self.backbone not in (AUTO_BACKBONE, SOUND_BACKBONE):
            raise ValueError(f"modality=sound has no image backbone such as {self.backbone}; set backbone to auto or log-mel")
        if is_heard and self.family is Family.TSM:
            raise ValueError("TSM shifts the channels of an image backbone, and modality=sound has none; choose family=TSN")
        return self
