"""A video network that trains in seconds, in the table as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import Tensor, nn
from torchvision.models.video.resnet import BasicBlock, Conv3DSimple

from tasks.learn.networks import libraries
from tasks.video_networks import VIDEO_NETWORKS, VideoNetwork

NUM_FEATURES = 16
TINY_VIDEO = VideoNetwork("tiny_video", 4, 2, 3, (40, 52), 32, (0.45, 0.45, 0.45), (0.225, 0.225, 0.225), NUM_FEATURES)


class TinyVideo(nn.Module):
    """The stem and the first two stages of r3d_18, with a block in each, and few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 8, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(8), nn.ReLU())
        self.layer1 = nn.Sequential(BasicBlock(8, 8, Conv3DSimple))
        halved = nn.Sequential(nn.Conv3d(8, NUM_FEATURES, 1, 2, bias=False), nn.BatchNorm3d(NUM_FEATURES))
        self.layer2 = nn.Sequential(BasicBlock(8, NUM_FEATURES, Conv3DSimple, 2, halved))
        self.avgpool = nn.AdaptiveAvgPool3d(1)

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.avgpool(self.layer2(self.layer1(self.stem(inputs))))
        return features.flatten(1)


@contextmanager
def tiny_video_network() -> Iterator[VideoNetwork]:
    """Put it into the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VIDEO_NETWORKS, TINY_VIDEO.name, TINY_VIDEO)
        patch.setattr(libraries, "torchvision_video", lambda name: TinyVideo())
        patch.setattr(libraries, "torchvision_url", lambda name: "https://nowhere.invalid/tiny_video.pth")
        yield TINY_VIDEO
