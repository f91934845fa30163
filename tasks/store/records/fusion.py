"""Define the members of a fusion, and how its weights were chosen."""

from pydantic import Field

from tasks.options import FlowOptions, Modality
from tasks.store.records.record import Record


class Member(Record):
    """One network of a fusion.

    `name` is as the person wrote it, `run_key` that of its training, and `sound` as of a `Champion`.
    """

    name: str
    network: str
    modality: Modality
    flow: FlowOptions | None
    sound: str | None = Field(None, exclude_if=lambda name: name is None)
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str


class FusedMember(Record):
    """A network's weight in each head, and its loss alone on val.

    The weights of a head sum to 1 over the networks; the loss is over clips whose classes have an output.
    """

    name: str
    network: str
    verb_weight: float
    noun_weight: float
    val_loss: float


class Fusion(Record):
    """How the weights were chosen, on val.

    A loss is the mean cross-entropy of verbs plus that of nouns, in nats, with each head's logits divided by their best temperature (Guo et
    al. 2017, arXiv 1706.04599): otherwise losses would reflect the scale of a network's logits, which changes no prediction. `held_out_loss`
    is that of weights chosen in the same way on other source videos; None if val has only one. `num_unheard` clips of val are not among
    `num_clips`, because a network of sound had nothing to hear in them.
    """

    members: tuple[FusedMember, ...]
    num_clips: int
    num_sources: int
    chosen_loss: float
    equal_loss: float
    held_out_loss: float | None
    held_out_equal_loss: float | None
    num_unheard: int = 0

    @property
    def is_supported(self) -> bool:
        """Check whether chosen weights are better than equal ones on held-out videos."""
        return self.held_out_loss is not None and self.held_out_equal_loss is not None and self.held_out_loss < self.held_out_equal_loss
