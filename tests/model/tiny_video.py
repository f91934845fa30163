"""A video network that trains in seconds, in the table as long as it is needed."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import nn
from torchvision.models.video.resnet import BasicBlock, BasicStem, Conv3DSimple, VideoResNet

from tasks.model import video_backbones
from tasks.video_networks import VIDEO_NETWORKS, VideoNetwork

TINY_VIDEO = VideoNetwork("tiny_video", 4, 2, 3, (40, 52), 32, (0.45, 0.45, 0.45), (0.225, 0.225, 0.225), 128)


def construct(name: str) -> nn.Module:
    """Build the first two stages of r3d_18, with a block in each instead of two."""
    module = VideoResNet(BasicBlock, [Conv3DSimple] * 4, [1] * 4, BasicStem)
    module.layer3 = module.layer4 = module.fc = nn.Identity()
    return module


@contextmanager
def tiny_video_network() -> Iterator[VideoNetwork]:
    """Put it into the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VIDEO_NETWORKS, TINY_VIDEO.name, TINY_VIDEO)
        patch.setattr(video_backbones, "construct", construct)
        patch.setattr(video_backbones, "url", lambda name: "https://nowhere.invalid/tiny_video.pth")
        yield TINY_VIDEO
