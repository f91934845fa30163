"""The network as other people load it: normalisation and centre crop inside, plain tensors out, no code of ours needed."""

# b: clips, t: segments, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

import torch
from torch import Tensor, nn

from tasks.model.backbones import CROP_PIXELS
from tasks.model.crops import Normalise
from tasks.model.network import Network


class ExportedNetwork(nn.Module):
    """uint8 snippets (b, t, h, w, p) at short side 256 -> (verb logits (b, v), noun logits (b, n)), of the centre crop.

    `torch.export` takes it with any b, h and w. A tuple, because a named tuple would need our code to load; without objects, the verb logits
    as they are.
    """

    def __init__(self, network: Network, *, has_objects: bool = True) -> None:
        super().__init__()
        self.network = network
        self.has_objects = has_objects
        self.normalise = Normalise(network.input_format)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """(b, t, h, w, p) -> (b, v), (b, n), or (b, v) alone."""
        y, x = _half(frames.shape[2] - CROP_PIXELS), _half(frames.shape[3] - CROP_PIXELS)
        crops = frames.narrow(2, y, CROP_PIXELS).narrow(3, x, CROP_PIXELS).permute(0, 1, 4, 2, 3)
        logits = self.network(self.normalise(crops))
        return (logits.verb, logits.noun) if self.has_objects else logits.verb


def _half(pixels: int) -> int:
    """`round(pixels / 2)` as `crops.centre_offset` has it, to even, in whole numbers, for `torch.export` traces no other."""
    return (pixels + pixels % 4 // 3) // 2


def export_module(network: Network, *, has_objects: bool = True) -> tuple[ExportedNetwork, Tensor]:
    """The module to log, on the CPU in evaluation mode, and an input example of two clips that leaves b, h and w free."""
    module = ExportedNetwork(network, has_objects=has_objects).cpu().eval()
    generator = torch.Generator().manual_seed(0)
    example = torch.randint(
        0, 256, (2, network.spec.num_segments, 256, 340, network.spec.snippet.num_planes), dtype=torch.uint8, generator=generator
    )
    return module, example
