"""List the heads, and define those for small data.

These reduce the features to few numbers before they relate them.
"""

# b: batch, t: segments, p: patches, f: features, r: reduced features (128), v: verbs, n: nouns

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from tasks.learn.consensus import Logits, MultiscaleRelation, Relation, SegmentAverage, small_linear
from tasks.learn.spec import Consensus, NetworkSpec

NUM_REDUCED = 128
NUM_ATTENTION_HEADS = 4
KERNEL = 3


class ReducedHead(nn.Module):
    """Reduces the features of each segment to `NUM_REDUCED`.

    They are normalised, so that backbones of any scale train alike.
    """

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.LayerNorm(num_features), nn.Linear(num_features, NUM_REDUCED))
        self.fc_verb = small_linear(NUM_REDUCED, spec.num_verbs)
        self.fc_noun = small_linear(NUM_REDUCED, spec.num_nouns)

    def name(self, summary: Tensor) -> Logits:
        """Map a clip's summary (b, r) to Logits (b, v), (b, n)."""
        return Logits(self.fc_verb(summary), self.fc_noun(summary))


class Attentive(ReducedHead):
    """One learned query attends to the patches of all segments at once.

    It is the attentive probe of V-JEPA (Bardes et al., arXiv 2404.08471): one cross-attention and a small network after it. Patches have the
    position of their segment in time, by sines (Vaswani et al., arXiv 1706.03762), and none in the image.
    """

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__(num_features, spec)
        self.query = nn.Parameter(torch.randn(NUM_REDUCED))
        self.keys_and_values = nn.Linear(NUM_REDUCED, 2 * NUM_REDUCED)
        self.attended = nn.Linear(NUM_REDUCED, NUM_REDUCED)
        self.combine = nn.Sequential(
            nn.LayerNorm(NUM_REDUCED), nn.Linear(NUM_REDUCED, 2 * NUM_REDUCED), nn.GELU(), nn.Linear(2 * NUM_REDUCED, NUM_REDUCED)
        )
        self.register_buffer("places", places(spec.num_segments), persistent=False)
        self.places: Tensor

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, p, f) to Logits (b, v), (b, n)."""
        seen = (self.reduce(features) + self.places[:, None]).flatten(1, 2)
        # (b, t * p, 2 * r) -> (b, a, t * p, 2 * r / a), for a attention heads
        keys, values = self.keys_and_values(seen).unflatten(2, (NUM_ATTENTION_HEADS, -1)).transpose(1, 2).chunk(2, dim=3)
        query = self.query.reshape(NUM_ATTENTION_HEADS, 1, -1).expand(seen.shape[0], -1, -1, -1)
        found = self.attended(scaled_dot_product_attention(query, keys, values).flatten(1))
        return self.name(found + self.combine(found))


def places(num_segments: int) -> Tensor:
    """Compute the sines and cosines (t, r) of the segments' places in time.

    Their longest wave is that of 64 segments.
    """
    rates = 2 * torch.pi / 2 ** torch.linspace(1, 6, NUM_REDUCED // 2)
    angles = torch.arange(num_segments)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Recurrent(ReducedHead):
    """Relates the segments by an LSTM, and answers at the last one.

    It is that of Ng et al. (arXiv 1503.08909). Its forget gates start open (Jozefowicz et al., ICML 2015), so that the first of many
    segments still counts.
    """

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__(num_features, spec)
        # Unlike `nn.LSTM`, a cell can be exported, and cuDNN cannot keep it from giving gradients in evaluation mode.
        self.lstm = nn.LSTMCell(NUM_REDUCED, NUM_REDUCED)
        nn.init.ones_(self.lstm.bias_ih[NUM_REDUCED : 2 * NUM_REDUCED])

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        first, *others = self.reduce(features).unbind(1)
        state = self.lstm(first)
        for segment in others:
            state = self.lstm(segment, state)
        return self.name(state[0])


class DilatedBlock(nn.Module):
    """Adds a dilated convolution over time, then one of width 1, to its input.

    It is the block of MS-TCN (Abu Farha and Gall, arXiv 1903.01945).
    """

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(NUM_REDUCED, NUM_REDUCED, KERNEL, padding=dilation, dilation=dilation)
        self.pointwise = nn.Conv1d(NUM_REDUCED, NUM_REDUCED, 1)

    def forward(self, segments: Tensor) -> Tensor:
        """Map (b, r, t) to (b, r, t)."""
        result: Tensor = segments + self.pointwise(self.dilated(segments).relu())
        return result


class TemporalConvolution(ReducedHead):
    """Temporal convolutional network (Lea et al., arXiv 1611.05267) of MS-TCN's blocks, averaged over time.

    Each block has twice the dilation of the one before; the last ones see the whole clip.
    """

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__(num_features, spec)
        num_blocks = max(1, spec.num_segments.bit_length() - 1)
        self.blocks = nn.Sequential(*(DilatedBlock(2**level) for level in range(num_blocks)))

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        segments = self.blocks(self.reduce(features).transpose(1, 2))
        return self.name(segments.mean(2))


HEADS: Mapping[Consensus, Callable[[int, NetworkSpec], nn.Module]] = {
    Consensus.AVERAGE: SegmentAverage,
    Consensus.RELATION: Relation,
    Consensus.MULTISCALE_RELATION: MultiscaleRelation,
    Consensus.ATTENTIVE: Attentive,
    Consensus.LSTM: Recurrent,
    Consensus.TCN: TemporalConvolution,
}
"""(number of features, spec) -> module (b, t, f), or (b, t, p, f) if the spec sees patches, -> Logits.

If `is_linear`, averaging features or logits gives the same result.
"""
