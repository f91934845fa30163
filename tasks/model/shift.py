"""Temporal shift (TSM, Lin et al., arXiv 1811.08383): residual blocks that see a part of their neighbours in time."""

# b: batch, t: segments, c: channels, h, w: pixels

import torch
from torch import Tensor, nn

from tasks.errors import BadConfiguration

FOLD = 8
STAGES = ("layer1", "layer2", "layer3", "layer4")


class TemporalShift(nn.Module):
    """Moves 1/8 of the channels one segment back and 1/8 one segment on, zeros coming in, then applies `net`."""

    def __init__(self, net: nn.Module, num_segments: int) -> None:
        super().__init__()
        self.net = net
        self.num_segments = num_segments

    def forward(self, images: Tensor) -> Tensor:
        """(b*t, c, h, w) -> what `net` makes of it."""
        x = images.reshape(-1, self.num_segments, *images.shape[1:])
        fold = x.shape[2] // FOLD
        back, on, still = x[:, :, :fold], x[:, :, fold : 2 * fold], x[:, :, 2 * fold :]
        zeros = torch.zeros_like(back[:, :1])
        shifted = torch.cat([torch.cat([back[:, 1:], zeros], 1), torch.cat([zeros, on[:, :-1]], 1), still], 2)
        result: Tensor = self.net(shifted.flatten(0, 1))
        return result


def insert_temporal_shift(backbone: nn.Module, num_segments: int) -> None:
    """Wrap the first convolution of each residual block of a ResNet, in place ("blockres" of the paper's code).

    Raises:
        BadConfiguration: the backbone has no residual stages.
    """
    blocks = [block for stage in STAGES for block in getattr(backbone, stage, ())]
    if not blocks:
        raise BadConfiguration("temporal shift needs the residual blocks of a ResNet; choose backbone resnet50")
    for block in blocks:
        block.conv1 = TemporalShift(block.conv1, num_segments)
