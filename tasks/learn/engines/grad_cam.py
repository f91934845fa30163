"""Draw Grad-CAM heat maps (Selvaraju et al., arXiv 1610.02391) over a clip's frames."""

# t: segments, m: frames of a video network's snippet, c: channels, p: 8-bit planes of a snippet, h, w: pixels, n: tokens

import io
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.colors import hsv_to_rgb
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from tasks.learn.inputs.crops import Frames, Normalise, cut_views
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import CROP_PIXELS
from tasks.learn.networks.weights_file import first_line
from tasks.options import Modality
from tasks.video_networks import VideoNetwork

TILE_PIXELS = 160
GAP_PIXELS = 4
NUM_SHOWN = 8
"""Tiles of a video network: frames of the middle one of its views."""

TAIL = 16
"""Number of last maps of a video network that are differentiated, because all take gigabytes. The class depends on one of these."""

OPACITY = 0.7
"""Opacity of the strongest heat; it falls to 0 where there is none."""

Heat = NDArray[np.float32]
AsMap = Callable[[Tensor], Tensor | None]
Collect = Callable[[Network, Tensor], tuple[list[Tensor], Tensor]]
NO_MOTION = 127.5


class NothingToSee(Exception):
    """Grad-CAM is not possible for this network or on this machine."""


def activation_sheet(network: Network, frames: Frames, head: Literal["verb", "noun"], class_id: int) -> bytes:
    """Draw a clip's test frames in a row with one class's Grad-CAM heat, as PNG.

    The network is in evaluation mode, in float32. `frames` are the clip's test snippets, uint8 (t, h, w, p), short side 256; their centre crops
    are shown, or 8 frames of a video network, with one heat scale: no heat leaves the frame unchanged, red is the maximum.

    Raises:
        NothingToSee: as `grad_cam`, or the network sees no picture.
    """
    modality = network.spec.modality
    if network.spec.sound:
        raise NothingToSee("a network on features of sound looks at no picture")
    crops = cut_views(frames, 1, modality, network.spec.video)[0]
    if video := network.spec.video:
        view = crops[len(crops) // 2]
        shown = [int((i + 0.5) * video.num_frames / NUM_SHOWN) for i in range(min(NUM_SHOWN, video.num_frames))]
        heats = video_heat(network, view, head, class_id)[shown]
        images = np.stack([view[..., 3 * i : 3 * i + 3] for i in shown])
    else:
        heats, images = grad_cam(network, crops, head, class_id), pictures(crops, modality)
    tiles = [_tile(image, heat) for image, heat in zip(images, heats, strict=True)]
    sheet = Image.new("RGB", (len(tiles) * (TILE_PIXELS + GAP_PIXELS) - GAP_PIXELS, TILE_PIXELS), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i * (TILE_PIXELS + GAP_PIXELS), 0))
    png = io.BytesIO()
    # A palette of 256 colours needs a third of the bytes and looks the same.
    sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(png, "PNG", optimize=True)
    return png.getvalue()


def grad_cam(network: Network, crops: Frames, head: Literal["verb", "noun"], class_id: int) -> Heat:
    """Map crops (t, 224, 224, p) to the heat (t, 224, 224) of a class.

    The maximum over all crops is 1; all values are 0 if nothing supports the class.

    Raises:
        NothingToSee: the backbone has no spatial layer, no gradients, or there is not enough memory.
    """
    return _scaled(_class_heat(network, crops, head, class_id, _spatial_outputs, _as_map), (CROP_PIXELS, CROP_PIXELS))


def video_heat(network: Network, view: Frames, head: Literal["verb", "noun"], class_id: int) -> Heat:
    """Map a view (h, w, p) to the heat (m, h, w) of a class.

    It is that of `grad_cam`, of a map over time and place, as if the clip had this view alone.

    Raises:
        NothingToSee: as `grad_cam`.
    """
    video = network.spec.video
    if video is None:
        raise ValueError(f"{network.spec} is no video network")
    as_map = partial(_as_video_map, video)
    heat = _class_heat(network, view[None], head, class_id, partial(_last_outputs, as_map=as_map), as_map)
    (frames_heat,) = _scaled(heat, (video.num_frames, *view.shape[:2]))
    return np.asarray(frames_heat, np.float32)


def _class_heat(
    network: Network, snippets: Frames, head: Literal["verb", "noun"], class_id: int, collect: Collect, as_map: AsMap
) -> Tensor:
    """Map snippets (t, h, w, p) to heat (t, h, w), or (t, m, …)."""
    device = next(network.parameters()).device
    planes = torch.from_numpy(np.ascontiguousarray(snippets)).to(device).permute(0, 3, 1, 2)
    try:
        outputs, features = collect(network, Normalise(network.input_format).to(device)(planes))
        with torch.enable_grad():
            logits: Logits = network.head(features)
        return _heat(outputs, getattr(logits, head)[0, class_id], as_map)
    # Raised by torch for missing gradients or memory.
    except RuntimeError as error:
        raise NothingToSee(first_line(error)) from error


