"""Specify a network and the input of each modality.

The specification is stored with every checkpoint and result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.learn.sound.named import recipe_named
from tasks.options import Family, FlowOptions, Head, Interpolation, Modality, TrainOptions
from tasks.store.records.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.store.records.sound import SoundRecipe
from tasks.video_networks import DEFAULT_VIDEO_NETWORK, VIDEO_NETWORKS, VideoNetwork


class Consensus(StrEnum):
    """How a clip's segments are combined into one prediction."""

    AVERAGE = "average"
    RELATION = "relation"
    MULTISCALE_RELATION = "multiscale-relation"
    ATTENTIVE = "attentive"
    LSTM = "lstm"
    TCN = "tcn"


FAMILIES: Mapping[Family, tuple[Consensus, bool]] = {
    Family.TSN: (Consensus.AVERAGE, False),
    Family.TRN: (Consensus.RELATION, False),
    Family.MTRN: (Consensus.MULTISCALE_RELATION, False),
    Family.TSM: (Consensus.AVERAGE, True),
    Family.VIDEO: (Consensus.AVERAGE, False),
}
"""Parts of each family: the consensus over segments, or over views, and whether the backbone has temporal shift."""

CONSENSUS_OF_HEADS: Mapping[Head, Consensus] = {
    Head.ATTENTIVE: Consensus.ATTENTIVE,
    Head.LSTM: Consensus.LSTM,
    Head.TCN: Consensus.TCN,
}
"""Consensus that a head puts in the place of the family's."""


@dataclass(frozen=True)
class Snippet:
    """A network's input for one segment.

    Attributes:
        num_frames: consecutive frames, of the clip or of its optical flow.
        frame_planes: 8-bit planes per frame: red, green and blue, or x and y.
        num_channels: the backbone's input channels, after normalisation.
    """

    num_frames: int
    frame_planes: int
    num_channels: int

    @property
    def num_planes(self) -> int:
        """Count the 8-bit planes of the whole snippet."""
        return self.num_frames * self.frame_planes


SNIPPETS: Mapping[Modality, Snippet] = {
    Modality.RGB: Snippet(num_frames=1, frame_planes=3, num_channels=3),
    Modality.FLOW: Snippet(num_frames=5, frame_planes=2, num_channels=10),
    Modality.RGB_DIFFERENCE: Snippet(num_frames=6, frame_planes=3, num_channels=15),
    Modality.SPECTROGRAM: Snippet(num_frames=1, frame_planes=1, num_channels=1),
    Modality.SOUND: Snippet(num_frames=1, frame_planes=1, num_channels=1),
}
"""TSN's snippets (arXiv 1608.00859): one frame; 5 flow fields of x and y; 5 differences of 6 frames. And of sound: one grey picture of it, or
the features of one window, which are no planes."""

MAX_SEGMENTS = 64
MAX_DRAWS = 10_000
MAX_CLASSES = 10_000
"""Far more than any training needs. A checkpoint that claims more is rejected before a network is built."""

SHORT_SIDE = 256
"""Short side of cached frames and flow fields, in pixels. TSN's protocol cuts its crops from this size."""


