"""Score a clip with the test protocol of arXiv 1908.00867.

Logits are averaged over segments, then crops, before softmax. Engines differ only in how they compute the features; all cut the same crops
and use the same heads in float32.
"""

# k: crops, t: segments, h, w: pixels, p: 8-bit planes of a snippet, c: channels, f: features, v: verbs, n: nouns, or images

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from functools import partial
from typing import ClassVar, NamedTuple, TypeVar

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tasks.errors import BadInput
from tasks.learn.hardware import within_gpu_memory
from tasks.learn.inputs.crops import Frames, NumCrops, cut_views
from tasks.learn.networks import backbones
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network, to_channels_last
from tasks.learn.networks.spec import NetworkSpec
from tasks.store.records.evaluation import EngineName, EnginePrecision

log = logging.getLogger(__name__)

TOLERANCE = 1e-3
"""Maximum difference of a feature, relative to the largest feature. Rounding alone causes a hundredth of it."""

K = TypeVar("K")
Convolution = nn.Conv2d | nn.Conv3d
Norm = nn.BatchNorm2d | nn.BatchNorm3d


class Engine(ABC):
    """One network, as returned by `prepare`, on one device, ready to score clips.

    `name` and `precision` are those of the backbone's computation, `description` the same for people, with versions and optimisations.
    """

    name: ClassVar[EngineName]
    precision: EnginePrecision
    description: str

    def __init__(self, network: Network, num_crops: NumCrops) -> None:
        self.network = network
        self.num_crops = network.spec.num_crops(num_crops)

    @abstractmethod
    def features(self, views: Sequence[Frames]) -> Tensor:
        """Compute the features (k, t, f) of one clip's views, float32 on the CPU.

        Views are uint8 (t, 224, 224, p), or of a video network's size.
        """

    def stream(self, views: Iterable[tuple[K, Frames]]) -> Iterator[tuple[K, Tensor]]:
        """Yield the features float32 (t, f) of each view under its key, in any order."""
        for key, view in views:
            yield key, self.features([view])[0]

    def score(self, frames: Frames) -> Logits:
        """Score one clip: float32 on the CPU, verb (v,) and noun (n,).

        `frames` are the clip's test snippets, uint8 (t, h, w, p), short side 256, or its sound as in `snippets.sound_input`.

        Raises:
            BadInput: frames are smaller than a crop, or do not match the network's snippets.
        """
        return self.answer(self.see(frames))

    def see(self, frames: Frames) -> Tensor:
        """Compute the features (k, t, f) of a clip's crops as `features`; raises as `score`."""
        spec = self.network.spec
        if spec.sound:
            return torch.from_numpy(frames)[None].float()
        if (len(frames), frames.shape[-1]) != (spec.num_segments, spec.snippet.num_planes):
            raise BadInput(
                f"the clip has {len(frames)} snippets of {frames.shape[-1]} planes, the network expects {spec.num_segments} of "
                f"{spec.snippet.num_planes} ({spec.modality.value})"
            )
        return self.features(cut_views(frames, self.num_crops, spec.modality, spec.video))

    def is_silent(self, features: Tensor) -> bool:
        """Check whether the features of `see` are those of silence."""
        return self.network.spec.sound is not None and not features.any()

    def answer(self, features: Tensor) -> Logits:
        """Compute logits, verb (v,) and noun (n,), from the features of `see`."""
        return clip_logits(self.network, features)


@torch.inference_mode()
def clip_logits(network: Network, features: Tensor) -> Logits:
    """Map the features (k, t, f) of a clip's crops to logits on the CPU."""
    # Linear heads give the same logits of mean features, in one run.
    if network.head.is_linear:
        features = features.mean(dim=0, keepdim=True)
    device = next(network.head.parameters()).device
    verb, noun = (logits.float().cpu() for logits in network.head(features.to(device)))
    return Logits(verb.mean(0), noun.mean(0))


def prepare(network: Network, device: torch.device | str = "cpu") -> Network:
    """Prepare a network for fast inference, in place: evaluation mode, batch-norm folded, channels last.

    Raises:
        BadConfiguration: it does not fit into the GPU's memory.
    """
    if getattr(network.backbone, "dynamic_img_size", False):
        # Position embeddings would be resampled at each image, and OpenVINO does so without anti-aliasing.
        network.backbone.set_input_size((network.spec.crop_pixels,) * 2)  # type: ignore[operator]  # of timm's transformers
    # An engine that was tried before may have moved it to a GPU.
    network.backbone = fold_batch_norms(network.backbone.cpu(), example_view(network.spec))
    with within_gpu_memory(f"the weights of {network.spec.title}"):
        return to_channels_last(network.eval().to(device))


def example_view(spec: NetworkSpec) -> Tensor:
    """Return noise like one normalised view: float32 (t, c, 224, 224), of sound (t, f).

    For a video network it is one snippet, (1, 3, m, h, w).
    """
    generator, pixels = torch.Generator().manual_seed(0), spec.crop_pixels
    if spec.sound:
        return torch.rand(spec.num_segments, backbones.of(spec).num_features, generator=generator)
    shape = (1, 3, spec.video.num_frames) if spec.video else (spec.num_segments, spec.snippet.num_channels)
    return torch.rand(*shape, pixels, pixels, generator=generator)


class _Pair(NamedTuple):
    """A convolution and the batch-norm after it, with their names in the backbone."""

    convolution_name: str
    convolution: Convolution
    norm_name: str
    norm: Norm


def fold_batch_norms(backbone: nn.Module, images: Tensor) -> nn.Module:
    """Return a copy in evaluation mode with batch-norms folded into directly preceding convolutions.

    It saves one write and read of every activation. If folding changes the output for `images`, the backbone is returned unfolded.
    """
    folded = deepcopy(backbone).eval()
    with torch.inference_mode():
        expected = backbone.eval()(images)
    for convolution_name, convolution, norm_name, norm in _pairs(folded, images):
        folded.set_submodule(convolution_name, fuse_conv_bn_eval(convolution, norm))
        after = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
        folded.set_submodule(norm_name, after)
    with torch.inference_mode():
        difference = (folded(images) - expected).abs().max()
    if not difference <= TOLERANCE * expected.abs().max():
        log.warning("batch-norm is not folded into the convolutions: a feature would change by %.2g", difference)
        return backbone
    return folded


def _pairs(backbone: nn.Module, images: Tensor) -> list[_Pair]:
    """Find batch-norms on a convolution's output, where both run once, by a forward pass."""
    made_by: dict[int, tuple[str, Convolution, Tensor]] = {}  # holds the tensor, because a freed tensor's id can be reused
    pairs: list[_Pair] = []
    runs: Counter[str] = Counter()

    def after(name: str, convolution: Convolution, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        runs[name] += 1
        made_by[id(output)] = (name, convolution, output)

    def before(name: str, norm: Norm, inputs: tuple[Tensor, ...]) -> None:
        runs[name] += 1
        if id(inputs[0]) in made_by:
            pairs.append(_Pair(*made_by[id(inputs[0])][:2], name, norm))

    hooks = []
    for name, module in backbone.named_modules():
        if isinstance(module, Convolution):
            hooks.append(module.register_forward_hook(partial(after, name)))
        elif type(module) in (nn.BatchNorm2d, nn.BatchNorm3d, BatchNormAct2d):
            hooks.append(module.register_forward_pre_hook(partial(before, name)))
    with torch.inference_mode():
        backbone(images)
    for hook in hooks:
        hook.remove()
    return [pair for pair in pairs if runs[pair.convolution_name] == runs[pair.norm_name] == 1]
