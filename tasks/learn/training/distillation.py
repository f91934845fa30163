"""Teach a network by another's softened logits."""

# b: batch, c: classes

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.spec import NetworkSpec

TEMPERATURE = 4.0
"""Divides both networks' logits, so that the odds among unlikely classes count, too."""
NEVER = -1e4
"""Logit of a class that no labelled clip has: its probability is 0, and so is its part of a divergence."""


class DistillationLoss(nn.Module):
    """Difference of a student to its teacher, per clip, labelled or not.

    It is T² times the Kullback-Leibler divergence of both networks' distributions at temperature T, of verbs plus of nouns
    (Hinton et al. 2015, arXiv 1503.02531).

    Args:
        teaching: the teacher's logits of each clip.
        clips: the clips that it answers; the teacher's other classes than those of their labels do not count.
        spec: of the student.
        has_objects: whether nouns count.
    """

    def __init__(self, teaching: Logits, clips: Sequence[CachedClip], spec: NetworkSpec, *, has_objects: bool) -> None:
        super().__init__()
        self.has_objects = has_objects
        labelled = [clip for clip in clips if clip.has_label]
        verb = over_classes(teaching.verb, {clip.verb for clip in labelled}, spec.num_verbs)
        noun = over_classes(teaching.noun, {clip.noun for clip in labelled}, spec.num_nouns)
        # Not in checkpoints: a resumed training asks the teacher again.
        self.register_buffer("verb", verb, persistent=False)
        self.register_buffer("noun", noun, persistent=False)

    def forward(self, logits: Logits, clips: Tensor) -> Tensor:
        """Compute losses (b,) from the student's logits.

        `clips` (b,) are their clips by index; -1 stands for a clip that does not count.
        """
        losses = divergence(logits.verb, self.get_buffer("verb")[clips])
        if self.has_objects:
            losses = losses + divergence(logits.noun, self.get_buffer("noun")[clips])
        return losses * (clips >= 0)


def divergence(student: Tensor, teacher: Tensor) -> Tensor:
    """Compute T² KL(teacher || student) per clip (b,), in nats, from logits (b, c)."""
    ours, theirs = (functional.log_softmax(logits / TEMPERATURE, dim=1) for logits in (student, teacher))
    return TEMPERATURE**2 * functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(1)


def over_classes(logits: Tensor, classes: Iterable[int], num_classes: int) -> Tensor:
    """Widen logits (n, c) to `num_classes`, with `NEVER` outside `classes`."""
    kept = [number for number in sorted(classes) if number < logits.shape[1]]
    answers = torch.full((len(logits), num_classes), NEVER)
    answers[:, kept] = logits[:, kept]
    return answers
