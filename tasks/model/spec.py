"""What names a network: the few choices that are stored with every checkpoint and every result."""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from tasks.errors import BadConfiguration


class Modality(StrEnum):
    """What a snippet is made of."""

    RGB = "rgb"
    FLOW = "flow"
    RGB_DIFFERENCE = "rgb-difference"


class Consensus(StrEnum):
    """How the segments of a clip come to one answer."""

    AVERAGE = "average"
    RELATION = "relation"
    MULTISCALE_RELATION = "multiscale-relation"


class NetworkSpec(BaseModel):
    """One network: backbone, optional temporal shift, consensus, and the sizes of both heads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    num_segments: int = Field(8, ge=1)
    modality: Modality = Modality.RGB
    consensus: Consensus = Consensus.AVERAGE
    temporal_shift: bool = False
    num_verbs: int = Field(125, ge=1)
    num_nouns: int = Field(352, ge=1)

    @property
    def family(self) -> str:
        """The name that the literature has for it: TSN, TRN, MTRN or TSM."""
        if self.temporal_shift:
            return "TSM"
        return {Consensus.AVERAGE: "TSN", Consensus.RELATION: "TRN", Consensus.MULTISCALE_RELATION: "MTRN"}[self.consensus]

    def __str__(self) -> str:
        return (
            f"{self.family} {self.backbone} {self.modality.value}, {self.num_segments} segments, "
            f"{self.num_verbs} verbs, {self.num_nouns} nouns"
        )


@dataclass(frozen=True)
class Snippet:
    """What the backbone sees of one segment."""

    num_channels: int
    num_frames: int


SNIPPETS: dict[Modality, Snippet] = {Modality.RGB: Snippet(num_channels=3, num_frames=1)}
"""The modalities that can be trained and tested today."""


def snippet(modality: Modality) -> Snippet:
    """The snippet of a modality.

    Raises:
        BadConfiguration: the modality has a name but no input yet.
    """
    if modality not in SNIPPETS:
        raise BadConfiguration(f"modality {modality.value} is not offered; choose {', '.join(SNIPPETS)}")
    return SNIPPETS[modality]
