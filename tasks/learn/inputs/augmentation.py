"""Augment training clips by one random crop, horizontal flip and colour jitter for all frames of a clip."""

# t: snippets, h, w: pixels, p: 8-bit planes of a snippet

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from tasks.learn.inputs.crops import Frames, centre_offset, mirrored, scaled
from tasks.learn.networks.spec import CROP_PIXELS, SNIPPETS
from tasks.options import Modality, RecipeOptions
from tasks.video_networks import VideoNetwork

CLOSE_PIXELS = 3
"""A side within this distance of the crop size is snapped to it, to avoid resizing by a pixel or two."""

QUARTERS = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))
"""(right, down) offsets of a multi-scale crop, in quarters of the free space: corners, centre, edge midpoints, and the points between."""


@cache
def _random_crop(pixels: int) -> v2.RandomResizedCrop:
    return v2.RandomResizedCrop(pixels, scale=(0.25, 1.0), antialias=True)


@dataclass(frozen=True)
class Augmentation:
    """Random crop, flip and colour jitter; `color_jitter` is the maximum change of brightness, contrast and saturation."""

    crop: Literal["resized", "multi-scale", "centre"] = "resized"
    color_jitter: float = 0
    mirror: bool = True

    @classmethod
    def of(cls, recipe: RecipeOptions, modality: Modality) -> "Augmentation":
        """Build the augmentation of a recipe; flow gets no colour jitter, and sound nothing."""
        if modality.is_heard:
            return cls("centre", 0, mirror=False)
        return cls(recipe.crop, 0 if modality is Modality.FLOW else recipe.color_jitter, recipe.mirror)

    @property
    def name(self) -> str:
        """Build a unique name of these settings; empty for the defaults."""
        parts = {self.crop: self.crop != "resized", f"jitter-{self.color_jitter!r}": bool(self.color_jitter), "unmirrored": not self.mirror}
        return "-".join(part for part, is_named in parts.items() if is_named)

    @property
    def draws_nothing(self) -> bool:
        """Check whether it is the centre crop without flip or jitter, as in single-crop testing."""
        return self.crop == "centre" and not (self.color_jitter or self.mirror)


PLAIN = Augmentation()


class Place(NamedTuple):
    """A rectangle in a frame, in pixels from the top-left corner."""

    x: int
    y: int
    width: int
    height: int


def multiscale_places(width: int, height: int, scales: Sequence[float], pixels: int = CROP_PIXELS) -> list[Place]:
    """List the equally likely training crops of TSN (arXiv 1608.00859, section 3.2, as in its code).

    Width and height are multiples of the short side, at most one step of `scales` apart.
    """
    sides = [int(min(width, height) * scale) for scale in scales]
    sides = [pixels if abs(side - pixels) < CLOSE_PIXELS else side for side in sides]
    sizes = [(sides[j], sides[i]) for i, j in product(range(len(sides)), repeat=2) if abs(i - j) <= 1]
    return [
        Place(right * ((width - wide) // 4), down * ((height - high) // 4), wide, high) for wide, high in sizes for right, down in QUARTERS
    ]


def augmented(
    frames: Frames, seed: int, modality: Modality, augmentation: Augmentation = PLAIN, video: VideoNetwork | None = None
) -> Tensor:
    """Apply one crop, horizontal flip and colour jitter to all frames; a pure function of the arguments.

    Args:
        frames: uint8 (t, h, w, p).
        seed: of the random draw; it draws the same crop with and without flip and colour jitter.
        modality: of the planes.
        augmentation: the transforms.
        video: a video network, whose frames are first scaled to its own size.

    Returns:
        uint8 (t, p, 224, 224), or of a video network's size.
    """
    frames = scaled(frames, video) if video else frames
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed also seeds every other device type, which takes a quarter of an item's time.
        torch.default_generator.manual_seed(seed)
        planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        images = _cropped(planes, augmentation, modality, video)
        is_mirrored = bool(torch.rand(1) < 0.5) and augmentation.mirror
        if share := augmentation.color_jitter:
            # Planes are RGB of one or more frames.
            images = v2.ColorJitter(share, share, share)(images.reshape(-1, 3, *images.shape[-2:])).reshape(images.shape)
    return torch.from_numpy(mirrored(images.permute(0, 2, 3, 1).numpy(), modality).transpose(0, 3, 1, 2).copy()) if is_mirrored else images


def _cropped(planes: Tensor, augmentation: Augmentation, modality: Modality, video: VideoNetwork | None) -> Tensor:
    """Crop uint8 (t, p, h, w) to (t, p, 224, 224), or to a video network's size."""
    pixels = video.crop_pixels if video else CROP_PIXELS
    if augmentation.crop == "multi-scale":
        places = multiscale_places(planes.shape[-1], planes.shape[-2], SNIPPETS[modality].crop_scales, pixels)
        place = places[int(torch.randint(len(places), (1,)))]
        cut: Tensor = functional.resized_crop(planes, place.y, place.x, place.height, place.width, [pixels, pixels], antialias=True)
        return cut
    if augmentation.crop == "centre":
        x, y = centre_offset(planes.shape[-1], planes.shape[-2], video)
        return planes[..., y : y + pixels, x : x + pixels]
    drawn: Tensor = _random_crop(pixels)(planes)
    return drawn
