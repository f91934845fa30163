"""Score a clip with the test protocol (arXiv 1908.00867).

Logits are averaged over segments, then crops, before softmax. Engines differ only in how they compute the features; all cut the same crops
and use the same heads in float32.
"""

# k: crops, t: segments, h, w: pixels, p: 8-bit planes of a snippet, c: channels, f: features, v: verbs, n: nouns

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from tasks.errors import BadInput
from tasks.learn import backbones
from tasks.learn.backbones import crop_pixels
from tasks.learn.consensus import Logits
from tasks.learn.crops import Frames, NumCrops, cut_views
from tasks.learn.folding import fold_batch_norms
from tasks.learn.hearing import is_unheard
from tasks.learn.network import Network, to_channels_last
from tasks.learn.spec import NetworkSpec
from tasks.store.records.evaluation import EngineName, EnginePrecision


class Engine(ABC):
    """One network on one device, ready to score clips one by one.

    Attributes:
        name, precision: of the backbone's computation.
        description: the same for people, with versions and optimisations.
        network: as returned by `prepare`; every engine uses its heads.
        num_crops: 10, or 1 for the centre crop, the only one of a video network.
    """

    name: ClassVar[EngineName]
    precision: EnginePrecision
    description: str

    def __init__(self, network: Network, num_crops: NumCrops) -> None:
        self.network = network
        self.num_crops = network.spec.num_crops(num_crops)

    @abstractmethod
    def features(self, views: Sequence[Frames]) -> Tensor:
        """Compute the backbone's features of k views of one clip.

        Each view is uint8 (t, 224, 224, p), or of the size of a video network; returns float32 (k, t, f) on the CPU.
        """

    def score(self, frames: Frames) -> Logits:
        """Score one clip.

        Args:
            frames: the clip's test snippets, uint8 (t, h, w, p), short side 256, or its sound as of `tasks.learn.hearing`.

        Returns:
            float32 on the CPU, verb (v,) and noun (n,).

        Raises:
            BadInput: frames are smaller than a crop, or do not match the network's snippets.
        """
        return self.answer(self.see(frames))

    def see(self, frames: Frames, num_crops: NumCrops | None = None) -> Tensor:
        """Compute the features of one clip's crops, float32 (k, t, f) on the CPU.

        `num_crops` overrides the engine's. See `score` for errors.
        """
        spec = self.network.spec
        if spec.sound:
            return torch.from_numpy(frames)[None].float()
        if (len(frames), frames.shape[-1]) != (spec.num_segments, spec.snippet.num_planes):
            raise BadInput(
                f"the clip has {len(frames)} snippets of {frames.shape[-1]} planes, the network expects {spec.num_segments} of "
                f"{spec.snippet.num_planes} ({spec.modality.value})"
            )
        features = self.features(cut_views(frames, num_crops or self.num_crops, spec.modality, spec.video))
        # The heads answer a clip in which there is nothing to hear by their biases alone.
        return torch.zeros_like(features) if is_unheard(frames, spec) else features

    def hears_nothing(self, features: Tensor) -> bool:
        """Check whether the features of `see` are those of a clip in which there is nothing to hear."""
        return self.network.spec.modality.is_heard and not features.any()

    def answer(self, features: Tensor) -> Logits:
        """Compute logits, verb (v,) and noun (n,), from the features of `see`."""
        return clip_logits(self.network, features)


@torch.inference_mode()
def clip_logits(network: Network, features: Tensor) -> Logits:
    """Compute one clip's logits from its crops' features (k, t, f).

    float32 on the CPU, verb (v,) and noun (n,). Linear heads run once, on features averaged over crops, which gives the same logits.
    """
    if network.head.is_linear:
        features = features.mean(dim=0, keepdim=True)
    device = next(network.head.parameters()).device
    verb, noun = (logits.float().cpu() for logits in network.head(features.to(device)))
    return Logits(verb.mean(0), noun.mean(0))


def prepare(network: Network, device: torch.device | str = "cpu") -> Network:
    """Prepare a network for fast inference, in place: evaluation mode, batch-norm folded, channels last."""
    network.backbone = fold_batch_norms(network.backbone, example_view(network.spec))
    return to_channels_last(network.eval().to(device))


def example_view(spec: NetworkSpec) -> Tensor:
    """Return fixed noise with the shape of one normalised view.

    It is float32 (t, c, 224, 224), or (t, f) for features of sound. For a video network it is one snippet, (1, 3, m, h, w).
    """
    generator, pixels = torch.Generator().manual_seed(0), crop_pixels(spec)
    if spec.sound:
        return torch.rand(spec.num_segments, backbones.of(spec).num_features, generator=generator)
    shape = (1, 3, spec.video.num_frames) if spec.video else (spec.num_segments, spec.snippet.num_channels)
    return torch.rand(*shape, pixels, pixels, generator=generator)
