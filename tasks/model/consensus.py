"""From the features of a clip's segments to one answer. Parameter names are those of the published checkpoints."""

# b: batch, t: segments, f: features, g: features of a relation (256), r: relations of one scale, s: segments of a relation, v: verbs, n: nouns

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.model.spec import Consensus, NetworkSpec

NUM_RELATION_FEATURES = 256
MAX_RELATED_SEGMENTS = 16
"""Their number of relations doubles with each segment."""

NUM_DRAWN = 3
"""Relations of a scale that the published code draws at a time."""


class Logits(NamedTuple):
    """Scores before softmax: verb (..., v) and noun (..., n)."""

    verb: Tensor
    noun: Tensor

    def numpy(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same as arrays; they must lie on the CPU and have no gradient."""
        return self.verb.numpy(), self.noun.numpy()


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
        self.new_fc = _small_linear(num_features, NUM_RELATION_FEATURES)
        relation = nn.Sequential(nn.ReLU(), nn.Linear(NUM_RELATION_FEATURES * spec.num_segments, 512), nn.ReLU())
        heads = nn.ModuleList([nn.Linear(512, spec.num_verbs), nn.Linear(512, spec.num_nouns)])
        self.consensus = nn.ModuleDict({"pre_classifier": relation, "classifiers": heads})

    def forward(self, features: Tensor) -> Logits:
        """(b, t, f) -> Logits (b, v), (b, n)."""
        relation = self.consensus["pre_classifier"](self.new_fc(features).flatten(1))
        verb_head, noun_head = self.consensus["classifiers"].children()
        return Logits(verb_head(relation), noun_head(relation))


class MultiscaleRelation(nn.Module):
    """Multi-scale TRN (the same paper), summed over scales: relations of all t segments, of t - 1, down to 2.

    As in EPIC-KITCHENS-55's code, whose checkpoints were trained with it, each scale but the largest uses the classifiers of the scale before
    it, so the last classifiers are never used; and of each scale 3 relations are drawn. In training they are drawn anew for each batch, from
    torch's generator. In evaluation the answer is the mean over such draws: of all of them, which is each relation weighted by how often it
    is drawn, or of `spec.relation_draws` of them under `spec.relation_seed`.

    Raises:
        BadConfiguration: fewer than 2 segments, or more than 16.
    """

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        if spec.num_segments < 2:
            raise BadConfiguration("a relation is one of segments, and MTRN was asked for with 1; set num_segments to 2 or more")
        if spec.num_segments > MAX_RELATED_SEGMENTS:
            raise BadConfiguration(
                f"MTRN was asked for with {spec.num_segments} segments, which have {2**spec.num_segments:,} relations; "
                f"set num_segments to {MAX_RELATED_SEGMENTS} or fewer"
            )
        scales = range(spec.num_segments, 1, -1)
        self.relations = [torch.tensor(list(combinations(range(spec.num_segments), scale))) for scale in scales]
        self.in_tests = _shares([len(relations) for relations in self.relations], spec.relation_draws, spec.relation_seed)
        self.new_fc = _small_linear(num_features, NUM_RELATION_FEATURES)
        fusions = [nn.Sequential(nn.ReLU(), nn.Linear(NUM_RELATION_FEATURES * s, NUM_RELATION_FEATURES), nn.ReLU()) for s in scales]
        sizes = (spec.num_verbs, spec.num_nouns)
        heads = [nn.ModuleList([nn.Linear(NUM_RELATION_FEATURES, size) for size in sizes]) for _ in scales]
        if len(heads) > 1:
            # Processes that train together wait for the gradient of whatever might learn.
            heads[-1].requires_grad_(False)
        self.consensus = nn.ModuleDict({"classifiers": nn.ModuleList(heads), "fc_fusion_scales": nn.ModuleList(fusions)})

    def forward(self, features: Tensor) -> Logits:
        """(b, t, f) -> Logits (b, v), (b, n)."""
        reduced = self.new_fc(features)
        heads, fusions = (list(self.consensus[name].children()) for name in ("classifiers", "fc_fusion_scales"))
        verbs: list[Tensor] = []
        nouns: list[Tensor] = []
        for scale, relations in enumerate(self.relations):
            chosen, share = _drawn(len(relations)) if self.training else self.in_tests[scale]
            # (b, r, s, g) -> (b, r, g) -> (b, g): the heads are linear, so they take the sum of the relations.
            segments = reduced[:, relations[chosen].to(features.device)]
            related = torch.einsum("brg,r->bg", fusions[scale](segments.flatten(2)), share.to(segments))
            for answers, head in zip((verbs, nouns), heads[max(0, scale - 1)].children(), strict=True):
                assert isinstance(head, nn.Linear)  # noqa: S101 - for mypy; built so above
                answers.append(nn.functional.linear(related, head.weight) + min(NUM_DRAWN, len(relations)) * head.bias)
        return Logits(torch.stack(verbs).sum(0), torch.stack(nouns).sum(0))


Drawn = tuple[Tensor, Tensor]
"""(r,) numbers of relations, and (r,) how often each is part of a draw, on the mean over draws."""


def _shares(nums_relations: Sequence[int], num_draws: int, seed: int) -> list[Drawn]:
    """For each scale, what the mean over all draws, or over so many, is made of."""
    if not num_draws:
        return [(torch.arange(num), torch.full((num,), min(NUM_DRAWN, num) / num)) for num in nums_relations]
    generator = torch.Generator().manual_seed(seed)
    found = []
    for num in nums_relations:
        times = torch.cat([_drawn(num, generator)[0] for _ in range(num_draws)]).bincount(minlength=num)
        chosen = times.nonzero().squeeze(1)
        found.append((chosen, times[chosen] / num_draws))
    return found


def _drawn(num_relations: int, generator: torch.Generator | None = None) -> Drawn:
    """One draw."""
    chosen = torch.randperm(num_relations, generator=generator)[:NUM_DRAWN]
    return chosen, torch.ones(len(chosen))


def _small_linear(num_in: int, num_out: int) -> nn.Linear:
    """A head whose first answers are close to uniform, as TSN starts it."""
    linear = nn.Linear(num_in, num_out)
    nn.init.normal_(linear.weight, 0, 0.001)
    nn.init.zeros_(linear.bias)
    return linear


HEADS: Mapping[Consensus, Callable[[int, NetworkSpec], nn.Module]] = {
    Consensus.AVERAGE: SegmentAverage,
    Consensus.RELATION: Relation,
    Consensus.MULTISCALE_RELATION: MultiscaleRelation,
}
"""(number of features, spec) -> module (b, t, f) -> Logits. Each says by `is_linear` whether the mean of its answers is its answer to the mean."""
