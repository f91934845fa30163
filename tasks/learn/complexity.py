"""Count a network's parameters and its floating-point operations per clip."""

# k: crops, t: segments, c: channels, h, w: pixels (224), f: features

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tasks.learn.crops import NumCrops
from tasks.learn.engines.engine import example_view
from tasks.learn.network import Network
from tasks.learn.spec import NetworkSpec


@dataclass(frozen=True)
class Complexity:
    """Size of one network, or of several together.

    Attributes:
        num_parameters: as trained: backbone, norms and both heads; of joined networks, their backbones and the joint head.
        num_flops: floating-point operations per clip, independent of engine and precision. A multiply-add counts as two; only convolutions
            and matrix products are counted.
    """

    num_parameters: int
    num_flops: int


def complexity(specs: Iterable[NetworkSpec], num_crops: NumCrops, joint: NetworkSpec | None = None) -> Complexity:
    """Sum the complexity of networks for a clip with `num_crops` crops, without computing anything.

    `joint` describes the head that answers in place of those of the networks.
    """
    found = [part for spec in specs for part in (_of_backbone(spec, num_crops), *(() if joint else (_of_head(spec, num_crops),)))]
    found += [_of_head(joint, num_crops)] if joint else []
    return Complexity(sum(one.num_parameters for one in found), sum(one.num_flops for one in found))


def _of_backbone(spec: NetworkSpec, num_crops: NumCrops) -> Complexity:
    backbone = Network(spec).eval().to("meta").backbone
    view = example_view(spec).to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        backbone(view)
    num_passes = spec.num_crops(num_crops) * spec.num_segments // len(view)
    return Complexity(_num_parameters(backbone), num_passes * counted.get_total_flops())


def _of_head(spec: NetworkSpec, num_crops: NumCrops) -> Complexity:
    network = Network(spec).eval().to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counted:
        network.head(torch.empty(1, spec.num_segments, *network.feature_shape, device="meta"))
    # Engines run linear heads once, on the mean over crops.
    num_passes = 1 if network.head.is_linear else spec.num_crops(num_crops)
    return Complexity(_num_parameters(network.head), num_passes * counted.get_total_flops())


def _num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
