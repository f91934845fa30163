"""How training clips are made to look different from epoch to epoch: one random crop, mirror image and jitter of colours for all their frames."""

# t: snippets, h, w: pixels, p: 8-bit planes of a snippet

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from tasks.model.backbones import CROP_PIXELS
from tasks.model.crops import Frames, centre_offset, mirrored
from tasks.options import Modality, RecipeOptions

SCALES: dict[Modality, tuple[float, ...]] = {
    Modality.RGB: (1, 0.875, 0.75, 0.66),
    Modality.FLOW: (1, 0.875, 0.75),
    Modality.RGB_DIFFERENCE: (1, 0.875, 0.75),
}
"""Sides of a multi-scale crop, as shares of the short side of a frame."""

CLOSE_PIXELS = 3
"""A side that is less than this away from a crop's is made that, so that nothing is scaled by a hair."""

QUARTERS = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))
"""Where a multi-scale crop may lie, in quarters of the room to the right and below: corners, centre, middles of the sides, between these."""

_random_crop = v2.RandomResizedCrop(CROP_PIXELS, scale=(0.25, 1.0), antialias=True)


@dataclass(frozen=True)
class Augmentation:
    """What is drawn for a clip: a crop, its mirror image, and at most so large a change of brightness, contrast and saturation."""

    crop: Literal["resized", "multi-scale", "centre"] = "resized"
    color_jitter: float = 0
    mirror: bool = True

    @classmethod
    def of(cls, recipe: RecipeOptions, modality: Modality) -> "Augmentation":
        """The one that a recipe asks for; flow has no colours."""
        return cls(recipe.crop, 0 if modality is Modality.FLOW else recipe.color_jitter, recipe.mirror)

    @property
    def name(self) -> str:
        """What tells it from every other; empty for the crop and the mirror image without jitter."""
        parts = {
            self.crop: self.crop != "resized",
            f"jitter-{self.color_jitter!r}": bool(self.color_jitter),
            "unmirrored": not self.mirror,
        }
        return "-".join(part for part, is_told in parts.items() if is_told)

    @property
    def draws_nothing(self) -> bool:
        """Whether it makes a clip look alike each time: as in a test of one crop."""
        return self.crop == "centre" and not (self.color_jitter or self.mirror)


PLAIN = Augmentation()


class Place(NamedTuple):
    """A part of a frame, in pixels from its left upper corner."""

    x: int
    y: int
    width: int
    height: int


def multiscale_places(width: int, height: int, scales: Sequence[float]) -> list[Place]:
    """All places that TSN draws a training crop from (arXiv 1608.00859, section 3.2, as its code has them), each as likely as any other.

    Width and height are shares of the short side, at most one step of `scales` apart.
    """
    sides = [int(min(width, height) * scale) for scale in scales]
    sides = [CROP_PIXELS if abs(side - CROP_PIXELS) < CLOSE_PIXELS else side for side in sides]
    sizes = [(sides[j], sides[i]) for i, j in product(range(len(sides)), repeat=2) if abs(i - j) <= 1]
    return [
        Place(right * ((width - wide) // 4), down * ((height - high) // 4), wide, high) for wide, high in sizes for right, down in QUARTERS
    ]


def augmented(frames: Frames, seed: int, modality: Modality, augmentation: Augmentation = PLAIN) -> Tensor:
    """One crop, horizontal flip and change of colours, the same for every frame; a pure function of its arguments.

    Args:
        frames: uint8 (t, h, w, p).
        seed: names the random draw.
        modality: what the planes are.
        augmentation: what is drawn. The same seed draws the same crop with and without mirror images and a jitter of colours.

    Returns:
        uint8 (t, p, 224, 224).
    """
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed also sees to every kind of device, which takes a quarter of an item's time.
        torch.default_generator.manual_seed(seed)
        planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        images = _cropped(planes, augmentation, modality)
        is_mirrored = bool(torch.rand(1) < 0.5) and augmentation.mirror
        if augmentation.color_jitter:
            images = _jittered(images, augmentation.color_jitter)
    return torch.from_numpy(mirrored(images.permute(0, 2, 3, 1).numpy(), modality).transpose(0, 3, 1, 2).copy()) if is_mirrored else images


def _cropped(planes: Tensor, augmentation: Augmentation, modality: Modality) -> Tensor:
    """uint8 (t, p, h, w) -> (t, p, 224, 224)."""
    if augmentation.crop == "multi-scale":
        return _multiscale_crop(planes, SCALES[modality])
    if augmentation.crop == "centre":
        x, y = centre_offset(planes.shape[-1], planes.shape[-2])
        return planes[..., y : y + CROP_PIXELS, x : x + CROP_PIXELS]
    drawn: Tensor = _random_crop(planes)
    return drawn


def _multiscale_crop(planes: Tensor, scales: Sequence[float]) -> Tensor:
    """uint8 (t, p, h, w) -> (t, p, 224, 224)."""
    places = multiscale_places(planes.shape[-1], planes.shape[-2], scales)
    place = places[int(torch.randint(len(places), (1,)))]
    cut: Tensor = functional.resized_crop(planes, place.y, place.x, place.height, place.width, [CROP_PIXELS, CROP_PIXELS], antialias=True)
    return cut


def _jittered(images: Tensor, share: float) -> Tensor:
    """uint8 (t, p, h, w), the planes being red, green and blue of one frame or more."""
    apart = images.reshape(-1, 3, *images.shape[-2:])
    changed: Tensor = v2.ColorJitter(share, share, share)(apart)
    return changed.reshape(images.shape)
