"""Build torchvision's classifiers of images without their last layer, and download weights as it does."""

# n: images, c: channels, h, w: pixels, f: features

import torch
import torchvision
from torch import nn

from tasks.learn.timm_models import StateDict


def _drop_classifier(module: nn.Module) -> int:
    """Replace the ImageNet classifier by an identity, and return its number of input features."""
    name, linear = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Linear)][-1]
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, nn.Identity())
    return linear.in_features


def construct(name: str, num_channels: int) -> nn.Module:
    """Build a classifier without its last layer: (n, c, h, w) to (n, f)."""
    # GoogLeNet's auxiliary heads would return three outputs in training.
    choices = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    module: nn.Module = torchvision.models.get_model(name, weights=None, **choices)
    _drop_classifier(module)
    if num_channels != 3:
        stem_name, stem = next((n, m) for n, m in module.named_modules() if isinstance(m, nn.Conv2d))
        parent, _, leaf = stem_name.rpartition(".")
        wider = nn.Conv2d(
            num_channels,
            stem.out_channels,
            (stem.kernel_size[0], stem.kernel_size[1]),
            (stem.stride[0], stem.stride[1]),
            (int(stem.padding[0]), int(stem.padding[1])),
            bias=stem.bias is not None,
        )
        setattr(module.get_submodule(parent), leaf, wider)
    return module


def matching_keys(backbone: nn.Module, state: StateDict) -> StateDict:
    """Select the tensors of a file that a backbone has."""
    keys = backbone.state_dict().keys()
    return {key: value for key, value in state.items() if key in keys}


def download(url: str) -> StateDict:
    """Download a file of weights, or read it from torch's cache.

    Its name ends in its hash.

    Raises:
        OSError: it cannot be downloaded.
        RuntimeError: its hash is another.
    """
    state: StateDict = torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    return state


def url(name: str) -> str:
    """Return the address of a classifier's oldest published weights, which were trained on ImageNet alone."""
    oldest = next(iter(torchvision.models.get_model_weights(name)))
    return str(oldest.url)


def published(name: str) -> StateDict:
    """Download the published weights of a classifier, without its last layer.

    Raises:
        OSError, RuntimeError: as `download`.
    """
    return matching_keys(construct(name, 3), download(url(name)))
