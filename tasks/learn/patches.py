"""Let a backbone return the features of each image's patches instead of one vector.

Its parameters keep their names. A map, or a square of tokens, is pooled to at most 7 x 7.
"""

# n: images, c: channels, h, w: pixels, or rows and columns of a map, p: patches (at most 49), f: features

from collections.abc import Callable
from functools import cache
from itertools import takewhile
from math import isqrt
from types import MethodType

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from tasks.errors import BadConfiguration
from tasks.learn import backbones
from tasks.learn.input_format import CROP_PIXELS
from tasks.learn.weights_file import first_line

MAX_SIDE = 7
AFTER_MAP = ("avgpool", "classifier", "fc")
"""Names of torchvision's modules that follow the feature map."""


def give_patches(backbone: nn.Module) -> None:
    """Let a backbone return features of patches, in place.

    It then maps (n, c, 224, 224) to (n, p, f) instead of (n, f).
    """
    # The module itself stays: its names are those of the weights, and temporal shift and folding look for them.
    setattr(backbone, "forward", MethodType(_patches, backbone))  # noqa: B010 - mypy takes no assignment to a method


@cache
def patch_shape(name: str) -> tuple[int, int]:
    """Measure the number of patches of a backbone and of their features.

    Raises:
        BadConfiguration: the backbone is unknown, or has no features of patches.
    """
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        backbone = backbones.find(name).construct(3).eval()
        give_patches(backbone)
        try:
            _, num_patches, num_features = backbone(torch.zeros(1, 3, CROP_PIXELS, CROP_PIXELS)).shape
            if num_patches == 1:
                raise ValueError("its last features are one vector")
        # A chain of modules that is none, or an output that is neither a map nor tokens.
        except (AssertionError, AttributeError, IndexError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            raise BadConfiguration(
                f"head attentive looks at the patches of each image, and backbone {name} gives no features of patches "
                f"({first_line(error)}); choose another backbone, such as tf_efficientnet_lite0 or resnet50, or head lstm or tcn"
            ) from None
    return num_patches, num_features


def _patches(backbone: nn.Module, images: Tensor) -> Tensor:
    """Map (n, c, 224, 224) to (n, p, f).

    These are timm's `forward_features` without the class token, or the map before the pooling.
    """
    own = getattr(backbone, "forward_features", None)
    found = own(images) if own else _map_of_chain(backbone, images)
    if not isinstance(found, Tensor) or found.ndim not in (3, 4):
        raise ValueError("its last features are neither a map nor tokens")
    if found.ndim == 3:
        return _pooled_tokens(found[:, int(getattr(backbone, "num_prefix_tokens", 0)) :])
    # Some of timm's transformers have their features in the last dimension.
    return _flat(found.permute(0, 3, 1, 2) if getattr(backbone, "output_fmt", "NCHW") == "NHWC" else found)


def _map_of_chain(backbone: nn.Module, images: Tensor) -> Tensor:
    """Run the modules before the pooling of a torchvision model one after the other."""
    found = images
    before: Callable[[tuple[str, nn.Module]], bool] = lambda named: named[0] not in AFTER_MAP  # noqa: E731 - for the type
    for _, module in takewhile(before, backbone.named_children()):
        found = module(found)
    if found.ndim != 4 or found.shape[2] != found.shape[3]:
        raise ValueError("its modules are no chain that ends in a feature map")
    return found


def _pooled_tokens(tokens: Tensor) -> Tensor:
    side = isqrt(tokens.shape[1])
    if tokens.shape[1] == side**2 + 1 > 2:
        tokens = tokens[:, 1:]  # a class token that the model does not declare
    if side <= MAX_SIDE or side**2 != tokens.shape[1]:
        return tokens
    return _flat(tokens.transpose(1, 2).reshape(len(tokens), -1, side, side))


def _flat(maps: Tensor) -> Tensor:
    """Pool maps to at most 7 x 7: (n, f, h, w) to (n, p, f)."""
    if max(maps.shape[2:]) > MAX_SIDE:
        maps = adaptive_avg_pool2d(maps, (min(maps.shape[2], MAX_SIDE), min(maps.shape[3], MAX_SIDE)))
    return maps.flatten(2).transpose(1, 2)
