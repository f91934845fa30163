"""One network: a backbone on each snippet, an optional temporal shift inside it, a consensus over the segments, two heads."""

# b: batch, t: segments, c: channels, h, w: pixels (224), f: features, v: verbs, n: nouns

import hashlib

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from torch import Tensor, nn

from tasks.model import backbones
from tasks.model.consensus import HEADS, Logits
from tasks.model.shift import insert_temporal_shift
from tasks.model.spec import NetworkSpec


class Network(nn.Module):
    """(b, t, c, 224, 224), normalised for the backbone -> Logits, verb (b, v) and noun (b, n).

    A network is a pure function of its spec and its seed, whatever the state of torch's own generator.

    Raises:
        BadConfiguration: the spec names a backbone, modality or combination that does not exist.
    """

    def __init__(self, spec: NetworkSpec, seed: int = 0) -> None:
        super().__init__()
        row = backbones.find(spec.backbone)
        self.spec = spec
        self.input_format = backbones.snippet_format(row.input, spec.modality)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = row.construct(spec.snippet.num_channels)
            self.head = HEADS[spec.consensus](row.num_features, spec)
        if spec.temporal_shift:
            insert_temporal_shift(self.backbone, spec.num_segments)

    def forward(self, snippets: Tensor) -> Logits:
        """(b, t, c, h, w) -> Logits (b, v), (b, n)."""
        logits: Logits = self.head(self.features(snippets))
        return logits

    def features(self, snippets: Tensor) -> Tensor:
        """(b, t, c, h, w) -> (b, t, f)."""
        features: Tensor = self.backbone(snippets.flatten(0, 1))
        return features.reshape(*snippets.shape[:2], -1)


def to_channels_last(network: Network) -> Network:
    """Lay the weights out as convolutions run quickest, on a CPU and on a GPU; changes `network` and gives it back."""
    # torch documents `memory_format` and leaves it out of the types of `Module.to`.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def synchronise_norms(network: Network) -> Network:
    """Let batch-norm that trains count the batches of all processes, which GPUs alone can; changes `network` and gives it back."""
    # Not torch's own, which loses the activation that timm's layers carry.
    network.backbone = convert_sync_batchnorm(network.backbone)  # type: ignore[no-untyped-call]
    return network


def weights_sha256(module: nn.Module) -> str:
    """Hash of every parameter and buffer in order: the provenance of a set of weights, whatever file it came from."""
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
