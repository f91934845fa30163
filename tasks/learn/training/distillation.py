"""Teach a network by another's softened logits, and by its features as a hint."""

# n: clips, b: batch, t: segments, f: features, v: verbs, n: nouns

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Self

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


class Teaching(NamedTuple):
    """A teacher's answers to the clips of `TrainJob.train`, in their order.

    `logits` are (n, v), (n, n), and `features` (n, f) its mean features, or None if they are not to be a hint.
    """

    logits: Logits
    features: Tensor | None = None

    @classmethod
    def of(cls, answers: Sequence[tuple[Logits, Tensor]], *, is_hint: bool) -> Self:
        """Stack the logits (v,), (n,) and the mean features (f,) of each clip."""
        logits = Logits(*(torch.stack(of_clips) for of_clips in zip(*(own for own, _ in answers), strict=True)))
        return cls(logits, torch.stack([features for _, features in answers]) if is_hint else None)


class DistillationLoss(nn.Module):
    """Differences of a student to its teacher, per clip, labelled or not.

    Softened logits: T² times the Kullback-Leibler divergence of both networks' distributions at temperature T, of verbs plus of nouns
    (Hinton et al. 2015, arXiv 1503.02531). Features: the mean squared difference of the teacher's standardised features and a linear map
    of the student's, learned beside it (FitNets, Romero et al. 2015, arXiv 1412.6550).

    Args:
        teaching: the teacher's answers.
        clips: the clips that it answers; the teacher's other classes than those of their labels do not count.
        spec: of the student.
        num_features: of the student, for the hint; None leaves it out.
        seed: of the linear map.
        has_objects: whether nouns count.
    """

    def __init__(
        self, teaching: Teaching, clips: Sequence[CachedClip], spec: NetworkSpec, *, num_features: int | None, seed: int, has_objects: bool
    ) -> None:
        super().__init__()
        self.has_objects = has_objects
        labelled = [clip for clip in clips if clip.has_label]
        verb = over_classes(teaching.logits.verb, {clip.verb for clip in labelled}, spec.num_verbs)
        noun = over_classes(teaching.logits.noun, {clip.noun for clip in labelled}, spec.num_nouns)
        # Not in checkpoints: a resumed training asks the teacher again.
        self.register_buffer("verb", verb, persistent=False)
        self.register_buffer("noun", noun, persistent=False)
        self.hint: nn.Linear | None = None
        if teaching.features is not None and num_features is not None:
            self.register_buffer("features", standardised(teaching.features), persistent=False)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.hint = nn.Linear(num_features, teaching.features.shape[1])

    def forward(self, logits: Logits, features: Tensor, clips: Tensor) -> Tensor:
        """Compute losses (b,) from the student's logits and features (b, t, …, f).

        `clips` (b,) are their clips by index; -1 stands for a clip that does not count.
        """
        losses = divergence(logits.verb, self.get_buffer("verb")[clips])
        if self.has_objects:
            losses = losses + divergence(logits.noun, self.get_buffer("noun")[clips])
        if self.hint is not None:
            mapped = self.hint(features.flatten(1, -2).mean(1))
            losses = losses + (mapped - self.get_buffer("features")[clips]).square().mean(1)
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


def standardised(features: Tensor) -> Tensor:
    """Centre each feature (n, f), and scale all by one factor to variance 1."""
    centred = features - features.mean(0)
    return centred / centred.square().mean().sqrt().clamp(min=1e-12)
