"""Combine segment features into one prediction by the consensus heads of the families.

Parameter names match the published checkpoints.
"""

# b: batch, t: segments, f: features, g: features of a relation (256), r: relations of one scale, s: segments of a relation, v: verbs, n: nouns

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.learn.spec import NetworkSpec

NUM_RELATION_FEATURES = 256
MAX_RELATED_SEGMENTS = 16
"""The number of relations doubles with each segment."""

NUM_DRAWN = 3
"""Number of relations that the published code samples per scale."""


class Logits(NamedTuple):
    """Scores before softmax: verb (..., v) and noun (..., n)."""

    verb: Tensor
    noun: Tensor

    def numpy(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Convert to arrays; the tensors must be on the CPU and have no gradient."""
        return self.verb.numpy(), self.noun.numpy()


class SegmentAverage(nn.Module):
    """TSN's consensus (Wang et al., arXiv 1608.00859): logits averaged over segments.

    They are computed from averaged features because the heads are linear.
    """

    is_linear: ClassVar[bool] = True

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
    """Multi-scale TRN (the same paper): relations summed over scales.

    The scales are t, t - 1, … and 2 segments. As in the code that trained EPIC-KITCHENS-55's checkpoints, every scale except the largest
    uses the classifiers of the next larger scale, so the last classifiers are never used; and 3 relations are sampled per scale. Training
    samples them for each batch from torch's generator. Evaluation averages over samples: over all of them, which weights each relation by
    its probability of being sampled, or over `spec.relation_draws` of them seeded by `spec.relation_seed`.

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
        # Thousands of draws take seconds; an outline, on the meta device, answers nothing.
        is_outline = self.new_fc.weight.is_meta
        self.in_evaluation = [] if is_outline else _mean_draws(nums_relations, spec.relation_draws, spec.relation_seed)
        fusions = [nn.Sequential(nn.ReLU(), nn.Linear(NUM_RELATION_FEATURES * s, NUM_RELATION_FEATURES), nn.ReLU()) for s in scales]
        sizes = (spec.num_verbs, spec.num_nouns)
        heads = [nn.ModuleList([nn.Linear(NUM_RELATION_FEATURES, size) for size in sizes]) for _ in scales]
        if len(heads) > 1:
            # DDP waits for a gradient of every trainable parameter.
            heads[-1].requires_grad_(False)
        self.consensus = nn.ModuleDict({"classifiers": nn.ModuleList(heads), "fc_fusion_scales": nn.ModuleList(fusions)})

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        reduced = self.new_fc(features)
        heads, fusions = (list(self.consensus[name].children()) for name in ("classifiers", "fc_fusion_scales"))
        verbs: list[Tensor] = []
        nouns: list[Tensor] = []
        for scale, relations in enumerate(self.relations):
            chosen, share = _draw(len(relations)) if self.training else self.in_evaluation[scale]
            # (b, r, s, g) -> (b, r, g) -> (b, g): the heads are linear, so they take the sum of the relations.
            segments = reduced[:, relations[chosen].to(features.device)]
            related = torch.einsum("brg,r->bg", fusions[scale](segments.flatten(2)), share.to(segments))
            for answers, head in zip((verbs, nouns), heads[max(0, scale - 1)].children(), strict=True):
                assert isinstance(head, nn.Linear)  # noqa: S101 - for mypy; built so above
                answers.append(nn.functional.linear(related, head.weight) + min(NUM_DRAWN, len(relations)) * head.bias)
        return Logits(torch.stack(verbs).sum(0), torch.stack(nouns).sum(0))


Drawn = tuple[Tensor, Tensor]
"""(r,) indices of relations, and (r,) the share of draws that contain each."""


def _mean_draws(nums_relations: Sequence[int], num_draws: int, seed: int) -> list[Drawn]:
    """Average over `num_draws` draws, or over all possible ones if 0, for each scale."""
    if not num_draws:
        return [(torch.arange(num), torch.full((num,), min(NUM_DRAWN, num) / num)) for num in nums_relations]
    generator = torch.Generator().manual_seed(seed)
    found = []
    for num in nums_relations:
        times = torch.cat([_draw(num, generator)[0] for _ in range(num_draws)]).bincount(minlength=num)
        chosen = times.nonzero().squeeze(1)
        found.append((chosen, times[chosen] / num_draws))
    return found


def _draw(num_relations: int, generator: torch.Generator | None = None) -> Drawn:
    """Sample `NUM_DRAWN` relations."""
    # A copy, because a slice keeps all relations in memory.
    chosen = torch.randperm(num_relations, generator=generator)[:NUM_DRAWN].clone()
    return chosen, torch.ones(len(chosen))


def small_linear(num_in: int, num_out: int) -> nn.Linear:
    """Build a linear layer with TSN's initialisation, whose first outputs are nearly uniform."""
    linear = nn.Linear(num_in, num_out)
    nn.init.normal_(linear.weight, 0, 0.001)
    nn.init.zeros_(linear.bias)
    return linear
