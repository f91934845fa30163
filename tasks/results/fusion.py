"""What a fusion of networks is made of, and how its weights were chosen."""

from tasks.options import FlowOptions, Modality
from tasks.results.record import Record


class Member(Record):
    """One network of a fusion, and where it was taken from: `name` is what the person wrote, `run_key` the training that it came from."""

    name: str
    network: str
    modality: Modality
    flow: FlowOptions | None
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str


class FusedMember(Record):
    """A network's shares among the logits of each head, which sum to 1 over the networks; its loss on val when it answers alone, over the clips whose classes it has outputs for."""

    name: str
    network: str
    verb_weight: float
    noun_weight: float
    val_loss: float


class Fusion(Record):
    """How the weights were chosen, on val.

    A loss is the mean cross-entropy of verbs plus that of nouns, in nats, each head's logits being divided by the temperature that suits
    them best (Guo et al. 2017, arXiv 1706.04599): networks differ in the scale of their logits, which changes no answer, and the raw losses
    of two networks would compare their scales. `held_out_loss` is that of weights that were chosen in the same way on other source videos;
    None where val has one alone.
    """

    members: tuple[FusedMember, ...]
    num_clips: int
    num_sources: int
    chosen_loss: float
    equal_loss: float
    held_out_loss: float | None
    held_out_equal_loss: float | None

    @property
    def is_supported(self) -> bool:
        """Whether chosen weights do better than equal ones on videos that they were not chosen on."""
        return self.held_out_loss is not None and self.held_out_equal_loss is not None and self.held_out_loss < self.held_out_equal_loss