class NetworkSpec(BaseModel):
    """One network: backbone, optional temporal shift, consensus, and the sizes of both heads.

    `flow` defines how the optical flow is computed, if the modality is flow, and `sound` how sound is described, if it is sound; then
    `backbone` names its features. `relation_draws` applies to the multi-scale relation only: the published code samples three relations per
    scale in testing; 0 averages over all possible samples, another number over that many samples seeded by `relation_seed`.
    `joined` are the numbers of features of other networks, where these are joined and there is no backbone.
    `sampling_window` is the middle share of a clip that the segments are spread over, and `interpolation` scales frames to short side 256; at 1
    and bilinear they are left out of dumps, so that these, and the keys made of them, are those of earlier versions. Flow is always made of
    frames that were scaled bilinearly.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    num_segments: int = Field(8, ge=1, le=MAX_SEGMENTS)
    sampling_window: float = Field(1, gt=0, le=1, exclude_if=lambda window: window == 1)
    interpolation: Interpolation = Field("bilinear", exclude_if=lambda interpolation: interpolation == "bilinear")
    modality: Modality = Modality.RGB
    flow: FlowOptions | None = None
    sound: SoundRecipe | None = Field(None, exclude_if=lambda recipe: recipe is None)
    consensus: Consensus = Consensus.AVERAGE
    temporal_shift: bool = False
    relation_draws: int = Field(0, ge=0, le=MAX_DRAWS)
    relation_seed: int = 0
    joined: tuple[int, ...] = Field((), exclude_if=lambda sizes: not sizes)
    num_verbs: int = Field(NUM_EPIC_VERBS, ge=1, le=MAX_CLASSES)
    num_nouns: int = Field(NUM_EPIC_NOUNS, ge=1, le=MAX_CLASSES)

    @model_validator(mode="before")
    @classmethod
    def _set_flow_by_modality(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values  # already a spec
        is_flow = values.get("modality") == Modality.FLOW
        return {**values, "flow": (values.get("flow") or FlowOptions()) if is_flow else None}

    @model_validator(mode="after")
    def _describe_sound(self) -> Self:
        if (self.modality is Modality.SOUND) is not (self.sound is not None):
            raise ValueError(f"modality {self.modality} {'without' if self.sound is None else 'with'} a recipe of its sound")
        return self

    @property
    def video(self) -> VideoNetwork | None:
        """Return the video network, or None if the backbone sees single pictures.

        Its snippets are `num_segments` views of the clip.
        """
        return VIDEO_NETWORKS.get(self.backbone)

    @property
    def snippet(self) -> Snippet:
        """Return the input for one segment, or one view."""
        if self.video:
            return Snippet(self.video.num_frames, 3, 3 * self.video.num_frames)
        return SNIPPETS[self.modality]

    def num_crops(self, wanted: Literal[1, 10]) -> Literal[1, 10]:
        """Return the crops that a test has.

        Of video networks, the centre of each view alone, as they were published. Sound has neither corners nor a mirror image.
        """
        return 1 if self.video or self.modality.is_heard else wanted

    @property
    def num_frames(self) -> int:
        """Count the frames, or flow fields, that the network sees per clip."""
        return self.num_segments * self.snippet.num_frames

    @property
    def family(self) -> str:
        """Return the name in the literature: TSN, TRN, MTRN or TSM; 3D for video networks."""
        if self.video:
            return Family.VIDEO.value
        consensus = Consensus.AVERAGE if self.has_chosen_head else self.consensus
        found = (family.value for family, parts in FAMILIES.items() if parts == (consensus, self.temporal_shift))
        return next(found, f"TSM with {self.consensus.value}")

    @property
    def has_chosen_head(self) -> bool:
        """Check whether the option `head` gave the network another head than its family's."""
        return self.consensus in CONSENSUS_OF_HEADS.values()

    @property
    def sees_patches(self) -> bool:
        """Check whether the head takes the features of each image's patches instead of one vector."""
        return self.consensus is Consensus.ATTENTIVE

    @property
    def title(self) -> str:
        """Return the title for people, without the classes."""
        if self.joined:
            return f"features of {len(self.joined)} networks joined, {self.consensus.value if self.has_chosen_head else 'linear'} head"
        drawn = f", {self.relation_draws or 'all'} draws of relations" if self.consensus is Consensus.MULTISCALE_RELATION else ""
        seen = f"{self.modality.value} ({self.flow.flow_method})" if self.flow else self.modality.value
        window = "" if self.sampling_window == 1 else f", window {self.sampling_window:g}"
        scaled = "" if self.interpolation == "bilinear" else f", {self.interpolation}"
        head = f", {self.consensus.value} head" if self.has_chosen_head else ""
        snippets = ("view" if self.num_segments == 1 else "views") if self.video else "segments"
        return f"{self.family} {self.backbone} {seen}, {self.num_segments} {snippets}{window}{scaled}{drawn}{head}"

    def __str__(self) -> str:
        return f"{self.title}, {self.num_verbs} verbs, {self.num_nouns} nouns"


def trained_view(spec: NetworkSpec, options: TrainOptions) -> NetworkSpec:
    """Return the spec whose snippets a training step shows.

    A video network that learns sees one view of each clip. A frozen one sees all, as in a test.
    """
    return spec if spec.video is None or options.trainable == "heads" else spec.model_copy(update={"num_segments": 1})


def spec_of(options: TrainOptions, backbone: str | None = None) -> NetworkSpec:
    """Build the spec of training options, with EPIC's classes; `backbone` replaces theirs, such as "auto".

    Interpolation "auto" is bilinear here, until the weights are known.
    """
    consensus, temporal_shift = FAMILIES[options.family]
    backbone = backbone or options.backbone
    if options.family is Family.VIDEO and backbone == "auto":
        backbone = DEFAULT_VIDEO_NETWORK
    video = VIDEO_NETWORKS.get(backbone)
    return NetworkSpec(
        backbone=backbone,
        num_segments=video.num_views if video else options.num_segments,
        sampling_window=options.sampling_window,
        interpolation="bicubic" if options.interpolation == "bicubic" and options.modality.is_scaled else "bilinear",
        modality=options.modality,
        flow=options.picked(FlowOptions),
        sound=recipe_named(backbone or options.backbone) if options.modality is Modality.SOUND else None,
        consensus=CONSENSUS_OF_HEADS.get(options.head, consensus),
        temporal_shift=temporal_shift,
        relation_draws=options.relation_draws,
        relation_seed=options.seed if options.relation_draws else 0,
        num_verbs=NUM_EPIC_VERBS,
        num_nouns=NUM_EPIC_NOUNS,
    )
