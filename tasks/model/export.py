"""Export the network for use without our code.

Normalisation and centre crop are included; it returns plain tensors.
"""

# b: clips, t: segments, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

import torch
from torch import Tensor, nn

from tasks.model.backbones import CROP_PIXELS
from tasks.model.crops import Normalise
from tasks.model.network import Network


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
        y, x = _half(frames.shape[2] - CROP_PIXELS), _half(frames.shape[3] - CROP_PIXELS)
        crops = frames.narrow(2, y, CROP_PIXELS).narrow(3, x, CROP_PIXELS).permute(0, 1, 4, 2, 3)
        logits = self.network(self.normalise(crops))
        return (logits.verb, logits.noun) if self.has_objects else logits.verb


def _half(pixels: int) -> int:
    """Compute `round(pixels / 2)`, half to even as in `crops.centre_offset`.

    `torch.export` can trace its integer arithmetic.
    """
    return (pixels + pixels % 4 // 3) // 2


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
