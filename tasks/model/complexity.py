"""Count a network's parameters and its floating-point operations per clip."""

# k: crops, t: segments, c: channels, h, w: pixels (224), f: features

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tasks.model.crops import NumCrops
from tasks.model.engines.engine import example_view
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec


@dataclass(frozen=True)
class Complexity:
    """Size of one network, or of several together.

    Attributes:
        num_parameters: as trained: backbone, norms and both heads.
        num_flops: floating-point operations per clip, independent of engine and precision. A multiply-add counts as two; only convolutions
            and matrix products are counted.
    """

    num_parameters: int
    num_flops: int


def complexity(specs: Iterable[NetworkSpec], num_crops: NumCrops) -> Complexity:
    """Sum the complexity of networks for a clip with `num_crops` crops, without computing anything."""
    found = [_of_one(spec, num_crops) for spec in specs]
    return Complexity(sum(one.num_parameters for one in found), sum(one.num_flops for one in found))


def _of_one(spec: NetworkSpec, num_crops: NumCrops) -> Complexity:
    network = Network(spec).eval().to("meta")
    view = example_view(spec).to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as of_backbone:
        features = network.backbone(view)
    with torch.inference_mode(), FlopCounterMode(display=False) as of_head:
        network.head(features.new_empty(1, spec.num_segments, *network.feature_shape))
    # Engines run linear heads once, on the mean over crops.
    num_crops = spec.num_crops(num_crops)
    num_backbones = num_crops * spec.num_segments // len(view)
    num_heads = 1 if network.head.is_linear else num_crops
    num_flops = num_backbones * of_backbone.get_total_flops() + num_heads * of_head.get_total_flops()
    return Complexity(sum(parameter.numel() for parameter in network.parameters()), num_flops)
