"""Score on a GPU in half precision, all views in one batch.

Compiled if there are enough clips.
"""

# n: images, c: channels, h, w: pixels, f: features

import shutil
from typing import ClassVar

import torch
from torch import Tensor

from tasks.errors import BadConfiguration
from tasks.learn.crops import NumCrops
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.network import Network
from tasks.store.records.evaluation import EngineName

COMPILE_FROM_CLIPS = 5000
"""An estimate, not a measurement, of when compiling saves time.

Compiling takes about a minute, and saves about ten milliseconds per clip.
"""


class CudaEngine(PytorchEngine):
    """Autocasts the backbone to bfloat16, or to float16 if the GPU lacks bfloat16.

    The heads stay in float32.

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
