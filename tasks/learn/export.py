"""Export the network for use without our code.

Normalisation and centre crop are included; it returns plain tensors.
"""

# b: clips, t: segments, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

import torch
from torch import Tensor, nn
from torch.export import Dim

from tasks.learn.backbones import crop_pixels
from tasks.learn.crops import Normalise
from tasks.learn.network import Network
from tasks.learn.spec import SHORT_SIDE
from tasks.learn.weights_file import first_line


class ExportedNetwork(nn.Module):
    """Maps uint8 snippets (b, t, h, w, p) to logits of the centre crop.

    The short side is 256; returns (verb logits (b, v), noun logits (b, n)). Exportable by `torch.export` with dynamic b, h and w. Returns a
    plain tuple, because loading a named tuple would need our code; without objects, only the verb logits.
    """

    def __init__(self, network: Network, *, has_objects: bool = True) -> None:
        super().__init__()
        self.network = network
        self.has_objects = has_objects
        self.normalise = Normalise(network.input_format)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """Map (b, t, h, w, p) to (b, v), (b, n), or only (b, v)."""
        pixels, images = crop_pixels(self.network.spec), self._scaled(frames.permute(0, 1, 4, 2, 3))
        video = self.network.spec.video
        halve = _rounded_down if video and video.repository else _half
        y, x = halve(images.shape[3] - pixels), halve(images.shape[4] - pixels)
        logits = self.network(self.normalise(images.narrow(3, y, pixels).narrow(4, x, pixels)))
        return (logits.verb, logits.noun) if self.has_objects else logits.verb

    def _scaled(self, images: Tensor) -> Tensor:
        """Scale (b, t, p, h, w) to the size that a video network was published with, as `crops.scaled`."""
        video = self.network.spec.video
        if video is None or video.resize == (SHORT_SIDE,):
            return images
        flat = images.flatten(0, 1).float()
        if len(video.resize) == 2:
            sized = nn.functional.interpolate(flat, video.resize, mode="bilinear", align_corners=False)
        else:
            height, width = images.shape[3], images.shape[4]
            (side,) = video.resize
            size = (side, side * width // SHORT_SIDE) if height <= width else (side * height // SHORT_SIDE, side)
            sized = nn.functional.interpolate(flat, size, mode="bilinear", align_corners=False, antialias=True)
        return sized.round().reshape(*images.shape[:3], *sized.shape[-2:])


def _half(pixels: int) -> int:
    """Compute `round(pixels / 2)`, half to even as in `crops.centre_offset`.

    `torch.export` can trace its integer arithmetic.
    """
    return (pixels + pixels % 4 // 3) // 2


def _rounded_down(pixels: int) -> int:
    return pixels // 2


def export_module(network: Network, *, has_objects: bool = True) -> tuple[ExportedNetwork, Tensor]:
    """Build the module to log, and an example input of two clips.

    The example makes b, h and w dynamic.
    """
    module = ExportedNetwork(network, has_objects=has_objects).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.randint(
        0, 256, (2, network.spec.num_segments, 256, 340, network.spec.snippet.num_planes), dtype=torch.uint8, generator=generator
    )
    return module, example


def export_failure(module: ExportedNetwork, example: Tensor) -> str | None:
    """Say in one line why a module cannot be exported; None if it can.

    It is exported for any b, h and w, as by MLflow.
    """
    try:
        torch.export.export(module, (example,), dynamic_shapes=[{0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}])
    # What tracing raises depends on the code of the backbone.
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        return first_line(error)
    return None
