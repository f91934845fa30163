"""Scale and crop images inside a graph, by products of matrices.

Operators that scale differ between runtimes: OpenVINO reads ONNX's without its antialiasing, and its own takes ten times as long. Weights
follow from whole numbers, which stay exact where a graph is computed in bfloat16.
"""

# n: images, h, w: pixels, s: pixels of one axis, c: channels

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, sym_max, sym_min

from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import Interpolation

BLOCK_PIXELS = 56
"""Rows that one product computes. Of more rows, each has more weights of 0; of fewer, there are more products."""


@dataclass(frozen=True)
class Filter:
    """A kernel by the distance from its centre, with its reach.

    Both are in pixels of the smaller image if it antialiases, else of the given one.
    """

    kernel: Callable[[Tensor], Tensor]
    reach: int
    antialias: bool = True


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor) -> Tensor:
    near, far = (1.5 * distance - 2.5) * distance * distance + 1, ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


FILTERS: dict[Interpolation, Filter] = {"bilinear": Filter(_triangle, 1), "bicubic": Filter(_cubic, 2)}


def centre_crop(images: Tensor, spec: NetworkSpec, *, scales: bool) -> Tensor:
    """Cut centre crops (n, y, x, c) of whole numbers from images (n, …).

    With `scales`, frames of any size are first scaled to that of cached ones. Pillow's levels differ by 1, seldom by 2, for bilinear, and for
    bicubic by up to 6 on smooth frames and 22 on noise, because it scales columns first and cuts off the overshoot in between.
    """
    video, pixels = spec.video, spec.crop_pixels
    steps: list[tuple[tuple[int, ...], Filter]] = [((SHORT_SIDE,), FILTERS[spec.interpolation])] if scales else []
    if video and video.resize != (SHORT_SIDE,):
        steps.append((video.resize, Filter(_triangle, 1, antialias=len(video.resize) == 1)))
    for number, (resize, kernel) in enumerate(steps, 1):
        size = _target(images, resize)
        whole = number < len(steps)
        firsts = [0 if whole else half(side - pixels, rounds_down=bool(video and video.repository)) for side in size]
        images = _resized(images, size, firsts, size if whole else (pixels, pixels), kernel)
    if steps:
        return images
    y, x = (half(side - pixels, rounds_down=bool(video and video.repository)) for side in images.shape[1:3])
    return images.narrow(1, y, pixels).narrow(2, x, pixels).float()


def half(pixels: int, *, rounds_down: bool = False) -> int:
    """Halve as `crops.centre_offset` does, half to even or down, in integers that `torch.export` can trace."""
    return pixels // 2 if rounds_down else (pixels + pixels % 4 // 3) // 2


def _target(images: Tensor, resize: tuple[int, ...]) -> Sequence[int]:
    """Return height and width of images scaled to a short side, or both sides."""
    if len(resize) == 2:
        return resize
    height, width = images.shape[1:3]
    short: int = sym_min(height, width)  # type: ignore[no-untyped-call]
    return resize[0] * height // short, resize[0] * width // short


def _resized(images: Tensor, size: Sequence[int], firsts: Sequence[int], counts: Sequence[int], kernel: Filter) -> Tensor:
    """Scale (n, h, w, c) to `size`, and keep `counts` rows and columns from `firsts`."""
    sides, starts = images.shape[1:3], [0, 0]
    if isinstance(counts[1], int):
        # Columns outside the crop would cost as much as others.
        start, num_seen = _span(sides[1], size[1], firsts[1], counts[1], kernel)
        num_seen = sym_min(num_seen, sides[1])  # type: ignore[no-untyped-call]
        starts[1] = sym_min(sym_max(start, 0), sides[1] - num_seen)  # type: ignore[no-untyped-call]
        images = images.narrow(2, starts[1], num_seen)
    for side, whole, first, count, start in zip(sides, size, firsts, counts, starts, strict=True):
        # Columns are rows once both are exchanged.
        images = _rows(images, side, whole, first, count, kernel, start).transpose(1, 2)
        # Pillow, and every filter that antialiases like it, rounds in between.
        images = _levels(images) if kernel.antialias else images
    return images if kernel.antialias else _levels(images)


def _levels(images: Tensor) -> Tensor:
    return (images + 0.5).floor().clamp(0, 255)


def _span(side: int, size: int, first: int, count: int, kernel: Filter) -> tuple[int, int]:
    """Return the first pixel that scaled ones need, and their number, perhaps outside the image."""
    margin = kernel.reach * (side // size + 1) + 2
    return first * side // size - margin, count * side // size + 2 * margin


def _rows(images: Tensor, side: int, size: int, first: int, count: int, kernel: Filter, origin: int) -> Tensor:
    """Scale `side` rows to `size`, and keep `count` from `first` on.

    Map (n, s, w, c), whose rows begin at `origin`, to (n, count, w, c).
    """
    flat, blocks = images.flatten(2, 3), []
    reach: int = 2 * (sym_max(side, size) if kernel.antialias else size)  # type: ignore[no-untyped-call]
    # Tracing has a symbol for the number of rows where all are kept.
    keeps_all = not isinstance(count, int)
    starts = [0] if keeps_all else range(0, count, BLOCK_PIXELS)
    for start in starts:
        num, rows, seen = count, torch.arange(side), flat
        if not keeps_all:
            num = min(BLOCK_PIXELS, count - start)
            begin, num_seen = _span(side, size, first + start, num, kernel)
            rows = torch.arange(num_seen) + begin
            seen = flat.index_select(1, (rows - origin).clamp(0, flat.shape[1] - 1))
        # Distances of centres, times twice the size.
        distances = ((2 * rows + 1)[None] * size - (2 * (torch.arange(num) + first + start) + 1)[:, None] * side).abs()
        weights = torch.where((rows >= 0) & (rows < side), kernel.kernel(distances / reach), 0)
        blocks.append(torch.matmul(weights / weights.sum(1, keepdim=True), seen.float()))
    return torch.cat(blocks, 1).reshape(images.shape[0], count, *images.shape[2:])
