"""Compute losses per clip: cross-entropy of verbs and nouns, smoothed and weighted in training."""

# b: batch, v: verbs, n: nouns

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.learn.consensus import Logits
from tasks.learn.data import NO_LABEL


class ClipLosses(NamedTuple):
    """Losses per clip (b,), in nats; 0 for a clip that does not count."""

    verb: Tensor
    noun: Tensor

    @property
    def total(self) -> Tensor:
        """Return the training objective per clip (b,)."""
        return self.verb + self.noun


class ClassWeights(NamedTuple):
    """Loss weights per class, (v,) and (n,)."""

    verb: Tensor
    noun: Tensor


class CrossEntropies(nn.Module):
    """Cross-entropy of verbs and nouns, per clip.

    Args:
        label_smoothing: share of a label that is spread evenly over all classes.
        weights: class weights of the losses; None weights all classes equally.
        has_objects: whether nouns count; otherwise their loss is 0.
    """

    def __init__(self, label_smoothing: float = 0, weights: ClassWeights | None = None, *, has_objects: bool = True) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.has_objects = has_objects
        self.verb_weights: Tensor | None
        self.noun_weights: Tensor | None
        self.register_buffer("verb_weights", weights.verb if weights else None, persistent=False)
        self.register_buffer("noun_weights", weights.noun if weights else None, persistent=False)

    def forward(self, logits: Logits, verb: Tensor, noun: Tensor) -> ClipLosses:
        """Compute losses (b,), (b,) from logits (b, v), (b, n) and class ids (b,), (b,)."""
        verb_losses = self._of(logits.verb, verb, self.verb_weights)
        if self.has_objects:
            return ClipLosses(verb_losses, self._of(logits.noun, noun, self.noun_weights))
        # A zero gradient instead of none, because DDP waits for the gradient of every parameter.
        return ClipLosses(verb_losses, 0 * logits.noun.sum(1))

    def _of(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=NO_LABEL, label_smoothing=self.label_smoothing)
        # torch's `weight` argument would weight the smoothed part by the other classes.
        return losses if weights is None else losses * weights[labels.clamp(min=0)]


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Compute class weights (num_classes,) inversely proportional to class frequency, with mean 1 over `labels`.

    Every class in `labels` gets the same total weight; absent classes get 0.
    """
    num_clips = torch.bincount(labels, minlength=num_classes)
    is_present = num_clips > 0
    return torch.where(is_present, len(labels) / (is_present.sum() * num_clips.clamp(min=1)), 0.0)
