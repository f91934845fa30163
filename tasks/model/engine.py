"""The scores of one clip, as the test protocol has them (arXiv 1908.00867): logits averaged over segments, then crops, before softmax."""

# k: crops, t: segments, h, w: pixels, v: verbs, n: nouns

import torch
from torch import Tensor

from tasks.errors import BadInput
from tasks.model.backbones import CROP_PIXELS
from tasks.model.consensus import Logits
from tasks.model.crops import Frames, Normalise, NumCrops, cut_crops
from tasks.model.folding import fold_batch_norms
from tasks.model.network import Network, to_channels_last
from tasks.model.spec import snippet


def prepare(network: Network, device: torch.device | str = "cpu") -> Network:
    """Put a network where and how it scores quickest: evaluation mode, batch-norm folded, channels last. Changes `network` and gives it back."""
    num_channels = snippet(network.spec.modality).num_channels
    noise = torch.rand(network.spec.num_segments, num_channels, CROP_PIXELS, CROP_PIXELS, generator=torch.Generator().manual_seed(0))
    network.backbone = fold_batch_norms(network.backbone, noise)
    return to_channels_last(network.eval().to(device))


def score(network: Network, frames: Frames, num_crops: NumCrops = 10) -> Logits:
    """Score one clip.

    Args:
        network: as `prepare` gives it.
        frames: the clip's test frames, uint8 RGB (t, h, w, 3), short side 256.
        num_crops: 10 or the centre alone.

    Returns:
        float32 on the CPU, verb (v,) and noun (n,).

    Raises:
        BadInput: frames are smaller than a crop, or not as many as the network has segments.
    """
    verb, noun = score_crops(network, frames, num_crops)
    return Logits(verb.mean(0), noun.mean(0))


@torch.inference_mode()
def score_crops(network: Network, frames: Frames, num_crops: NumCrops = 10) -> Logits:
    """The same before crops are averaged: verb (k, v), noun (k, n), in the order of the protocol."""
    num_segments = network.spec.num_segments
    if len(frames) != num_segments:
        raise BadInput(f"the clip has {len(frames)} test frames where the network takes {num_segments}")
    device = next(network.parameters()).device
    normalise = Normalise(network.input_format).to(device)
    crops = cut_crops(frames, num_crops)
    # A CPU is quickest on one crop at a time, whose activations stay near its caches; a GPU on all of them.
    chunks = torch.split(crops, 1 if device.type == "cpu" else num_crops)
    answers = [network(_channels_last(normalise(chunk.to(device)))) for chunk in chunks]
    return Logits(*(torch.cat(parts).float().cpu() for parts in zip(*answers, strict=True)))


def _channels_last(snippets: Tensor) -> Tensor:
    images = snippets.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    return images.view(snippets.shape)
