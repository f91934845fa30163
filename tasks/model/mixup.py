"""mixup (Zhang et al., arXiv 1710.09412): two clips of a batch are mixed, and so are their losses."""

# b: batch, …: whatever is mixed

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.model.consensus import Logits
from tasks.model.data import NO_LABEL, Sample
from tasks.model.losses import ClipLosses, CrossEntropies


@dataclass(frozen=True)
class Mix:
    """How one batch is mixed: each clip keeps `share` of itself and gets the rest of its partner (b,)."""

    share: float
    partners: Tensor

    def inputs(self, inputs: Tensor) -> Tensor:
        """(b, …) -> (b, …)."""
        return self.share * inputs + (1 - self.share) * inputs[self.partners]

    def losses(self, criterion: CrossEntropies, logits: Logits, batch: Sample) -> ClipLosses:
        """The mixed losses, verbs and nouns by the same share."""
        own = criterion(logits, batch.verb, batch.noun)
        other = criterion(logits, batch.verb[self.partners], batch.noun[self.partners])
        return ClipLosses(*(self.share * a + (1 - self.share) * b for a, b in zip(own, other, strict=True)))


@dataclass(frozen=True)
class Mixup:
    """Draws a share from Beta(alpha, alpha) for each batch, a function of (seed, epoch, number of the batch), the same in all processes.

    A clip's partner is the one before it in its process's part of the batch, which an epoch's order makes random; a clip that is alone there
    stays as it is.
    """

    alpha: float
    seed: int

    def draw(self, epoch: int, batch_index: int, batch: Sample) -> Mix:
        """How this batch is mixed."""
        share = float(np.random.default_rng([self.seed, epoch, batch_index]).beta(self.alpha, self.alpha))
        partners = torch.arange(len(batch.verb), device=batch.verb.device)
        counts = batch.verb != NO_LABEL
        partners[counts] = partners[counts].roll(1)
        return Mix(share, partners)
