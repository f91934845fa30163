"""Batch-norm folded into the convolution before it: the same answers, with every activation written and read once less."""

# n: images, c: channels, h, w: pixels, f: features

import logging
from collections import Counter
from copy import deepcopy
from functools import partial
from typing import NamedTuple

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

TOLERANCE = 1e-3
"""Largest difference of a feature, as a share of the largest feature. Rounding alone gives a hundredth of it."""

log = logging.getLogger(__name__)


class _Pair(NamedTuple):
    """A convolution and the batch-norm that follows it, with their names in the backbone."""

    convolution_name: str
    convolution: nn.Conv2d
    norm_name: str
    norm: nn.BatchNorm2d


def fold_batch_norms(backbone: nn.Module, images: Tensor) -> nn.Module:
    """A copy of `backbone`, in evaluation mode, without the batch-norms that follow a convolution at once.

    Which do is seen by running it. A backbone that answers otherwise once they are folded is given back as it was.

    Args:
        backbone: (n, c, h, w) -> (n, f).
        images: (n, c, h, w) to run it on.
    """
    folded = deepcopy(backbone).eval()
    with torch.inference_mode():
        expected = backbone.eval()(images)
    for pair in _pairs(folded, images):
        folded.set_submodule(pair.convolution_name, fuse_conv_bn_eval(pair.convolution, pair.norm))
        folded.set_submodule(pair.norm_name, _after_normalising(pair.norm))
    with torch.inference_mode():
        difference = (folded(images) - expected).abs().max()
    if not difference <= TOLERANCE * expected.abs().max():
        log.warning("batch-norm stays apart from the convolutions: folded, a feature would differ by %.2g", difference)
        return backbone
    return folded


def _pairs(backbone: nn.Module, images: Tensor) -> list[_Pair]:
    """Each batch-norm that takes a convolution's output as it is, where both run once an image."""
    made_by: dict[int, tuple[str, nn.Conv2d, Tensor]] = {}  # with the tensor, which must live: a dead one's id is given again
    pairs: list[_Pair] = []
    runs: Counter[str] = Counter()

    def after(name: str, convolution: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs[name] += 1
        made_by[id(output)] = (name, convolution, output)

    def before(name: str, norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        runs[name] += 1
        if id(inputs[0]) in made_by:
            pairs.append(_Pair(*made_by[id(inputs[0])][:2], name, norm))

    hooks = []
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(partial(after, name)))
        elif type(module) in (nn.BatchNorm2d, BatchNormAct2d):
            hooks.append(module.register_forward_pre_hook(partial(before, name)))
    with torch.inference_mode():
        backbone(images)
    for hook in hooks:
        hook.remove()
    return [pair for pair in pairs if runs[pair.convolution_name] == runs[pair.norm_name] == 1]


def _after_normalising(norm: nn.BatchNorm2d) -> nn.Module:
    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
