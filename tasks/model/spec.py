"""What names a network: the few choices that are stored with every checkpoint and every result, and what each modality's input is."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.options import Family, FlowOptions, Modality, TrainOptions
from tasks.results.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS


class Consensus(StrEnum):
    """How the segments of a clip come to one answer."""

    AVERAGE = "average"
    RELATION = "relation"
    MULTISCALE_RELATION = "multiscale-relation"


FAMILIES: Mapping[Family, tuple[Consensus, bool]] = {
    Family.TSN: (Consensus.AVERAGE, False),
    Family.TRN: (Consensus.RELATION, False),
    Family.MTRN: (Consensus.MULTISCALE_RELATION, False),
    Family.TSM: (Consensus.AVERAGE, True),
}
"""What each family is made of: the consensus over segments, and whether the backbone's blocks see their neighbours in time."""


@dataclass(frozen=True)
class Snippet:
    """What a network takes of one segment.

    Attributes:
        num_frames: consecutive frames, of the clip or of its optical flow.
        frame_planes: 8-bit planes of one of them: red, green and blue, or x and y.
        num_channels: what the backbone sees after normalisation.
    """

    num_frames: int
    frame_planes: int
    num_channels: int

    @property
    def num_planes(self) -> int:
        """8-bit planes of the whole snippet."""
        return self.num_frames * self.frame_planes


SNIPPETS: Mapping[Modality, Snippet] = {
    Modality.RGB: Snippet(num_frames=1, frame_planes=3, num_channels=3),
    Modality.FLOW: Snippet(num_frames=5, frame_planes=2, num_channels=10),
    Modality.RGB_DIFFERENCE: Snippet(num_frames=6, frame_planes=3, num_channels=15),
}
"""TSN's snippets (arXiv 1608.00859): a frame; 5 pairs of x and y; 5 differences of 6 frames."""

MAX_SEGMENTS = 32
MAX_DRAWS = 10_000
MAX_CLASSES = 10_000
"""Far more than anybody trains, and few enough that a checkpoint that claims more is refused before anything is made of it."""

SHORT_SIDE = 256
"""Of every cached frame and every field of flow, in pixels: what the crops of TSN's protocol are cut from."""


class NetworkSpec(BaseModel):
    """One network: backbone, optional temporal shift, consensus, and the sizes of both heads.

    `flow` says how the optical flow is computed that it was trained on, where its modality is flow. `relation_draws` is of the multi-scale
    relation alone: in a test the published code draws three relations a scale; 0 takes the mean of all such draws, another number the mean
    of so many under `relation_seed`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    num_segments: int = Field(8, ge=1, le=MAX_SEGMENTS)
    modality: Modality = Modality.RGB
    flow: FlowOptions | None = None
    consensus: Consensus = Consensus.AVERAGE
    temporal_shift: bool = False
    relation_draws: int = Field(0, ge=0, le=MAX_DRAWS)
    relation_seed: int = 0
    num_verbs: int = Field(NUM_EPIC_VERBS, ge=1, le=MAX_CLASSES)
    num_nouns: int = Field(NUM_EPIC_NOUNS, ge=1, le=MAX_CLASSES)

    @model_validator(mode="before")
    @classmethod
    def _flow_where_it_is_seen(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values  # a spec already
        is_seen = values.get("modality") == Modality.FLOW
        return {**values, "flow": (values.get("flow") or FlowOptions()) if is_seen else None}

    @property
    def snippet(self) -> Snippet:
        """What it takes of one segment."""
        return SNIPPETS[self.modality]

    @property
    def num_frames(self) -> int:
        """Frames, or fields of flow, that it looks at of one clip."""
        return self.num_segments * self.snippet.num_frames

    @property
    def family(self) -> str:
        """The name that the literature has for it: TSN, TRN, MTRN or TSM."""
        found = (family.value for family, parts in FAMILIES.items() if parts == (self.consensus, self.temporal_shift))
        return next(found, f"TSM with {self.consensus.value}")

    @property
    def title(self) -> str:
        """The network for a person, without its classes."""
        drawn = f", {self.relation_draws or 'all'} draws of relations" if self.consensus is Consensus.MULTISCALE_RELATION else ""
        seen = f"{self.modality.value} ({self.flow.flow_method})" if self.flow else self.modality.value
        return f"{self.family} {self.backbone} {seen}, {self.num_segments} segments{drawn}"

    def __str__(self) -> str:
        return f"{self.title}, {self.num_verbs} verbs, {self.num_nouns} nouns"


def spec_of(options: TrainOptions, backbone: str | None = None) -> NetworkSpec:
    """The network that `options` name, with EPIC's classes; `backbone` takes the place of theirs, say of "auto"."""
    consensus, temporal_shift = FAMILIES[options.family]
    return NetworkSpec(
        backbone=backbone or options.backbone,
        num_segments=options.num_segments,
        modality=options.modality,
        flow=options.picked(FlowOptions),
        consensus=consensus,
        temporal_shift=temporal_shift,
        relation_draws=options.relation_draws,
        relation_seed=options.seed if options.relation_draws else 0,
        num_verbs=NUM_EPIC_VERBS,
        num_nouns=NUM_EPIC_NOUNS,
    )
