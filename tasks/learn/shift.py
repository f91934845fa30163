"""Shift channels between segments in residual blocks (TSM).

The blocks see channels of neighbouring segments. Source: Lin et al., arXiv 1811.08383.
"""

# b: batch, t: segments, c: channels, h, w: pixels

from collections.abc import Mapping

import torch
from timm.models import _efficientnet_blocks as timm_blocks
from timm.models.convnext import ConvNeXtBlock
from torch import Tensor, nn
from torchvision.models.efficientnet import MBConv
from torchvision.models.mobilenetv2 import InvertedResidual as Mobilenet2Block
from torchvision.models.mobilenetv3 import InvertedResidual as Mobilenet3Block

from tasks.errors import BadConfiguration

FOLD = 8
STAGES = ("layer1", "layer2", "layer3", "layer4")

BLOCKS: Mapping[type[nn.Module], tuple[tuple[str, ...], str]] = {
    timm_blocks.InvertedResidual: (("conv_pw",), "has_skip"),
    timm_blocks.DepthwiseSeparableConv: (("conv_dw",), "has_skip"),
    timm_blocks.EdgeResidual: (("conv_exp",), "has_skip"),
    Mobilenet2Block: (("conv.0.0",), "use_res_connect"),
    Mobilenet3Block: (("block.0.0",), "use_res_connect"),
    MBConv: (("block.0.0",), "use_res_connect"),
}
"""Blocks of the mobile families.

The names of their first convolution, of which the first that is not an identity counts, and the attribute that marks a residual connection.
"""

FURTHER_BLOCKS: Mapping[type[nn.Module], tuple[tuple[str, ...], str]] = {
    timm_blocks.UniversalInvertedResidual: (("dw_start", "pw_exp"), "has_skip"),
    ConvNeXtBlock: (("conv_dw",), "shortcut"),
}
"""Blocks of MobileNetV4 and ConvNeXt. They are wrapped only where a backbone has none of `BLOCKS`: trained networks keep their shifts."""


class TemporalShift(nn.Module):
    """Shifts 1/8 of the channels back and 1/8 forward by one segment, then applies `net`."""

    def __init__(self, net: nn.Module, num_segments: int) -> None:
        super().__init__()
        self.net = net
        self.num_segments = num_segments

    def forward(self, images: Tensor) -> Tensor:
        """Map (b*t, c, h, w) to the output of `net`."""
        x = images.reshape(-1, self.num_segments, *images.shape[1:])
        fold = x.shape[2] // FOLD
        back, forward, unshifted = x[:, :, :fold], x[:, :, fold : 2 * fold], x[:, :, 2 * fold :]
        zeros = torch.zeros_like(back[:, :1])
        shifted = torch.cat([torch.cat([back[:, 1:], zeros], 1), torch.cat([zeros, forward[:, :-1]], 1), unshifted], 2)
        result: Tensor = self.net(shifted.flatten(0, 1))
        return result


def insert_temporal_shift(backbone: nn.Module, num_segments: int) -> None:
    """Wrap the first convolution of each residual block, in place ("blockres" in the paper's code).

    In a ResNet, all blocks of the four stages are wrapped, as in EPIC-KITCHENS-55's code; TSM's code skips every second block in
    ResNet-101's third stage. In the mobile families, blocks with a residual connection are wrapped, as in the paper's MobileNetV2;
    so are those of ConvNeXt. Transformers have tokens instead of such convolutions.

    Raises:
        BadConfiguration: the backbone has no such blocks.
    """
    names = [f"{name}.conv1" for name, module in backbone.named_modules() if _is_resnet_block(name, module)]
    names += _convolutions(backbone, BLOCKS)
    names = names or _convolutions(backbone, FURTHER_BLOCKS)
    if not names:
        raise BadConfiguration(
            "temporal shift moves channels before the first convolution of residual blocks, and this backbone has none of the ResNet, MobileNet, "
            "EfficientNet or ConvNeXt families; choose backbone resnet50, or tf_efficientnet_lite0, or family TRN"
        )
    for name in names:
        backbone.set_submodule(name, TemporalShift(backbone.get_submodule(name), num_segments))


def _convolutions(backbone: nn.Module, blocks: Mapping[type[nn.Module], tuple[tuple[str, ...], str]]) -> list[str]:
    """Name the first convolution of each residual block of these types."""
    found = []
    for name, block in backbone.named_modules():
        convolutions, mark = blocks.get(type(block), ((), ""))
        # A shortcut that is no identity changes the shape.
        if convolutions and (isinstance(getattr(block, mark), nn.Identity) or getattr(block, mark) is True):
            first = next(one for one in convolutions if not isinstance(block.get_submodule(one), nn.Identity))
            found.append(f"{name}.{first}")
    return found


def unshifted_key(backbone: nn.Module, key: str) -> str:
    """Return a parameter's name without temporal shift, which nests the wrapped convolution one level deeper."""
    for name, module in backbone.named_modules():
        if isinstance(module, TemporalShift) and key.startswith(f"{name}.net."):
            return f"{name}.{key.removeprefix(f'{name}.net.')}"
    return key


def _is_resnet_block(name: str, module: nn.Module) -> bool:
    stage, _, number = name.partition(".")
    return stage in STAGES and number.isdigit() and isinstance(getattr(module, "conv1", None), nn.Module)