def _last_outputs(network: Network, snippets: Tensor, as_map: AsMap) -> tuple[list[Tensor], Tensor]:
    """Compute the last `TAIL` maps, and features (1, t, f) with gradients of these alone."""
    outputs: list[Tensor] = []
    num_seen, num_skipped = 0, -1

    def collect(module: nn.Module, inputs: object, output: object) -> Tensor | None:
        nonlocal num_seen
        if not isinstance(output, Tensor) or as_map(output) is None:
            return None
        num_seen += 1
        if num_skipped < 0 or num_seen <= num_skipped:
            return None
        if not outputs:
            torch.set_grad_enabled(True)
            # A leaf could not be changed in place by the next module.
            output = output.detach().requires_grad_().clone()
        outputs.append(output)
        return output

    hooks = [module.register_forward_hook(collect) for module in network.backbone.modules()]
    try:
        with torch.no_grad():
            network.features(snippets[None])
            if not num_seen:
                raise NothingToSee("no module of this backbone has a map over time and place")
            num_seen, num_skipped = 0, max(0, num_seen - TAIL)
            features = network.features(snippets[None])
    finally:
        for hook in hooks:
            hook.remove()
    return outputs, features


def _as_video_map(video: VideoNetwork, output: Tensor) -> Tensor | None:
    """View an output as one snippet's map (1, c, m', h', h'), or None.

    It has its channels first, or last, or is tokens (1, n, c) of patches of two frames, perhaps after that of a class.
    """
    if len(output) != 1:
        return None  # heads of attention
    if output.ndim == 5 and output.shape[3] == output.shape[4] > 1:
        return output
    if output.ndim == 5 and output.shape[2] == output.shape[3] > 1:
        return output.permute(0, 4, 1, 2, 3)
    if output.ndim != 3 or output.shape[2] != video.num_features:
        return None
    steps = video.num_frames // 2
    side = math.isqrt(output.shape[1] // steps)
    return output[:, -steps * side * side :].transpose(1, 2).reshape(1, -1, steps, side, side) if side > 1 else None


def _scaled(heat: Tensor, size: tuple[int, ...]) -> Heat:
    """Scale heat (t, …) to `size` in pixels, and its maximum to 1."""
    scaled = nn.functional.interpolate(heat[:, None], size, mode="bilinear" if len(size) == 2 else "trilinear")[:, 0].float().cpu()
    return np.asarray(scaled / scaled.max().clamp_min(torch.finfo(torch.float32).tiny), np.float32)


def _spatial_outputs(network: Network, snippets: Tensor) -> tuple[list[Tensor], Tensor]:
    """Compute the spatial outputs of the backbone's modules, and features (1, t, f)."""
    outputs: list[Tensor] = []

    def collect(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and _as_map(output) is not None:
            outputs.append(output)

    hooks = [module.register_forward_hook(collect) for module in network.backbone.modules()]
    try:
        with torch.enable_grad():
            features = network.features(snippets[None].requires_grad_())
    finally:
        for hook in hooks:
            hook.remove()
    # Keys, queries and values have as many tokens, but other channels.
    spatial = [output for output in outputs if output.ndim == 4 or output.shape[2] == features.shape[-1]]
    if not spatial:
        raise NothingToSee("no module of this backbone has a spatial output")
    return spatial, features


def _heat(outputs: Sequence[Tensor], logit: Tensor, as_map: AsMap) -> Tensor:
    """Weight the last output that the logit depends on by its mean gradient.

    Raises:
        NothingToSee: the logit depends on none of them.
        RuntimeError: there are no gradients.
    """
    # A vision transformer that answers by its class token returns patches without a gradient; the input of its last block has one.
    for output in reversed(outputs):
        (gradient,) = torch.autograd.grad(logit, output, retain_graph=True)
        maps, gradients = as_map(output), as_map(gradient)
        if maps is not None and gradients is not None and gradients.any():
            return (gradients.mean(tuple(range(2, gradients.ndim)), keepdim=True) * maps).sum(1).relu().detach()
    raise NothingToSee("this class does not depend on any spatial output of the backbone")


def _as_map(output: Tensor) -> Tensor | None:
    """View an output as maps (t, c, h, h), or None.

    It has its channels first, or last, or is tokens (t, n, c) of patches.
    """
    if output.ndim == 4 and output.shape[2] == output.shape[3] > 1:
        return output
    if output.ndim == 4 and output.shape[1] == output.shape[2] > 1:
        return output.permute(0, 3, 1, 2)
    side = math.isqrt(output.shape[1]) if output.ndim == 3 else 0
    return output[:, -side * side :].transpose(1, 2).reshape(len(output), -1, side, side) if side > 1 else None


def _tile(image: NDArray[np.uint8], heat: Heat) -> Image.Image:
    colours = colormaps["turbo"](heat)[..., :3] * 255
    opacity = OPACITY * heat[..., None]
    mixed = image * (1 - opacity) + colours * opacity
    return Image.fromarray(mixed.astype(np.uint8)).resize((TILE_PIXELS, TILE_PIXELS), Image.Resampling.LANCZOS)


def pictures(snippets: Frames, modality: Modality) -> Frames:
    """Render snippets (t, h, w, p) as RGB: first frames, or mean motions."""
    if modality is not Modality.FLOW:
        return snippets[..., :3]
    # Direction as hue, speed as brightness, relative to the fastest point of all snippets.
    x, y = (snippets[..., first::2].mean(-1) - NO_MOTION for first in (0, 1))
    speed = np.hypot(x, y)
    hue = np.arctan2(y, x) / (2 * np.pi) % 1
    # The floor of 1.0 keeps 8-bit rounding of a still clip from being amplified to noise.
    colours: Frames = (255 * hsv_to_rgb(np.stack([hue, np.ones_like(hue), speed / max(speed.max(), 1.0)], -1))).astype(np.uint8)
    return colours
