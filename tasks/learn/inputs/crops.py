"""Turn decoded frames into a network's input by crops, flips, augmentation and normalisation."""

# k: crops, t: snippets, m: frames of a snippet, h, w: pixels, p: 8-bit planes of a snippet, c: channels of a backbone

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.transforms import v2
from torchvision.transforms.functional import resize
from torchvision.transforms.v2 import functional

from tasks.errors import BadInput
from tasks.learn.networks.spec import CROP_PIXELS, SNIPPETS, SnippetFormat
from tasks.options import Modality, RecipeOptions
from tasks.video_networks import VideoNetwork

Frames = NDArray[np.uint8]
NumCrops = Literal[1, 10]


def cut_views(frames: Frames, num_crops: NumCrops, modality: Modality, video: VideoNetwork | None = None) -> list[Frames]:
    """Cut views of snippets (t, h, w, p): TSN's ten crops, or the centre crop.

    The ten are five offsets, each crop followed by its mirror image; only mirrored flow is copied. A video network has one crop, the centre of
    the frames at its own size.

    Raises:
        BadInput: a side is shorter than a crop.
    """
    if video:
        sized = scaled(frames, video)
        return [_cut(sized, *centre_offset(sized.shape[2], sized.shape[1], video), video.crop_pixels)]
    _, height, width, _ = frames.shape
    if min(height, width) < CROP_PIXELS:
        raise BadInput(f"frames of {width}x{height} pixels are smaller than a crop of {CROP_PIXELS}; scale them to short side 256")
    if num_crops == 1:
        return [_cut(frames, *centre_offset(width, height))]
    cuts = [_cut(frames, x, y) for x, y in crop_offsets(width, height)]
    return [view for cut in cuts for view in (cut, mirrored(cut, modality))]


def scaled(frames: Frames, video: VideoNetwork) -> Frames:
    """Scale uint8 (t, h, w, p) as the library of a video network does."""
    _, height, width, _ = frames.shape
    if video.resize in ((min(height, width),), (height, width)):
        return frames
    # One snippet at a time, because they are scaled in float32.
    snippets = (torch.from_numpy(np.ascontiguousarray(snippet.transpose(2, 0, 1))) for snippet in frames)
    # torchvision's presets scale 8-bit frames bilinearly, without antialiasing, and round; processors of transformers, with antialiasing.
    scale = partial(functional.resize, antialias=True) if video.repository else partial(resize, antialias=False)
    return np.stack([scale(snippet, list(video.resize)).permute(1, 2, 0).numpy() for snippet in snippets])


def mirrored(frames: Frames, modality: Modality) -> Frames:
    """Flip (t, h, w, p) horizontally."""
    flipped = frames[:, :, ::-1]
    if modality is Modality.FLOW:
        # The x component changes its sign; zero lies between 127 and 128.
        flipped = flipped.copy()
        flipped[..., ::2] = 255 - flipped[..., ::2]
    return flipped


def crop_offsets(width: int, height: int) -> list[tuple[int, int]]:
    """Return TSN's five (x, y) offsets, unlike torchvision's TenCrop: corners, then the centre."""
    step_x, step_y = (width - CROP_PIXELS) // 4, (height - CROP_PIXELS) // 4
    return [(0, 0), (4 * step_x, 0), (0, 4 * step_y), (4 * step_x, 4 * step_y), (2 * step_x, 2 * step_y)]


def centre_offset(width: int, height: int, video: VideoNetwork | None = None) -> tuple[int, int]:
    """Return (x, y) of the centre crop."""
    pixels = video.crop_pixels if video else CROP_PIXELS
    # transformers rounds down, torchvision half to even.
    if video and video.repository:
        return (width - pixels) // 2, (height - pixels) // 2
    return round((width - pixels) / 2), round((height - pixels) / 2)


