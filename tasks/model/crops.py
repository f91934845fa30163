"""From decoded frames to a network's input: crops, training augmentation, normalisation."""

# k: crops, t: frames, h, w: pixels, c: channels

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms import v2

from tasks.errors import BadInput
from tasks.model.backbones import CROP_PIXELS, InputFormat

Frames = NDArray[np.uint8]
NumCrops = Literal[1, 10]

_augment = v2.Compose(
    [
        v2.RandomResizedCrop(CROP_PIXELS, scale=(0.25, 1.0), antialias=True),
        v2.RandomHorizontalFlip(),
    ]
)


def cut_views(frames: Frames, num_crops: NumCrops) -> list[Frames]:
    """Ten crops at TSN's offsets, each followed by its mirror image, or the centre crop alone, without copying a pixel.

    Args:
        frames: uint8 RGB (t, h, w, 3), short side 256.
        num_crops: 10 or 1.

    Returns:
        k views of `frames`, each uint8 (t, 224, 224, 3).

    Raises:
        BadInput: a side is shorter than a crop.
    """
    _, height, width, _ = frames.shape
    _require_room(height, width)
    if num_crops == 1:
        return [_cut(frames, *centre_offset(width, height))]
    cuts = [_cut(frames, x, y) for x, y in crop_offsets(width, height)]
    return [view for cut in cuts for view in (cut, cut[:, :, ::-1])]


def cut_crops(frames: Frames, num_crops: NumCrops) -> Tensor:
    """The same crops as one tensor.

    Args:
        frames: uint8 RGB (t, h, w, 3), short side 256.
        num_crops: 10 or 1.

    Returns:
        uint8 (k, t, 3, 224, 224).

    Raises:
        BadInput: a side is shorter than a crop.
    """
    return torch.from_numpy(np.stack(cut_views(frames, num_crops))).permute(0, 1, 4, 2, 3).contiguous()


def crop_offsets(width: int, height: int) -> list[tuple[int, int]]:
    """TSN's five (x, y): corners, then centre, on a grid of quarters (torchvision's TenCrop has others)."""
    step_x, step_y = (width - CROP_PIXELS) // 4, (height - CROP_PIXELS) // 4
    return [(0, 0), (4 * step_x, 0), (0, 4 * step_y), (4 * step_x, 4 * step_y), (2 * step_x, 2 * step_y)]


def centre_offset(width: int, height: int) -> tuple[int, int]:
    """(x, y) of the centre crop."""
    return round((width - CROP_PIXELS) / 2), round((height - CROP_PIXELS) / 2)


def augmented(frames: Frames, seed: int) -> Tensor:
    """One random resized crop and horizontal flip, the same for every frame; a pure function of its arguments.

    Args:
        frames: uint8 RGB (t, h, w, 3).
        seed: names the random draw.

    Returns:
        uint8 (t, 3, 224, 224).
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed also sees to every kind of device, which takes a quarter of an item's time.
        torch.default_generator.manual_seed(seed)
        images: Tensor = _augment(torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2))
    return images


class Normalise(nn.Module):
    """uint8 RGB (..., 3, h, w) -> float32 (..., c, h, w) as a backbone's row of the table says."""

    def __init__(self, input_format: InputFormat) -> None:
        super().__init__()
        self.reverse_channels = input_format.channel_order == "BGR"
        std = torch.tensor(input_format.std).view(-1, 1, 1)
        self.factor: Tensor
        self.offset: Tensor
        self.register_buffer("factor", input_format.scale / std, persistent=False)
        self.register_buffer("offset", torch.tensor(input_format.mean).view(-1, 1, 1) / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(..., 3, h, w) -> (..., c, h, w)."""
        if self.reverse_channels:
            images = images.flip(-3)
        return images.float() * self.factor - self.offset


def _cut(frames: Frames, x: int, y: int) -> Frames:
    return frames[:, y : y + CROP_PIXELS, x : x + CROP_PIXELS]


def _require_room(height: int, width: int) -> None:
    if min(height, width) < CROP_PIXELS:
        raise BadInput(f"frames of {width}x{height} pixels are smaller than a crop of {CROP_PIXELS}; scale them to short side 256")
