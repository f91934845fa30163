"""From the features of a clip's segments to one answer. Parameter names are those of the published checkpoints."""

# b: batch, t: segments, f: features, v: verbs, n: nouns

from collections.abc import Callable
from typing import ClassVar, NamedTuple

from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.model.spec import Consensus, NetworkSpec


class Logits(NamedTuple):
    """Scores before softmax: verb (..., v) and noun (..., n)."""

    verb: Tensor
    noun: Tensor


class SegmentAverage(nn.Module):
    """TSN (Wang et al., arXiv 1608.00859): mean over segments of the logits, which a linear head lets us take over features."""

    is_linear: ClassVar[bool] = True

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.fc_verb = _small_linear(num_features, spec.num_verbs)
        self.fc_noun = _small_linear(num_features, spec.num_nouns)

    def forward(self, features: Tensor) -> Logits:
        """(b, t, f) -> Logits (b, v), (b, n)."""
        mean = features.mean(dim=1)
        return Logits(self.fc_verb(mean), self.fc_noun(mean))


class Relation(nn.Module):
    """TRN (Zhou et al., arXiv 1711.08496) with one relation over all segments in their order."""

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.new_fc = _small_linear(num_features, 256)
        relation = nn.Sequential(nn.ReLU(), nn.Linear(256 * spec.num_segments, 512), nn.ReLU())
        heads = nn.ModuleList([nn.Linear(512, spec.num_verbs), nn.Linear(512, spec.num_nouns)])
        self.consensus = nn.ModuleDict({"pre_classifier": relation, "classifiers": heads})

    def forward(self, features: Tensor) -> Logits:
        """(b, t, f) -> Logits (b, v), (b, n)."""
        relation = self.consensus["pre_classifier"](self.new_fc(features).flatten(1))
        verb_head, noun_head = self.consensus["classifiers"].children()
        return Logits(verb_head(relation), noun_head(relation))


def _small_linear(num_in: int, num_out: int) -> nn.Linear:
    """A head whose first answers are close to uniform, as TSN starts it."""
    linear = nn.Linear(num_in, num_out)
    nn.init.normal_(linear.weight, 0, 0.001)
    nn.init.zeros_(linear.bias)
    return linear


# Each says by `is_linear` whether the mean of its answers is its answer to the mean.
HEADS: dict[Consensus, Callable[[int, NetworkSpec], nn.Module]] = {
    Consensus.AVERAGE: SegmentAverage,
    Consensus.RELATION: Relation,
}


def make_head(num_features: int, spec: NetworkSpec) -> nn.Module:
    """The module (b, t, f) -> Logits that `spec.consensus` names.

    Raises:
        BadConfiguration: the consensus has a name but no module yet.
    """
    if spec.consensus not in HEADS:
        raise BadConfiguration(f"consensus {spec.consensus.value} is not offered; choose {', '.join(HEADS)}")
    return HEADS[spec.consensus](num_features, spec)
