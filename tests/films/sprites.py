"""Noise, light and sprites, for the things, hands and counters of the sample videos.

h, w: pixels; relief and coverage are (h, w); colours are (h, w, 3), 0-255.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

Array = NDArray[np.floating[Any]]
Colour = Sequence[float] | Array

SUPERSAMPLING = 2
SHADOW_PAD = 10
SHADOW_COLOUR = (18, 14, 12)
# Lamp at the upper left, towards the camera.
LIGHT = np.array([-0.45, -0.55, 0.70], dtype=np.float32) / np.float32(np.sqrt(0.45**2 + 0.55**2 + 0.70**2))


@dataclass(frozen=True)
class Sprite:
    """A painted thing with its coverage and its soft shadow; `anchor` is the pixel that `paste` puts at a position."""

    rgb: Image.Image
    mask: Image.Image
    shadow: Image.Image
    anchor: tuple[float, float]

    def paste(self, canvas: Image.Image, x: float, y: float, *, lift: float = 0, opacity: float = 1) -> None:
        """Paint at (x, y) pixels of `canvas`; `lift` is the height over the surface in pixels, which throws the shadow further."""
        if opacity <= 0:
            return
        mask, shadow = self.mask, self.shadow
        if opacity < 1:
            mask, shadow = (image.point([int(value * opacity) for value in range(256)]) for image in (mask, shadow))
        left, top = round(x - self.anchor[0]), round(y - self.anchor[1])
        shadow_at = (left - SHADOW_PAD + round(3 + lift * 0.55), top - SHADOW_PAD + round(4 + lift * 0.65))
        canvas.paste(SHADOW_COLOUR, (*shadow_at, shadow_at[0] + shadow.width, shadow_at[1] + shadow.height), shadow)
        canvas.paste(self.rgb, (left, top), mask)


def from_rgba(image: Image.Image, anchor: tuple[float, float] | None = None) -> Sprite:
    """Give an RGBA picture its shadow; the anchor is its centre unless told."""
    mask = image.getchannel("A")
    shadow = Image.new("L", (image.width + 2 * SHADOW_PAD, image.height + 2 * SHADOW_PAD))
    shadow.paste(mask.point([int(value * 0.5) for value in range(256)]), (SHADOW_PAD, SHADOW_PAD))
    shadow = shadow.filter(ImageFilter.GaussianBlur(4))
    return Sprite(image.convert("RGB"), mask, shadow, anchor or (image.width / 2, image.height / 2))


def to_rgba(sprite: Sprite) -> Image.Image:
    """The picture without its shadow."""
    image = sprite.rgb.copy()
    image.putalpha(sprite.mask)
    return image


def turned(sprite: Sprite, degrees: float, scale: float = 1) -> Sprite:
    """The sprite turned counter-clockwise and scaled; its anchor stays on the same spot of the thing."""
    image = to_rgba(sprite)
    if scale != 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
    dx, dy = sprite.anchor[0] * scale - image.width / 2, sprite.anchor[1] * scale - image.height / 2
    image = image.rotate(degrees, Image.Resampling.BICUBIC, expand=True)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return from_rgba(image, (image.width / 2 + dx * cos + dy * sin, image.height / 2 - dx * sin + dy * cos))


def mirrored(sprite: Sprite) -> Sprite:
    """Left for right."""
    return from_rgba(ImageOps.mirror(to_rgba(sprite)), (sprite.rgb.width - sprite.anchor[0], sprite.anchor[1]))


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float]) -> Array:
    """Gaussian noise (h, w), blurred by `sigma` pixels (or one sigma down and one across), of mean 0 and deviation 1."""
    sigma_y, sigma_x = sigma if isinstance(sigma, tuple) else (sigma, sigma)
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    down = np.exp(-2 * (np.pi * sigma_y * np.fft.fftfreq(shape[0])) ** 2)
    across = np.exp(-2 * (np.pi * sigma_x * np.fft.rfftfreq(shape[1])) ** 2)
    noise = np.fft.irfft2(spectrum * np.outer(down, across).astype(np.float32), s=shape)
    noise -= noise.mean()
    return np.asarray(noise / (noise.std() + 1e-6), dtype=np.float32)


def grid(width: int, height: int) -> tuple[Array, Array]:
    """Pixel coordinates (u across, v down), zero at the centre, of a supersampled picture of `width` x `height` pixels."""
    step = 1 / SUPERSAMPLING
    v, u = np.mgrid[0 : height * SUPERSAMPLING, 0 : width * SUPERSAMPLING].astype(np.float32)
    return (u + 0.5) * step - width / 2, (v + 0.5) * step - height / 2


def fill(shape: tuple[int, int], colour: Colour) -> Array:
    """One colour everywhere, (h, w, 3)."""
    return np.broadcast_to(np.asarray(colour, dtype=np.float32), (*shape, 3)).copy()


def blend(albedo: Array, colour: Colour, share: Array) -> None:
    """Paint `colour` over `albedo` in place, as far as `share` (h, w, 0-1) says."""
    albedo += (np.asarray(colour, dtype=np.float32) - albedo) * np.clip(share, 0, 1)[..., None]


def edge(distance: Array, softness: float = 0.6) -> Array:
    """Coverage (0-1) of where `distance` in pixels is below zero, soft at the border."""
    return np.asarray(np.clip(0.5 - distance / (2 * softness), 0, 1), dtype=np.float32)


def lit(albedo: Array, relief: Array, coverage: Array, *, gloss: float = 0, anchor: tuple[float, float] | None = None) -> Sprite:
    """Light a supersampled relief (pixels of height) by Lambert's law with a Blinn highlight, and shrink it to a sprite."""
    down, across = np.gradient(relief, 1 / SUPERSAMPLING)
    length = np.sqrt(down**2 + across**2 + 1)
    facing = np.clip((-across * LIGHT[0] - down * LIGHT[1] + LIGHT[2]) / length, 0, None)
    colour = albedo * (0.42 + 0.83 * facing)[..., None]
    if gloss:
        halfway = LIGHT + np.array([0, 0, 1], dtype=np.float32)
        halfway /= np.sqrt((halfway**2).sum())
        shine = np.clip((-across * halfway[0] - down * halfway[1] + halfway[2]) / length, 0, 1) ** 40
        colour += 255 * gloss * shine[..., None]
    rgba = np.dstack([np.clip(colour, 0, 255), coverage * 255]).astype(np.uint8)
    image = Image.fromarray(rgba, "RGBA")
    # Resizing weighs colours by their coverage, so no dark rim appears.
    return from_rgba(image.resize((image.width // SUPERSAMPLING, image.height // SUPERSAMPLING), Image.Resampling.BOX), anchor)
