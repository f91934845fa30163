"""Split a backbone into stages, from input to features, for `trainable` and `layer_decay`."""

import re
from itertools import groupby

from torch import nn

NUMBERED = re.compile(r"^\D*\d+")


def stages_of(backbone: nn.Module) -> list[list[str]]:
    """List the parameter names of each stage, in module order.

    One rule covers all of timm's and torchvision's networks, which number their stages: a stage is everything below the first numbered name
    on the path to a parameter, cut after that number. The last stage is thus `layer4` of a ResNet, `blocks.6` of timm's EfficientNet-Lite0
    with the convolution after it, `features.denseblock4` of a DenseNet, `inception_5` of BN-Inception, or the last block of a vision
    transformer. Parameters without a number, and groups with only scales and shifts, belong to the preceding stage; so does a single
    convolution, unless the preceding stage is itself a single convolution.
    """
    shapes = {name: parameter.ndim for name, parameter in backbone.named_parameters()}
    found: list[list[str]] = []
    for key, group in groupby(shapes, _stage_key):
        names = list(group)
        num_tensors = sum(shapes[name] > 1 for name in names)
        joins_previous = key is None or not num_tensors or (num_tensors == 1 and bool(found) and sum(shapes[n] > 1 for n in found[-1]) > 1)
        if found and joins_previous:
            found[-1] += names
        else:
            found.append(names)
    return found


def _stage_key(name: str) -> str | None:
    """Return the common prefix of a stage's parameters, or None without a number."""
    *modules, _ = name.split(".")
    for index, module in enumerate(modules):
        if number := NUMBERED.match(module):
            return ".".join([*modules[:index], number.group()])
    return None
