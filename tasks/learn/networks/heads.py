"""Combine the features of segments into one prediction.

Parameter names match the published checkpoints.
"""

# b: batch, t: segments, f: features, d: reduced features (128), v: verbs, n: nouns
# of relations: s: segments of each, which is their scale, r: relations of one scale, g: features (256)

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Consensus

NUM_RELATION_FEATURES = 256
MAX_RELATED_SEGMENTS = 16
"""The number of relations doubles with each segment."""

NUM_DRAWN = 3
"""Number of relations that the published code samples per scale."""

Drawn = tuple[Tensor, Tensor]
"""(r,) indices of relations, and (r,) weights: mean number of draws of each per pass."""

NUM_REDUCED = 128


class Logits(NamedTuple):
    """Scores before softmax: verb (..., v) and noun (..., n)."""

    verb: Tensor
    noun: Tensor

    @classmethod
    def stacked(cls, answers: Iterable["Logits"]) -> "Logits":
        """Stack the logits of several clips or crops: (n, …, v) and (n, …, n)."""
        return cls(*(torch.stack(own) for own in zip(*answers, strict=True)))

    def numpy(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Convert to arrays; the tensors must be on the CPU and have no gradient."""
        return self.verb.numpy(), self.noun.numpy()


def small_linear(num_in: int, num_out: int) -> nn.Linear:
    """Build a linear layer with TSN's initialisation, whose first outputs are nearly uniform."""
    linear = nn.Linear(num_in, num_out)
    nn.init.normal_(linear.weight, 0, 0.001)
    nn.init.zeros_(linear.bias)
    return linear


class SegmentAverage(nn.Module):
    """TSN's consensus (Wang et al., arXiv 1608.00859): linear heads on features averaged over segments."""

    is_linear: ClassVar[bool] = True
    """Whether the logits of mean features are the mean of logits."""

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.fc_verb = small_linear(num_features, spec.num_verbs)
        self.fc_noun = small_linear(num_features, spec.num_nouns)

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        mean = features.mean(dim=1)
        return Logits(self.fc_verb(mean), self.fc_noun(mean))


class Relation(nn.Module):
    """TRN (Zhou et al., arXiv 1711.08496) with one relation over all ordered segments."""

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.new_fc = small_linear(num_features, NUM_RELATION_FEATURES)
        relation = nn.Sequential(nn.ReLU(), nn.Linear(NUM_RELATION_FEATURES * spec.num_segments, 512), nn.ReLU())
        heads = nn.ModuleList([nn.Linear(512, spec.num_verbs), nn.Linear(512, spec.num_nouns)])
        self.consensus = nn.ModuleDict({"pre_classifier": relation, "classifiers": heads})

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        relation = self.consensus["pre_classifier"](self.new_fc(features).flatten(1))
        verb_head, noun_head = self.consensus["classifiers"].children()
        return Logits(verb_head(relation), noun_head(relation))


class MultiscaleRelation(nn.Module):
    """Multi-scale TRN (Zhou et al., arXiv 1711.08496): relations of several numbers of segments, summed.

    The relations of one number of segments, from t down to 2, are a scale. As in the code that trained EPIC-KITCHENS-55's checkpoints, 3
    relations are sampled per scale, and every scale except the largest uses the classifiers of the next larger scale, so that the last ones
    are never used. Training samples for each batch from torch's generator. Evaluation averages over all possible samples, or over
    `spec.relation_draws` of them seeded by `spec.relation_seed`.

    Raises:
        BadConfiguration: fewer than 2 segments, or more than 16.
    """

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        if spec.num_segments < 2:
            raise BadConfiguration("MTRN relates segments and needs at least 2; set num_segments to 2 or more")
        if spec.num_segments > MAX_RELATED_SEGMENTS:
            raise BadConfiguration(
                f"MTRN with {spec.num_segments} segments has {2**spec.num_segments:,} relations; "
                f"set num_segments to {MAX_RELATED_SEGMENTS} or fewer"
            )
        scales = range(spec.num_segments, 1, -1)
        self.relations = [torch.tensor(list(combinations(range(spec.num_segments), scale))) for scale in scales]
        self.new_fc = small_linear(num_features, NUM_RELATION_FEATURES)
        nums_relations = [len(relations) for relations in self.relations]
        # Thousands of draws take seconds, and a network on the meta device, which only has shapes, never runs.
        self.in_evaluation = [] if self.new_fc.weight.is_meta else _mean_draws(nums_relations, spec.relation_draws, spec.relation_seed)
        fusions = [nn.Sequential(nn.ReLU(), nn.Linear(NUM_RELATION_FEATURES * scale, NUM_RELATION_FEATURES), nn.ReLU()) for scale in scales]
        sizes = (spec.num_verbs, spec.num_nouns)
        heads = [nn.ModuleList([nn.Linear(NUM_RELATION_FEATURES, size) for size in sizes]) for _ in scales]
        if len(heads) > 1:
            # The last classifiers get no gradient, and DDP waits for one of every trainable parameter.
            heads[-1].requires_grad_(False)
        self.consensus = nn.ModuleDict({"classifiers": nn.ModuleList(heads), "fc_fusion_scales": nn.ModuleList(fusions)})

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        projected = self.new_fc(features)
        heads, fusions = (list(self.consensus[name].children()) for name in ("classifiers", "fc_fusion_scales"))
        verbs: list[Tensor] = []
        nouns: list[Tensor] = []
        for index, relations in enumerate(self.relations):
            chosen, weights = _draw(len(relations)) if self.training else self.in_evaluation[index]
            # (b, r, s, g) -> (b, r, g) -> (b, g): the heads are linear, so they take the weighted sum of the relations.
            segments = projected[:, relations[chosen].to(features.device)]
            related = torch.einsum("brg,r->bg", fusions[index](segments.flatten(2)), weights.to(segments))
            # As published, the head of the next larger scale.
            for answers, head in zip((verbs, nouns), heads[max(0, index - 1)].children(), strict=True):
                assert isinstance(head, nn.Linear)  # noqa: S101 - for mypy; built so above
                # Each drawn relation brings the bias once.
                answers.append(nn.functional.linear(related, head.weight) + min(NUM_DRAWN, len(relations)) * head.bias)
        return Logits(torch.stack(verbs).sum(0), torch.stack(nouns).sum(0))


def _mean_draws(nums_relations: Sequence[int], num_draws: int, seed: int) -> list[Drawn]:
    """Average `num_draws` draws of relations at each scale, or all possible ones if 0."""
    if not num_draws:
        return [(torch.arange(num), torch.full((num,), min(NUM_DRAWN, num) / num)) for num in nums_relations]
    generator = torch.Generator().manual_seed(seed)
    means = []
    for num in nums_relations:
        counts = torch.cat([_draw(num, generator)[0] for _ in range(num_draws)]).bincount(minlength=num)
        chosen = counts.nonzero().squeeze(1)
        means.append((chosen, counts[chosen] / num_draws))
    return means


def _draw(num_relations: int, generator: torch.Generator | None = None) -> Drawn:
    """Sample `NUM_DRAWN` relations, each once."""
    # A copy, because a slice keeps all relations in memory.
    chosen = torch.randperm(num_relations, generator=generator)[:NUM_DRAWN].clone()
    return chosen, torch.ones(len(chosen))


class DilatedBlock(nn.Module):
    """MS-TCN's block (arXiv 1903.01945): a dilated and a pointwise convolution, added to the input."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(NUM_REDUCED, NUM_REDUCED, kernel_size=3, padding=dilation, dilation=dilation)
        self.pointwise = nn.Conv1d(NUM_REDUCED, NUM_REDUCED, 1)

    def forward(self, segments: Tensor) -> Tensor:
        """Map (b, d, t) to (b, d, t)."""
        result: Tensor = segments + self.pointwise(self.dilated(segments).relu())
        return result


class TemporalConvolution(nn.Module):
    """Temporal convolutional network (Lea et al., arXiv 1611.05267) of MS-TCN's blocks, averaged over time.

    Features are first normalised, so that backbones of any scale train alike, and reduced. Each block doubles the dilation, so that the middle
    segment sees the whole clip, and every segment does if their number is a power of two.
    """

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.LayerNorm(num_features), nn.Linear(num_features, NUM_REDUCED))
        self.fc_verb = small_linear(NUM_REDUCED, spec.num_verbs)
        self.fc_noun = small_linear(NUM_REDUCED, spec.num_nouns)
        num_blocks = max(1, spec.num_segments.bit_length() - 1)
        self.blocks = nn.Sequential(*(DilatedBlock(2**level) for level in range(num_blocks)))

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        summary = self.blocks(self.reduce(features).transpose(1, 2)).mean(2)
        return Logits(self.fc_verb(summary), self.fc_noun(summary))


HEADS: Mapping[Consensus, Callable[[int, NetworkSpec], nn.Module]] = {
    Consensus.AVERAGE: SegmentAverage,
    Consensus.RELATION: Relation,
    Consensus.MULTISCALE_RELATION: MultiscaleRelation,
    Consensus.TCN: TemporalConvolution,
}
"""(number of features, spec) -> module (b, t, f) -> Logits."""
