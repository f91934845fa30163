"""Build timm's models as backbones, and load their published weights."""

# n: images, c: channels, h, w: pixels, f: features

import sys
from collections.abc import Callable, Mapping
from typing import Any

import timm
from torch import Tensor, nn

StateDict = dict[str, Tensor]

PLAIN: Mapping[str, Any] = {}
"""No arguments beyond those that every model gets."""


def construct(name: str, num_channels: int, arguments: Mapping[str, Any] = PLAIN) -> nn.Module:
    """Build a model without a classifier: (n, c, h, w) to (n, f)."""
    module: nn.Module = timm.create_model(name, num_classes=0, in_chans=num_channels, **arguments)
    return module


def published(name: str, arguments: Mapping[str, Any] = PLAIN) -> StateDict:
    """Download the weights of a model. timm resamples position embeddings to the size that the arguments give.

    Raises:
        OSError: they cannot be downloaded.
        RuntimeError: none are published.
    """
    state: StateDict = timm.create_model(name, pretrained=True, num_classes=0, **arguments).state_dict()
    return state


def conversion(name: str) -> Callable[[StateDict, nn.Module], StateDict]:
    """Find what timm does to published tensors before it loads them: it renames them, and resamples position embeddings."""
    module = sys.modules[timm.model_entrypoint(name).__module__]
    found: Callable[[StateDict, nn.Module], StateDict] = getattr(module, "checkpoint_filter_fn", lambda state, _: state)
    return found
