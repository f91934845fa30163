"""Define BN-Inception (Ioffe and Szegedy, arXiv 1502.03167), with the parameter names of Caffe and EPIC-KITCHENS-55."""

# n: images, c: channels, h, w: pixels, f: features (1024)

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Inception:
    """Output channels of one block's branches. A block without `one` halves the resolution."""

    one: int | None
    three: tuple[int, int]
    double: tuple[int, int]
    pool_projection: int | None
    max_pool: bool = False


BLOCKS: dict[str, Inception] = {
    "3a": Inception(64, (64, 64), (64, 96), 32),
    "3b": Inception(64, (64, 96), (64, 96), 64),
    "3c": Inception(None, (128, 160), (64, 96), None),
    "4a": Inception(224, (64, 96), (96, 128), 128),
    "4b": Inception(192, (96, 128), (96, 128), 128),
    "4c": Inception(160, (128, 160), (128, 160), 128),
    "4d": Inception(96, (128, 192), (160, 192), 128),
    "4e": Inception(None, (128, 192), (192, 256), None),
    "5a": Inception(352, (192, 320), (160, 224), 128),
    "5b": Inception(352, (192, 320), (192, 224), 128, max_pool=True),
}
NUM_FEATURES = 1024


class BNInception(nn.Module):
    """Backbone (n, c, h, w) -> (n, 1024): the features after global average pooling."""

    def __init__(self, num_channels: int = 3) -> None:
        super().__init__()
        self._add("conv1_7x7_s2", num_channels, 64, 7, stride=2)
        self._add("conv2_3x3_reduce", 64, 64, 1)
        self._add("conv2_3x3", 64, 192, 3)
        channels = 192
        for name, block in BLOCKS.items():
            channels = self._add_block(f"inception_{name}", channels, block)

    def _add(self, name: str, num_in: int, num_out: int, kernel: int, stride: int = 1) -> None:
        self.add_module(name, nn.Conv2d(num_in, num_out, kernel, stride, padding=kernel // 2))
        self.add_module(f"{name}_bn", nn.BatchNorm2d(num_out))

    def _add_block(self, name: str, num_in: int, block: Inception) -> int:
        stride = 2 if block.one is None else 1
        if block.one is not None:
            self._add(f"{name}_1x1", num_in, block.one, 1)
        self._add(f"{name}_3x3_reduce", num_in, block.three[0], 1)
        self._add(f"{name}_3x3", *block.three, 3, stride)
        self._add(f"{name}_double_3x3_reduce", num_in, block.double[0], 1)
        self._add(f"{name}_double_3x3_1", *block.double, 3)
        self._add(f"{name}_double_3x3_2", block.double[1], block.double[1], 3, stride)
        if block.pool_projection is not None:
            self._add(f"{name}_pool_proj", num_in, block.pool_projection, 1)
        return (block.one or 0) + block.three[1] + block.double[1] + (num_in if block.pool_projection is None else block.pool_projection)

    def _apply_convolution(self, name: str, images: Tensor) -> Tensor:
        return functional.relu(self.get_submodule(f"{name}_bn")(self.get_submodule(name)(images)))

    def _apply_block(self, name: str, block: Inception, x: Tensor) -> Tensor:
        branches = []
        if block.one is not None:
            branches.append(self._apply_convolution(f"{name}_1x1", x))
        branches.append(self._apply_convolution(f"{name}_3x3", self._apply_convolution(f"{name}_3x3_reduce", x)))
        double = self._apply_convolution(f"{name}_double_3x3_1", self._apply_convolution(f"{name}_double_3x3_reduce", x))
        branches.append(self._apply_convolution(f"{name}_double_3x3_2", double))
        if block.pool_projection is None:
            branches.append(functional.max_pool2d(x, 3, stride=2, ceil_mode=True))
        else:
            pooled = functional.max_pool2d(x, 3, 1, 1) if block.max_pool else functional.avg_pool2d(x, 3, 1, 1)
            branches.append(self._apply_convolution(f"{name}_pool_proj", pooled))
        return torch.cat(branches, dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, 1024)."""
        return functional.adaptive_avg_pool2d(self.forward_features(images), 1).flatten(1)

    def forward_features(self, images: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, 1024, h / 32, w / 32)."""
        x = self._apply_convolution("conv1_7x7_s2", images)
        x = functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
        x = self._apply_convolution("conv2_3x3_reduce", x)
        x = self._apply_convolution("conv2_3x3", x)
        x = functional.max_pool2d(x, 3, stride=2, ceil_mode=True)
        for name, block in BLOCKS.items():
            x = self._apply_block(f"inception_{name}", block, x)
        return x
