"""The loss of each clip: cross-entropy of verbs and of nouns, smoothed and weighted for training alone."""

# b: batch, v: verbs, n: nouns

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.model.consensus import Logits
from tasks.model.data import NO_LABEL


class ClipLosses(NamedTuple):
    """The losses of each clip (b,), in nats; 0 where it does not count."""

    verb: Tensor
    noun: Tensor

    @property
    def total(self) -> Tensor:
        """What is minimised (b,)."""
        return self.verb + self.noun


class ClassWeights(NamedTuple):
    """What a clip of each class counts, (v,) and (n,)."""

    verb: Tensor
    noun: Tensor


class CrossEntropies(nn.Module):
    """Cross-entropy of verbs and of nouns, clip by clip.

    Args:
        label_smoothing: the share of a label that all classes get alike.
        weights: the loss of a clip counts as much as its class; None counts all alike.
        has_objects: whether nouns count; their loss is else 0.
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
        """Logits (b, v), (b, n) and class ids (b,), (b,) -> losses (b,), (b,)."""
        verb_losses = self._of(logits.verb, verb, self.verb_weights)
        if self.has_objects:
            return ClipLosses(verb_losses, self._of(logits.noun, noun, self.noun_weights))
        # Of gradient 0 rather than none, since processes that train together wait for the gradient of every weight.
        return ClipLosses(verb_losses, 0 * logits.noun.sum(1))

    def _of(self, logits: Tensor, labels: Tensor, weights: Tensor | None) -> Tensor:
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=NO_LABEL, label_smoothing=self.label_smoothing)
        # torch's own weights would weigh the smoothed part by the other classes'.
        return losses if weights is None else losses * weights[labels.clamp(min=0)]


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """What a clip of each class counts (num_classes,): in inverse proportion to how many there are, 1 on the mean over `labels`.

    A class of `labels` has the same sum of weights as every other; one that is not among them counts nothing.
    """
    num_clips = torch.bincount(labels, minlength=num_classes)
    is_there = num_clips > 0
    return torch.where(is_there, len(labels) / (is_there.sum() * num_clips.clamp(min=1)), 0.0)
