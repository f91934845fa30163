"""The scores of one clip, as the test protocol has them (arXiv 1908.00867): logits averaged over segments, then crops, before softmax.

An engine is one way to compute the features; all engines cut the same crops and share the heads, in float32.
"""

# k: crops, t: segments, h, w: pixels, p: 8-bit planes of a snippet, c: channels, f: features, v: verbs, n: nouns

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from tasks.errors import BadInput
from tasks.model.backbones import CROP_PIXELS
from tasks.model.consensus import Logits
from tasks.model.crops import Frames, NumCrops, cut_views
from tasks.model.folding import fold_batch_norms
from tasks.model.network import Network, to_channels_last
from tasks.model.spec import NetworkSpec
from tasks.results.evaluation import EngineName, EnginePrecision


class Engine(ABC):
    """One network on one machine, ready to score clips one after the other.

    Attributes:
        name, precision: what computes the features, and in which numbers.
        description: the same for a person, with versions and what was optimised.
        network: as `prepare` gives it; its heads answer for every engine.
        num_crops: 10 or the centre alone.
    """

    name: ClassVar[EngineName]
    precision: EnginePrecision
    description: str

    def __init__(self, network: Network, num_crops: NumCrops) -> None:
        self.network = network
        self.num_crops = num_crops

    @abstractmethod
    def features(self, views: Sequence[Frames]) -> Tensor:
        """What the backbone sees in k views of one clip, each uint8 (t, 224, 224, p): float32 (k, t, f) on the CPU."""

    def score(self, frames: Frames) -> Logits:
        """Score one clip.

        Args:
            frames: the clip's test snippets, uint8 (t, h, w, p), short side 256.

        Returns:
            float32 on the CPU, verb (v,) and noun (n,).

        Raises:
            BadInput: frames are smaller than a crop, or not the snippets that the network takes.
        """
        return self.answer(self.see(frames))

    def see(self, frames: Frames, num_crops: NumCrops | None = None) -> Tensor:
        """What the backbone sees in every crop of one clip, or in `num_crops`, float32 (k, t, f) on the CPU; `frames` and errors as of `score`."""
        spec = self.network.spec
        if (len(frames), frames.shape[-1]) != (spec.num_segments, spec.snippet.num_planes):
            raise BadInput(
                f"the clip has {len(frames)} snippets of {frames.shape[-1]} planes where the network takes {spec.num_segments} of "
                f"{spec.snippet.num_planes} ({spec.modality.value})"
            )
        return self.features(cut_views(frames, num_crops or self.num_crops, spec.modality))

    def answer(self, features: Tensor) -> Logits:
        """The logits, verb (v,) and noun (n,), of what `see` gave.

        Where the heads are linear they run once, on features averaged over the crops, which gives the same logits.
        """
        if self.network.head.is_linear:
            features = features.mean(dim=0, keepdim=True)
        verb, noun = self._logits(features)
        return Logits(verb.mean(0), noun.mean(0))

    @torch.inference_mode()
    def _logits(self, features: Tensor) -> Logits:
        device = next(self.network.head.parameters()).device
        return Logits(*(logits.float().cpu() for logits in self.network.head(features.to(device))))


def prepare(network: Network, device: torch.device | str = "cpu") -> Network:
    """Put a network where and how it scores quickest: evaluation mode, batch-norm folded, channels last. Changes `network` and gives it back."""
    network.backbone = fold_batch_norms(network.backbone, example_view(network.spec))
    return to_channels_last(network.eval().to(device))


def example_view(spec: NetworkSpec) -> Tensor:
    """Noise of the shape that a backbone sees of one view of a clip: float32 (t, c, 224, 224), always the same."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(spec.num_segments, spec.snippet.num_channels, CROP_PIXELS, CROP_PIXELS, generator=generator)
