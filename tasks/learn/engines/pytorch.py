"""Run networks by PyTorch, and export them for use without our code."""

# k: crops, b: clips, t: segments, n: images, or nouns; p: 8-bit planes of a snippet, c: channels, h, w: pixels, f: features, v: verbs

import shutil
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import Engine
from tasks.learn.engines.resizing import centre_crop
from tasks.learn.hardware import within_gpu_memory
from tasks.learn.inputs.crops import Frames, Normalise, NumCrops
from tasks.learn.networks.network import Network, in_channels_last
from tasks.learn.networks.weights_file import first_line
from tasks.store.records.evaluation import EngineName, EnginePrecision

COMPILE_FROM_CLIPS = 5000
"""An estimate, not a measurement: compiling takes about a minute, and saves about ten milliseconds per clip."""

UNTRACEABLE = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""Errors of tracing, which depend on the code of the backbone."""


class PytorchEngine(Engine):
    """Runs in float32 on the network's device: the reference of the parity check."""

    name: ClassVar[EngineName] = "pytorch"
    precision: EnginePrecision = "float32"

    def __init__(self, network: Network, num_crops: NumCrops) -> None:
        super().__init__(network, num_crops)
        self.device = next(network.parameters()).device
        self.description = f"PyTorch {torch.__version__} on {self.device.type}, batch-norm folded, channels last"
        self._normalise = Normalise(network.input_format).to(self.device)

    @torch.inference_mode()
    def features(self, views: Sequence[Frames]) -> Tensor:
        """Map views uint8 (t, 224, 224, p) to float32 (k, t, f) on the CPU.

        Raises:
            BadConfiguration: they do not fit into the GPU's memory.
        """
        num_views = len(views)
        # One view at a time is fastest on a CPU, because activations stay in its caches; all at once on a GPU.
        at_once = 1 if self.device.type == "cpu" else num_views
        if self.network.spec.video:
            # A snippet of a video network is a batch by itself: it may take gigabytes.
            views, at_once = [view[i : i + 1] for view in views for i in range(len(view))], 1
        with within_gpu_memory(f"the views of a clip that {self.network.spec.title} sees at once"):
            parts = [self._run_batch(views[i : i + at_once]) for i in range(0, len(views), at_once)]
        features = torch.cat(parts)
        return features.view(num_views, -1, features.shape[1])

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


class CudaEngine(PytorchEngine):
    """An engine that autocasts the backbone to bfloat16, else float16, on a GPU.

    The backbone is compiled if there are enough clips.

    Raises:
        BadConfiguration: the network is not on a GPU.
    """

    name: ClassVar[EngineName] = "cuda"

    def __init__(self, network: Network, num_crops: NumCrops, num_clips: int) -> None:
        super().__init__(network, num_crops)
        if self.device.type != "cuda":
            raise BadConfiguration("engine cuda: the network is not on a GPU; choose engine auto, or RETAKE_DEVICE=cuda")
        self._dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        self.precision = "bfloat16" if self._dtype is torch.bfloat16 else "float16"
        # torch.compile needs a C compiler for its launcher, which slim images lack.
        compiles = num_clips >= COMPILE_FROM_CLIPS and shutil.which("cc") is not None
        self._backbone = torch.compile(network.backbone, dynamic=False) if compiles else network.backbone
        how = "compiled" if compiles else "not compiled"
        self.description = f"PyTorch {torch.__version__}, autocast on {torch.cuda.get_device_name(self.device)}, channels last, {how}"

    def _run(self, images: Tensor) -> Tensor:
        with torch.autocast("cuda", self._dtype):
            features: Tensor = self._backbone(images)
        return features


class ExportedNetwork(nn.Module):
    """A module that maps snippets, short side 256, to logits of the centre crop.

    `torch.export` takes it with dynamic b, h and w. It returns a plain tuple, because loading a named tuple would need our code.
    """

    def __init__(self, network: Network, *, has_objects: bool = True) -> None:
        super().__init__()
        self.network = network
        self.has_objects = has_objects
        self.normalise = Normalise(network.input_format)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor] | Tensor:
        """Map (b, t, h, w, p) to (b, v), (b, n), or only (b, v)."""
        logits = self.network(self.snippets(frames))
        return (logits.verb, logits.noun) if self.has_objects else logits.verb

    def snippets(self, images: Tensor, *, scales: bool = False) -> Tensor:
        """Crop and normalise snippets (b, t, h, w, p) for the network.

        With `scales`, `images` are frames of any size (b, t, m, h, w, 3).
        """
        crops = centre_crop(images.flatten(0, -4), self.network.spec, scales=scales)
        planes = crops.permute(0, 3, 1, 2).reshape(*images.shape[:2], -1, *crops.shape[1:3])
        normalised: Tensor = self.normalise(planes)
        return normalised


def export_module(network: Network, *, has_objects: bool = True) -> tuple[ExportedNetwork, Tensor]:
    """Build the module to log, and an example input with dynamic b, h and w."""
    module = ExportedNetwork(network, has_objects=has_objects).cpu().eval()
    shape = 2, network.spec.num_segments, 256, 340, network.spec.snippet.num_planes
    return module, torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def export_failure(module: ExportedNetwork, example: Tensor) -> str | None:
    """Return in one line why MLflow cannot export a module, if it cannot."""
    try:
        torch.export.export(module, (example,), dynamic_shapes=[{0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO}])
    except UNTRACEABLE as error:
        return first_line(error)
    return None
