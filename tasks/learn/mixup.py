"""Mix pairs of clips in a batch, and their losses, by mixup.

Source: Zhang et al., arXiv 1710.09412.
"""

# b: batch, …: whatever is mixed

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.learn.consensus import Logits
from tasks.learn.data import NO_LABEL, Sample
from tasks.learn.losses import ClipLosses, CrossEntropies


@dataclass(frozen=True)
class Mix:
    """Mixing of one batch: `share` of each clip, the rest from its partner (b,)."""

    share: float
    partners: Tensor

    def inputs(self, inputs: Tensor) -> Tensor:
        """Mix the inputs (b, …)."""
        return self.share * inputs + (1 - self.share) * inputs[self.partners]

    def losses(self, criterion: CrossEntropies, logits: Logits, batch: Sample) -> ClipLosses:
        """Mix the losses of verbs and nouns with the same share."""
        own = criterion(logits, batch.verb, batch.noun)
        other = criterion(logits, batch.verb[self.partners], batch.noun[self.partners])
        return ClipLosses(*(self.share * a + (1 - self.share) * b for a, b in zip(own, other, strict=True)))


@dataclass(frozen=True)
class Mixup:
    """Draws a share from Beta(alpha, alpha) per batch.

    It is a function of (seed, epoch, batch index), the same in all processes. A clip's partner is the previous clip of the batch in the
    same process, which the epoch's order makes random; a single clip is unchanged.
    """

    alpha: float
    seed: int

    def draw(self, epoch: int, batch_index: int, batch: Sample) -> Mix:
        """Draw the mixing of this batch."""
        share = float(np.random.default_rng([self.seed, epoch, batch_index]).beta(self.alpha, self.alpha))
        partners = torch.arange(len(batch.verb), device=batch.verb.device)
        counts = batch.verb != NO_LABEL
        partners[counts] = partners[counts].roll(1)
        return Mix(share, partners)
