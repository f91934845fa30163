"""The stages of a backbone, from the image to the features: what `trainable` and `layer_decay` count by."""

import re
from itertools import groupby

from torch import nn

NUMBERED = re.compile(r"^\D*\d+")


def stages_of(backbone: nn.Module) -> list[list[str]]:
    """The names of all parameters of `backbone`, stage by stage, each in the order in which the modules are held.

    One rule for all of timm's and torchvision's networks, which number their stages: a stage is what lies under the first numbered name on the
    way to a parameter, up to that number. So it is `layer4` of a ResNet, `blocks.6` of timm's EfficientNet-Lite0 with the convolution after it,
    `features.denseblock4` of a DenseNet, `inception_5` of BN-Inception, the last block of a vision transformer. What has no number, or scales
    and shifts alone, belongs to the stage before it; so does a single convolution, unless that is all that lies before it, too.
    """
    shapes = {name: parameter.ndim for name, parameter in backbone.named_parameters()}
    found: list[list[str]] = []
    for key, group in groupby(shapes, _stage_key):
        names = list(group)
        num_tensors = sum(shapes[name] > 1 for name in names)
        joins = key is None or not num_tensors or (num_tensors == 1 and bool(found) and sum(shapes[n] > 1 for n in found[-1]) > 1)
        if found and joins:
            found[-1] += names
        else:
            found.append(names)
    return found


def _stage_key(name: str) -> str | None:
    """What the parameters of one stage share; None where nothing is numbered."""
    *modules, _ = name.split(".")
    for index, module in enumerate(modules):
        if number := NUMBERED.match(module):
            return ".".join([*modules[:index], number.group()])
    return None
