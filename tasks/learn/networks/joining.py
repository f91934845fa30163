"""Join the features of several networks for one head."""

# k: crops, t: segments, s: segments of one network, f: features, j: features of all, b: batch, v: verbs, n: nouns

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d

MIN_SPREAD = 0.1
"""Least deviation that a feature is divided by, as a share of the mean deviation. One that hardly varies in train must not rule elsewhere."""


class Joining(nn.Module):
    """Standardises each network's features on the training clips, pools them over time, and joins them.

    A clip that is silent to a network has features of 0 alone, and counts as the average of the training clips.
    """

    def __init__(self, sizes: Sequence[int], num_segments: int) -> None:
        super().__init__()
        self.sizes = list(sizes)
        self.num_segments = num_segments
        self.register_buffer("mean", torch.zeros(sum(sizes)))
        self.register_buffer("scale", torch.ones(sum(sizes)))
        self.mean: Tensor
        self.scale: Tensor

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Map (k, s, f) of each network to (k, t, j), repeating a single crop."""
        num_crops = max(own.shape[0] for own in features)
        means, scales = torch.split(self.mean, self.sizes), torch.split(self.scale, self.sizes)
        parts = [
            torch.where(has_any(own)[:, None, None], (self.pooled(own) - mean) / scale, 0).expand(num_crops, -1, -1)
            for own, mean, scale in zip(features, means, scales, strict=True)
        ]
        return torch.cat(parts, 2)

    def pooled(self, features: Tensor) -> Tensor:
        """Average (k, s, f) over time to (k, t, f)."""
        return adaptive_avg_pool1d(features.transpose(1, 2), self.num_segments).transpose(1, 2)

    def fit(self, views: Iterable[Sequence[Tensor]]) -> None:
        """Set means and deviations to those of views, each as `forward` takes it."""
        sums, squares, counts = (torch.zeros(len(self.mean), dtype=torch.float64) for _ in range(3))
        for features in views:
            parts = zip(features, *(torch.split(own, self.sizes) for own in (sums, squares, counts)), strict=True)
            for own, of_sum, of_squares, of_count in parts:
                seen = self.pooled(own)[has_any(own)].double().flatten(0, 1)
                of_sum += seen.sum(0)
                of_squares += seen.square().sum(0)
                of_count += len(seen)
        mean = sums / counts.clamp(min=1)
        deviation = (squares / counts.clamp(min=1) - mean.square()).clamp(min=0).sqrt()
        scales = [
            own.clamp(min=MIN_SPREAD * float(own.mean())) if own.any() else torch.ones_like(own)
            for own in torch.split(deviation, self.sizes)
        ]
        self.mean.copy_(mean)
        self.scale.copy_(torch.cat(scales))


class HeadAmong(nn.Module):
    """The head of `joint`, as a function of network `index`'s features; those of others stay."""

    def __init__(self, joint: nn.Module, features: Sequence[Tensor], index: int) -> None:
        super().__init__()
        self.joint = joint
        self.features = list(features)
        self.index = index

    def forward(self, features: Tensor) -> object:
        """Map (b, t, f) to Logits (b, v), (b, n)."""
        together = [*self.features[: self.index], features.cpu(), *self.features[self.index + 1 :]]
        return self.joint.get_submodule("head")(self.joint.get_submodule("backbone")(together))


def has_any(features: Tensor) -> Tensor:
    """Check for each crop (k,) whether it has features other than 0."""
    return (features != 0).flatten(1).any(1)
