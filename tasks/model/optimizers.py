"""Which weights learn how fast, and the optimizer that changes them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from tasks.model.network import Network
from tasks.model.stages import stages_of
from tasks.options import RecipeOptions

Named = tuple[str, nn.Parameter]


def network_groups(network: Network, recipe: RecipeOptions) -> list[dict[str, Any]]:
    """The groups of what is trainable in a network: its backbone's stages from the image on, then its heads."""
    named = dict(network.backbone.named_parameters())
    stages = [[(name, named[name]) for name in stage] for stage in stages_of(network.backbone)]
    # Some of timm's networks name what else must not decay, as position embeddings.
    spared: Collection[str] = getattr(network.backbone, "no_weight_decay", set)()
    return parameter_groups([*stages, list(network.head.named_parameters())], recipe, spared)


def parameter_groups(stages: Sequence[Iterable[Named]], recipe: RecipeOptions, spared: Collection[str] = ()) -> list[dict[str, Any]]:
    """torch's parameter groups: what learns at the same rate and decays alike.

    Args:
        stages: named parameters, the last stage's at the full rate, each other's at `layer_decay` of the next one's.
        recipe: learning rate and decays.
        spared: names of parameters that do not decay, beside all biases and all vectors, as those of norms are.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for number, stage in enumerate(stages):
        rate = recipe.learning_rate * recipe.layer_decay ** (len(stages) - 1 - number)
        for name, parameter in stage:
            if parameter.requires_grad:
                is_spared = parameter.ndim <= 1 or name.endswith(".bias") or name in spared
                groups.setdefault((rate, 0 if is_spared else recipe.weight_decay), []).append(parameter)
    return [{"params": found, "lr": rate, "weight_decay": weight_decay} for (rate, weight_decay), found in groups.items()]


def make_optimizer(groups: list[dict[str, Any]], recipe: RecipeOptions, *, fused: bool | None = None) -> Optimizer:
    """Adam, AdamW, or SGD with momentum. `fused` makes one pass over the weights of a step, which is quicker where they are few."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, fused=fused)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, lr=recipe.learning_rate, fused=fused)
