"""Build torchvision's video networks without their classifiers."""

# n: snippets, m: frames of a snippet, h, w: pixels, f: features

import torchvision
from torch import nn

CLASSIFIERS = ("fc", "head", "classifier")
"""Names of the last part of a network, with the dropout before it. What S3D's classifier takes is averaged over time after it, too."""


def construct(name: str) -> nn.Module:
    """Build a network without its classifier: (n, 3, m, h, w) to (n, f)."""
    module: nn.Module = torchvision.models.get_model(name, weights=None)
    last = next(part for part, _ in module.named_children() if part in CLASSIFIERS)
    setattr(module, last, nn.Identity())
    return module


def url(name: str) -> str:
    """Return the address of the weights that were trained on Kinetics-400 alone."""
    first = next(iter(torchvision.models.get_model_weights(name)))
    return str(first.url)
