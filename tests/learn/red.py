"""A network that names verb 1 for what is red, to see whether heat maps lie there."""

import torch
from torch import nn
from torch.nn import functional

from tasks.learn.networks.heads import Logits

LAYOUTS = ["channels first", "channels last", "tokens"]


class Red(nn.Module):
    """How red an image or a film is on average, and how red it is not in all other features, through a map of this layout."""

    def __init__(self, layout: str, num_features: int) -> None:
        super().__init__()
        self.layout, self.num_features = layout, num_features
        self.mapped, self.last = nn.Identity(), nn.Identity()

    def forward(self, inputs):
        redness = inputs[:, :1] - inputs[:, :1].amin()
        red = functional.avg_pool2d(redness, 16) if inputs.ndim == 4 else functional.avg_pool3d(redness, (2, 8, 8))
        features = torch.cat([red, *[-red] * (self.num_features - 1)], 1)
        if self.layout == "channels first":
            return self.mapped(features).flatten(2).mean(2)
        if self.layout == "channels last":
            return self.mapped(features.movedim(1, -1)).flatten(1, -2).mean(1)
        patches = features.flatten(2).transpose(1, 2)
        tokens = self.mapped(torch.cat([torch.zeros_like(patches[:, :1]), patches], 1))[:, 1:]
        # A class token looks at the patches once; afterwards nothing depends on them.
        return self.last(torch.cat([tokens.mean(1, keepdim=True), tokens], 1))[:, 0]


class RedHead(nn.Module):
    """Verb 1 for the first feature; a parameter only to have one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, features):
        scores = features.mean(1)[:, :2].flip(1) * self.weight
        return Logits(scores, scores)
