"""List the heads, and define those for small data: they reduce the features to few numbers before they relate them."""

# b: batch, t: segments, f: features, r: reduced features (128), v: verbs, n: nouns

from collections.abc import Callable, Mapping
from typing import ClassVar

from torch import Tensor, nn

from tasks.model.consensus import Logits, MultiscaleRelation, Relation, SegmentAverage, small_linear
from tasks.model.spec import Consensus, NetworkSpec

NUM_REDUCED = 128
KERNEL = 3


class ReducedHead(nn.Module):
    """Reduces the features of each segment to `NUM_REDUCED`, normalised so that backbones of any scale train alike."""

    is_linear: ClassVar[bool] = False

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__()
        self.reduce = nn.Sequential(nn.LayerNorm(num_features), nn.Linear(num_features, NUM_REDUCED))
        self.fc_verb = small_linear(NUM_REDUCED, spec.num_verbs)
        self.fc_noun = small_linear(NUM_REDUCED, spec.num_nouns)

    def name(self, summary: Tensor) -> Logits:
        """Map a clip's summary (b, r) to Logits (b, v), (b, n)."""
        return Logits(self.fc_verb(summary), self.fc_noun(summary))


class Recurrent(ReducedHead):
    """An LSTM over the segments, which answers at the last one (Ng et al., arXiv 1503.08909).

    Its forget gates start open (Jozefowicz et al., ICML 2015), so that the first of many segments still counts.
    """

    def __init__(self, num_features: int, spec: NetworkSpec) -> None:
        super().__init__(num_features, spec)
        self.lstm = nn.LSTM(NUM_REDUCED, NUM_REDUCED, batch_first=True)
        nn.init.ones_(self.lstm.get_parameter("bias_ih_l0")[NUM_REDUCED : 2 * NUM_REDUCED])

    def forward(self, features: Tensor) -> Logits:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        states, _ = self.lstm(self.reduce(features))
        return self.name(states[:, -1])


class DilatedBlock(nn.Module):
    """Residual block of MS-TCN (Farha and Gall, arXiv 1903.01945): a dilated convolution over time, then one of width 1."""

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
    Consensus.LSTM: Recurrent,
    Consensus.TCN: TemporalConvolution,
}
"""(number of features, spec) -> module (b, t, f) -> Logits. If `is_linear`, averaging features or logits gives the same result."""
