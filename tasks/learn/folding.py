"""Fold batch-norm into the preceding convolution, which saves one write and read of every activation."""

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
"""Maximum difference of a feature, relative to the largest feature. Rounding alone causes a hundredth of it."""

Convolution = nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm2d | nn.BatchNorm3d

log = logging.getLogger(__name__)


class _Pair(NamedTuple):
    """A convolution and the batch-norm after it, with their names in the backbone."""

    convolution_name: str
    convolution: Convolution
    norm_name: str
    norm: Norm


def fold_batch_norms(backbone: nn.Module, images: Tensor) -> nn.Module:
    """Return a copy in evaluation mode with batch-norms folded into directly preceding convolutions.

    The pairs are found by running the backbone. If folding changes its output, the backbone is returned unfolded.

    Args:
        backbone: (n, c, h, w) -> (n, f).
        images: (n, c, h, w), or (n, 3, m, h, w), to run it on.
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
        log.warning("batch-norm is not folded into the convolutions: a feature would change by %.2g", difference)
        return backbone
    return folded


def _pairs(backbone: nn.Module, images: Tensor) -> list[_Pair]:
    """Find batch-norms that directly take a convolution's output, where both run once per forward pass."""
    made_by: dict[int, tuple[str, Convolution, Tensor]] = {}  # holds the tensor, because a freed tensor's id can be reused
    pairs: list[_Pair] = []
    runs: Counter[str] = Counter()

    def after(name: str, convolution: Convolution, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs[name] += 1
        made_by[id(output)] = (name, convolution, output)

    def before(name: str, norm: Norm, inputs: tuple[Tensor, ...]) -> None:
        runs[name] += 1
        if id(inputs[0]) in made_by:
            pairs.append(_Pair(*made_by[id(inputs[0])][:2], name, norm))

    hooks = []
    for name, module in backbone.named_modules():
        if isinstance(module, Convolution):
            hooks.append(module.register_forward_hook(partial(after, name)))
        elif type(module) in (nn.BatchNorm2d, nn.BatchNorm3d, BatchNormAct2d):
            hooks.append(module.register_forward_pre_hook(partial(before, name)))
    with torch.inference_mode():
        backbone(images)
    for hook in hooks:
        hook.remove()
    return [pair for pair in pairs if runs[pair.convolution_name] == runs[pair.norm_name] == 1]


def _after_normalising(norm: Norm) -> nn.Module:
    return nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
