"""Define the network: backbone, optional temporal shift, consensus, and two heads.

The backbone runs per snippet, the consensus over segments.
"""

# b: batch, t: segments, or views of a video network, whose c is (3, frames); c: channels, h, w: pixels (224), p: patches, f: features,
# v: verbs, n: nouns

import hashlib

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.learn import backbones
from tasks.learn.consensus import Logits
from tasks.learn.heads import HEADS
from tasks.learn.input_format import snippet_format
from tasks.learn.patches import give_patches, patch_shape
from tasks.learn.shift import insert_temporal_shift
from tasks.learn.spec import NetworkSpec
from tasks.options import Modality


class Network(nn.Module):
    """Maps (b, t, c, 224, 224) to Logits, verb (b, v) and noun (b, n).

    The input is normalised for the backbone. Its initial weights depend only on spec and seed, not on the state of torch's global
    generator. `feature_shape` is that of a segment's features, (f,), or (p, f) if the head sees patches.

    Raises:
        BadConfiguration: the spec names an unknown backbone, modality or combination.
    """

    def __init__(self, spec: NetworkSpec, seed: int = 0) -> None:
        super().__init__()
        if spec.video and (spec.temporal_shift or spec.modality is not Modality.RGB):
            raise BadConfiguration(
                f"{spec.backbone} is a video network, which takes RGB frames and no temporal shift; choose family 3D and modality rgb"
            )
        row = backbones.of(spec)
        self.spec = spec
        self.feature_shape: tuple[int, ...] = patch_shape(spec.backbone) if spec.sees_patches else (row.num_features,)
        self.input_format = snippet_format(row.input, spec.modality, spec.video)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = row.construct(spec.snippet.num_channels)
            self.head = HEADS[spec.consensus](self.feature_shape[-1], spec)
        if spec.sees_patches:
            give_patches(self.backbone)
        if spec.temporal_shift:
            insert_temporal_shift(self.backbone, spec.num_segments)

    def forward(self, snippets: Tensor) -> Logits:
        """Map (b, t, c, h, w) to Logits (b, v), (b, n)."""
        logits: Logits = self.head(self.features(snippets))
        return logits

    def features(self, snippets: Tensor) -> Tensor:
        """Map (b, t, c, h, w) to (b, t, f), or (b, t, p, f) if the head sees patches."""
        features: Tensor = self.backbone(snippets.flatten(0, 1))
        return features.reshape(*snippets.shape[:2], *self.feature_shape[:-1], -1)


def to_channels_last(network: Network) -> Network:
    """Convert a network in place to channels-last memory.

    Convolutions are fastest in it, on CPU and GPU.
    """
    if network.spec.video:
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]
    # torch documents `memory_format`, but its type hints for `Module.to` lack it.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def in_channels_last(snippets: Tensor) -> Tensor:
    """Convert snippets (n, c, h, w), or (n, 3, m, h, w), to channels-last memory."""
    return snippets.contiguous(memory_format=torch.channels_last if snippets.ndim == 4 else torch.channels_last_3d)


def synchronise_norms(network: Network) -> Network:
    """Convert a network's batch-norms in place to synchronise over all processes; works on GPUs only."""
    # timm's converter, because torch's loses the activation inside timm's layers.
    network.backbone = convert_sync_batchnorm(network.backbone)  # type: ignore[no-untyped-call]
    return network


def weights_sha256(module: nn.Module) -> str:
    """Hash all parameters and buffers in order; identifies weights independently of their file."""
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
