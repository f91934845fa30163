"""Run networks by PyTorch in float32, the reference of the parity check.

This engine runs everywhere.
"""

# k: crops, t: segments, n: images, p: 8-bit planes, c: channels, h, w: pixels, f: features

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tasks.learn.crops import Frames, Normalise, NumCrops
from tasks.learn.engines.engine import Engine
from tasks.learn.network import Network, in_channels_last
from tasks.store.records.evaluation import EngineName, EnginePrecision


class PytorchEngine(Engine):
    """Runs on the network's device."""

    name: ClassVar[EngineName] = "pytorch"
    precision: EnginePrecision = "float32"

    def __init__(self, network: Network, num_crops: NumCrops) -> None:
        super().__init__(network, num_crops)
        self.device = next(network.parameters()).device
        self.description = f"PyTorch {torch.__version__} on {self.device.type}, batch-norm folded, channels last"
        self._normalise = Normalise(network.input_format).to(self.device)

    @torch.inference_mode()
    def features(self, views: Sequence[Frames]) -> Tensor:
        """Map views uint8 (t, 224, 224, p) to float32 (k, t, f) on the CPU."""
        # One view at a time is fastest on a CPU, because activations stay in its caches; all at once on a GPU.
        at_once = 1 if self.device.type == "cpu" else len(views)
        num_views = len(views)
        if self.network.spec.video:
            # A snippet of a video network is a batch by itself: it may take gigabytes.
            views, at_once = [view[i : i + 1] for view in views for i in range(len(view))], 1
        parts = [self._run_batch(views[i : i + at_once]) for i in range(0, len(views), at_once)]
        features = torch.cat(parts)
        return features.view(num_views, -1, *features.shape[1:])

    def _run_batch(self, views: Sequence[Frames]) -> Tensor:
        # Frames store channels in the last dimension, so permuting gives channels-last memory without a copy.
        images = torch.from_numpy(np.concatenate(views)).to(self.device).permute(0, 3, 1, 2)
        snippets = self._normalise(images)
        return self._run(in_channels_last(snippets) if self.network.spec.video else snippets).float().cpu()

    def _run(self, images: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, f) on the same device."""
        # True float32: cuDNN otherwise rounds the inputs of convolutions to 10 bits (TF32).
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            features: Tensor = self.network.backbone(images)
        return features
