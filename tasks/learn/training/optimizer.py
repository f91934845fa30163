"""Turn a recipe into losses, parameter groups, optimizer and learning-rate schedule."""

# b: batch, c: classes, v: verbs, n: nouns

import re
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, SequentialLR

from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import RecipeOptions

Named = tuple[str, nn.Parameter]
NUMBERED = re.compile(r"^\D*\d+")


class ClipLosses(NamedTuple):
    """Losses per clip (b,), in nats; 0 for a clip that does not count."""

    verb: Tensor
    noun: Tensor

    @property
    def total(self) -> Tensor:
        """Return the training objective per clip (b,)."""
        return self.verb + self.noun


class PerClass(NamedTuple):
    """A number for each class, (v,) and (n,)."""

    verb: Tensor
    noun: Tensor


class CrossEntropies(nn.Module):
    """Cross-entropy of verbs and nouns, per clip; nouns count only with `has_objects`.

    `weights` are those of each class's loss; None weights all equally. `label_smoothing` is the smoothed part of each label; `spread` has the
    share that each class gets of it.
    """

    def __init__(
        self,
        label_smoothing: float = 0,
        weights: PerClass | None = None,
        spread: PerClass | None = None,
        *,
        has_objects: bool = True,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.has_objects = has_objects
        for name, of_classes in (("weights", weights), ("spread", spread)):
            for target in PerClass._fields:
                self.register_buffer(f"{target}_{name}", getattr(of_classes, target) if of_classes else None, persistent=False)

    def forward(self, logits: Logits, verb: Tensor, noun: Tensor) -> ClipLosses:
        """Compute losses (b,), (b,) from logits (b, v), (b, n) and class ids (b,), (b,)."""
        verb_losses = self._of(logits.verb, verb, "verb")
        if self.has_objects:
            return ClipLosses(verb_losses, self._of(logits.noun, noun, "noun"))
        # A zero gradient instead of none, because DDP waits for the gradient of every parameter.
        return ClipLosses(verb_losses, 0 * logits.noun.sum(1))

    def _of(self, logits: Tensor, labels: Tensor, target: str) -> Tensor:
        weights, spread = self.get_buffer(f"{target}_weights"), self.get_buffer(f"{target}_spread")
        losses = functional.cross_entropy(logits, labels, reduction="none", ignore_index=NO_LABEL)
        if spread is not None:
            # torch's `label_smoothing` would spread over all outputs, though no clip can have most of them.
            smoothed = -(functional.log_softmax(logits, dim=1) * spread).sum(1) * (labels != NO_LABEL)
            losses = (1 - self.label_smoothing) * losses + self.label_smoothing * smoothed
        # torch's `weight` argument would weight the smoothed part by the other classes.
        return losses if weights is None else losses * weights[labels.clamp(min=0)]


def even_shares(labels: Tensor, num_classes: int) -> Tensor:
    """Compute the shares (num_classes,) of a label spread evenly over the classes in `labels`."""
    is_present = torch.bincount(labels, minlength=num_classes) > 0
    return is_present / is_present.sum()


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Compute weights (num_classes,) inverse to frequency, with mean 1 over `labels`; absent classes get 0."""
    num_clips = torch.bincount(labels, minlength=num_classes)
    is_present = num_clips > 0
    return torch.where(is_present, len(labels) / (is_present.sum() * num_clips.clamp(min=1)), 0.0)


def network_groups(network: Network, recipe: RecipeOptions) -> list[dict[str, Any]]:
    """Group a network's trainable parameters: those of the backbone, then of the heads."""
    # Some timm models list more parameters without weight decay, such as position embeddings.
    no_decay: Collection[str] = getattr(network.backbone, "no_weight_decay", set)()
    return parameter_groups([*network.backbone.named_parameters(), *network.head.named_parameters()], recipe, no_decay)


def parameter_groups(named: Iterable[Named], recipe: RecipeOptions, no_decay: Collection[str] = ()) -> list[dict[str, Any]]:
    """Make torch's groups of trainable parameters, one per weight decay.

    Biases, vectors such as those of norms, and parameters named in `no_decay` have none.
    """
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            has_no_decay = parameter.ndim <= 1 or name.endswith(".bias") or name in no_decay
            groups.setdefault(0 if has_no_decay else recipe.weight_decay, []).append(parameter)
    return [{"params": parameters, "lr": recipe.learning_rate, "weight_decay": weight_decay} for weight_decay, parameters in groups.items()]


def make_optimizer(groups: list[dict[str, Any]], recipe: RecipeOptions, *, fused: bool | None = None) -> Optimizer:
    """Make Adam, AdamW, or SGD with momentum; `fused` is faster for few weights."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=0.9, fused=fused)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.learning_rate, fused=fused)


def make_schedule(optimizer: Optimizer, recipe: RecipeOptions) -> LRScheduler | None:
    """Make the schedule, warm-up first, stepped after each epoch; None for constant rates."""
    # A cosine reaches 0 only after the last epoch.
    after = CosineAnnealingLR(optimizer, recipe.epochs - recipe.warmup_epochs) if recipe.schedule == "cosine" else None
    if not recipe.warmup_epochs:
        return after
    warmup = LinearLR(optimizer, start_factor=0.01, total_iters=recipe.warmup_epochs)
    return SequentialLR(optimizer, [warmup, after], [recipe.warmup_epochs]) if after else warmup


def stages_of(backbone: nn.Module) -> list[list[str]]:
    """List the parameter names of each stage of a backbone, in module order.

    One rule covers all of timm's and torchvision's networks: a stage is everything below the first numbered name on the path to a parameter,
    cut after that number. The last stage is thus `layer4` of a ResNet, `blocks.6` of timm's EfficientNet-Lite0 with the convolution after it,
    `features.denseblock4` of a DenseNet, `inception_5` of BN-Inception, or the last block of a vision transformer. Parameters without a number,
    and groups with only scales and shifts, belong to the preceding stage; so does a single convolution, unless that stage is one itself.
    """
    shapes = {name: parameter.ndim for name, parameter in backbone.named_parameters()}
    stages: list[list[str]] = []
    for key, group in groupby(shapes, _stage_key):
        names = list(group)
        num_tensors = sum(shapes[name] > 1 for name in names)
        joins_previous = (
            key is None or not num_tensors or (num_tensors == 1 and bool(stages) and sum(shapes[n] > 1 for n in stages[-1]) > 1)
        )
        if stages and joins_previous:
            stages[-1] += names
        else:
            stages.append(names)
    return stages


def _stage_key(name: str) -> str | None:
    """Return the common prefix of a stage's parameters, or None without a number."""
    *modules, _ = name.split(".")
    for index, module in enumerate(modules):
        if number := NUMBERED.match(module):
            return ".".join([*modules[:index], number.group()])
    return None


TEMPERATURE = 4.0
"""Divides both networks' logits, so that the odds among unlikely classes count, too."""
NEVER = -1e4
"""Logit of a class that no labelled clip has: its probability is 0, and so is its part of a divergence."""


class DistillationLoss(nn.Module):
    """Divergence of a student from its teacher per clip, of verbs plus of nouns.

    It is T² times the Kullback-Leibler divergence at temperature T (Hinton et al. 2015, arXiv 1503.02531). `teaching` are the teacher's logits
    of `clips`; classes that no label of these has do not count. `spec` is the student's.
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
        """Compute losses (b,) for clips (b,) by index; -1 does not count."""
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
