"""Group parameters by learning rate and weight decay, and make the optimizer."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tasks.learn.network import Network
from tasks.learn.stages import stages_of
from tasks.options import RecipeOptions

Named = tuple[str, nn.Parameter]


def network_groups(network: Network, recipe: RecipeOptions) -> list[dict[str, Any]]:
    """Group a network's trainable parameters: the backbone's stages from the input on, then the heads."""
    named = dict(network.backbone.named_parameters())
    stages = [[(name, named[name]) for name in stage] for stage in stages_of(network.backbone)]
    # Some timm models list more parameters without weight decay, such as position embeddings.
    no_decay: Collection[str] = getattr(network.backbone, "no_weight_decay", set)()
    return parameter_groups([*stages, list(network.head.named_parameters())], recipe, no_decay)


def parameter_groups(stages: Sequence[Iterable[Named]], recipe: RecipeOptions, no_decay: Collection[str] = ()) -> list[dict[str, Any]]:
    """Make torch's parameter groups, one per learning rate and weight decay.

    Args:
        stages: named parameters; the last stage has the full rate, every other one `layer_decay` times that of the next.
        recipe: learning rate and decays.
        no_decay: names of further parameters without weight decay, besides biases and vectors such as those of norms.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for number, stage in enumerate(stages):
        rate = recipe.learning_rate * recipe.layer_decay ** (len(stages) - 1 - number)
        for name, parameter in stage:
            if parameter.requires_grad:
                has_no_decay = parameter.ndim <= 1 or name.endswith(".bias") or name in no_decay
                groups.setdefault((rate, 0 if has_no_decay else recipe.weight_decay), []).append(parameter)
    return [{"params": found, "lr": rate, "weight_decay": weight_decay} for (rate, weight_decay), found in groups.items()]


def make_optimizer(groups: list[dict[str, Any]], recipe: RecipeOptions, *, fused: bool | None = None) -> Optimizer:
    """Make Adam, AdamW, or SGD with momentum; `fused` is faster for few weights."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=fused)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.learning_rate, fused=fused)
