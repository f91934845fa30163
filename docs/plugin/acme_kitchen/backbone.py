"""Define a backbone of one convolution."""

from torch import Tensor, nn

from tasks.learn.networks.backbones import Backbone
from tasks.learn.networks.spec import IMAGENET_MEAN, IMAGENET_STD, InputFormat


class Tiny(nn.Module):
    """Map images (n, c, 224, 224) to features (n, 16)."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(num_channels, 16, kernel_size=16, stride=16)

    def forward(self, images: Tensor) -> Tensor:
        """Average the convolution over the image."""
        features: Tensor = self.convolution(images).relu().mean((2, 3))
        return features


ACME_TINY = Backbone("acme_tiny", num_features=16, input=InputFormat("RGB", 1 / 255, IMAGENET_MEAN, IMAGENET_STD), construct=Tiny)
