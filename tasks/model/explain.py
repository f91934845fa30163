"""Draw Grad-CAM heat maps (Selvaraju et al., arXiv 1610.02391) over a clip's frames."""

# t: segments, c: channels, p: 8-bit planes of a snippet, h, w: pixels

import io
from typing import Literal

import numpy as np
import torch
from captum.attr import LayerAttribution, LayerGradCam  # type: ignore[import-untyped]
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from tasks.model.backbones import CROP_PIXELS
from tasks.model.crops import Frames, Normalise, cut_views
from tasks.model.network import Network
from tasks.model.pictures import pictures

TILE_PIXELS = 160
GAP_PIXELS = 4
OPACITY = 0.7
"""Opacity of the strongest heat; it falls to 0 where there is none."""

Heat = NDArray[np.float32]


class NothingToSee(Exception):
    """Grad-CAM is not possible for this network or on this machine.

    The network itself is fine.
    """


def activation_sheet(network: Network, frames: Frames, head: Literal["verb", "noun"], class_id: int) -> bytes:
    """Draw a clip's test frames in a row, overlaid with one class's Grad-CAM heat.

    Args:
        network: in evaluation mode, in float32.
        frames: the clip's test snippets, uint8 (t, h, w, p), short side 256; their centre crops are shown.
        head: the head of the class.
        class_id: index into the head's logits.

    Returns:
        PNG, t tiles of 160 pixels. All tiles share one heat scale: no heat leaves the frame unchanged, red is the maximum.

    Raises:
        NothingToSee: see `grad_cam`.
    """
    modality = network.spec.modality
    crops = cut_views(frames, 1, modality)[0]
    heats = grad_cam(network, crops, head, class_id)
    tiles = [_tile(image, heat) for image, heat in zip(pictures(crops, modality), heats, strict=True)]
    sheet = Image.new("RGB", (len(tiles) * (TILE_PIXELS + GAP_PIXELS) - GAP_PIXELS, TILE_PIXELS), "white")
    for i, tile in enumerate(tiles):
        sheet.paste(tile, (i * (TILE_PIXELS + GAP_PIXELS), 0))
    png = io.BytesIO()
    # A palette of 256 colours needs a third of the bytes and looks the same.
    sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE).save(png, "PNG", optimize=True)
    return png.getvalue()


def grad_cam(network: Network, crops: Frames, head: Literal["verb", "noun"], class_id: int) -> Heat:
    """Compute the heat of a class in each crop: float32 (t, 224, 224).

    The maximum over all crops is 1; all values are 0 if nothing supports the class.

    Args:
        network: in evaluation mode, in float32.
        crops: uint8 (t, 224, 224, p).
        head: the head of the class.
        class_id: index into the head's logits.

    Raises:
        NothingToSee: the backbone has no spatial layer, no gradients, or there is not enough memory.
    """
    device = next(network.parameters()).device
    images = torch.from_numpy(np.ascontiguousarray(crops)).to(device).permute(0, 3, 1, 2)
    snippets = Normalise(network.input_format).to(device)(images)

    def logits(snippets: Tensor) -> Tensor:
        answer: Tensor = getattr(network(snippets[None]), head)
        return answer

    try:
        with torch.enable_grad():
            layer = last_spatial_layer(network.backbone, snippets)
            found = LayerGradCam(logits, layer).attribute(snippets, class_id, relu_attributions=True)
    # Raised by captum for unsupported layers, and by torch for missing gradients or memory.
    except (AssertionError, RuntimeError, ValueError) as error:
        raise NothingToSee((str(error) or type(error).__name__).splitlines()[0]) from error
    heat = LayerAttribution.interpolate(found, (CROP_PIXELS, CROP_PIXELS), "bilinear").detach()[:, 0].float().cpu()
    return np.asarray(heat / heat.max().clamp_min(torch.finfo(torch.float32).tiny), np.float32)


def last_spatial_layer(backbone: nn.Module, images: Tensor) -> nn.Module:
    """Find the last module with a square spatial output, by running the backbone.

    Args:
        backbone: (t, c, h, w) -> (t, f).
        images: (t, c, 224, 224).

    Raises:
        NothingToSee: there is no such module.
    """
    spatial: list[nn.Module] = []

    def collect(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[-1] == output.shape[-2] > 1:
            spatial.append(module)

    hooks = [module.register_forward_hook(collect) for module in backbone.modules()]
    try:
        with torch.inference_mode():
            backbone(images)
    finally:
        for hook in hooks:
            hook.remove()
    if not spatial:
        raise NothingToSee("no module of this backbone has a spatial output")
    return spatial[-1]


def _tile(image: NDArray[np.uint8], heat: Heat) -> Image.Image:
    colours = colormaps["turbo"](heat)[..., :3] * 255
    opacity = OPACITY * heat[..., None]
    mixed = image * (1 - opacity) + colours * opacity
    return Image.fromarray(mixed.astype(np.uint8)).resize((TILE_PIXELS, TILE_PIXELS), Image.Resampling.LANCZOS)