class Normalise(nn.Module):
    """A module that normalises uint8 planes and arranges them by `Arrange`."""

    def __init__(self, snippet_format: SnippetFormat) -> None:
        super().__init__()
        self.arrange = Arrange(snippet_format)
        std = torch.tensor(snippet_format.std).view(-1, 1, 1)
        self.factor: Tensor
        self.offset: Tensor
        self.register_buffer("factor", snippet_format.scale / std, persistent=False)
        self.register_buffer("offset", torch.tensor(snippet_format.mean).view(-1, 1, 1) / std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 (..., p, h, w) to float32 as `Arrange` does."""
        arranged: Tensor = self.arrange(images.float() * self.factor - self.offset)
        return arranged


class Arrange(nn.Module):
    """A module that arranges normalised planes (..., p, h, w) for a network.

    They become channels (..., c, h, w), or the frames (..., 3, m, h, w) of a video network.
    """

    def __init__(self, snippet_format: SnippetFormat) -> None:
        super().__init__()
        self.takes_differences = "differences" in snippet_format.arrange
        self.makes_video = snippet_format.arrange == "video"
        self.order = [3 * (i // 3) + 2 - i % 3 for i in range(len(snippet_format.mean))] if "reversed" in snippet_format.arrange else None

    def forward(self, planes: Tensor) -> Tensor:
        """Map planes to channels, or to the frames of a video network."""
        if self.makes_video:
            return planes.reshape(*planes.shape[:-3], -1, 3, *planes.shape[-2:]).transpose(-4, -3)
        if self.order is not None:
            planes = planes[..., self.order, :, :]
        return planes[..., 3:, :, :] - planes[..., :-3, :, :] if self.takes_differences else planes


def _cut(frames: Frames, x: int, y: int, pixels: int = CROP_PIXELS) -> Frames:
    return frames[:, y : y + pixels, x : x + pixels]


CLOSE_PIXELS = 3
"""A side within this distance of the crop size is snapped to it, to avoid resizing by a pixel or two."""

QUARTERS = ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2), (0, 2), (4, 2), (2, 4), (2, 0), (1, 1), (3, 1), (1, 3), (3, 3))
"""(right, down) offsets of a multi-scale crop, in quarters of the free space: corners, centre, edge midpoints, and the points between."""


@cache
def _random_crop(pixels: int) -> v2.RandomResizedCrop:
    return v2.RandomResizedCrop(pixels, scale=(0.25, 1.0), antialias=True)


@dataclass(frozen=True)
class Augmentation:
    """Random crop and flip."""

    crop: Literal["resized", "multi-scale", "centre"] = "resized"
    mirror: bool = True

    @classmethod
    def of(cls, recipe: RecipeOptions, modality: Modality) -> "Augmentation":
        """Return the augmentation of a recipe; sound gets none."""
        return cls("centre", mirror=False) if modality.is_heard else cls(recipe.crop, recipe.mirror)

    @property
    def name(self) -> str:
        """Return a unique name of these settings; empty for the defaults."""
        return "-".join(filter(None, ["" if self.crop == "resized" else self.crop, "" if self.mirror else "unmirrored"]))

    @property
    def draws_nothing(self) -> bool:
        """Check whether it is the centre crop without flip, as in single-crop testing."""
        return self.crop == "centre" and not self.mirror


PLAIN = Augmentation()


class Place(NamedTuple):
    """A rectangle in a frame, in pixels from the top-left corner."""

    x: int
    y: int
    width: int
    height: int


def multiscale_places(width: int, height: int, scales: Sequence[float], pixels: int = CROP_PIXELS) -> list[Place]:
    """List the equally likely training crops of TSN (arXiv 1608.00859, section 3.2), as its code.

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
    """Apply one random crop and flip, drawn by `seed`, to snippets (t, h, w, p).

    The result is a pure function of the arguments: uint8 (t, p, 224, 224), or of a video network's size. A seed draws the same crop with and
    without flips.
    """
    frames = scaled(frames, video) if video else frames
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed also seeds every other device type, which takes a quarter of an item's time.
        torch.default_generator.manual_seed(seed)
        planes = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)
        images = _cropped(planes, augmentation, modality, video)
        is_mirrored = bool(torch.rand(1) < 0.5) and augmentation.mirror
    return torch.from_numpy(mirrored(images.permute(0, 2, 3, 1).numpy(), modality).transpose(0, 3, 1, 2).copy()) if is_mirrored else images


def _cropped(planes: Tensor, augmentation: Augmentation, modality: Modality, video: VideoNetwork | None) -> Tensor:
    """Crop uint8 (t, p, h, w) to the network's size by a random draw."""
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
