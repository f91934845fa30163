"""Define the network: a backbone per snippet, perhaps with temporal shift, and heads over segments."""

# b: batch, t: segments, or views of a video network, whose c is (3, frames); c: channels, h, w: pixels (224), f: features, v: verbs,
# n: nouns, or images

import hashlib
from collections.abc import Mapping

import torch
from timm.layers.norm_act import convert_sync_batchnorm
from timm.models import _efficientnet_blocks as timm_blocks
from timm.models.convnext import ConvNeXtBlock
from torch import Tensor, nn
from torchvision.models.efficientnet import MBConv
from torchvision.models.mobilenetv2 import InvertedResidual as Mobilenet2Block
from torchvision.models.mobilenetv3 import InvertedResidual as Mobilenet3Block

from tasks.errors import BadConfiguration
from tasks.learn.networks import backbones
from tasks.learn.networks.heads import HEADS, Logits
from tasks.learn.networks.spec import NetworkSpec, snippet_format
from tasks.options import Modality

BLOCKS: Mapping[type[nn.Module], tuple[tuple[str, ...], str]] = {
    timm_blocks.InvertedResidual: (("conv_pw",), "has_skip"),
    timm_blocks.DepthwiseSeparableConv: (("conv_dw",), "has_skip"),
    timm_blocks.EdgeResidual: (("conv_exp",), "has_skip"),
    Mobilenet2Block: (("conv.0.0",), "use_res_connect"),
    Mobilenet3Block: (("block.0.0",), "use_res_connect"),
    MBConv: (("block.0.0",), "use_res_connect"),
}
"""Blocks of the mobile families: names of possible first convolutions, and the attribute that marks a residual connection."""

FURTHER_BLOCKS: Mapping[type[nn.Module], tuple[tuple[str, ...], str]] = {
    timm_blocks.UniversalInvertedResidual: (("dw_start", "pw_exp"), "has_skip"),
    ConvNeXtBlock: (("conv_dw",), "shortcut"),
}
"""Blocks of MobileNetV4 and ConvNeXt. They are wrapped only where a backbone has none of `BLOCKS`: trained networks keep their shifts."""


class Network(nn.Module):
    """Maps (b, t, c, 224, 224) to Logits, verb (b, v) and noun (b, n).

    Inputs are normalised for the backbone. Its initial weights depend only on spec and seed, not on torch's global generator.

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
        self.num_features = row.num_features
        self.input_format = snippet_format(row.input, spec.modality, spec.video)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.backbone = row.construct(spec.snippet.num_channels)
            self.head = HEADS[spec.consensus](self.num_features, spec)
        if spec.temporal_shift:
            insert_temporal_shift(self.backbone, spec.num_segments)

    def forward(self, snippets: Tensor) -> Logits:
        """Map (b, t, c, h, w) to Logits (b, v), (b, n)."""
        logits: Logits = self.head(self.features(snippets))
        return logits

    def features(self, snippets: Tensor) -> Tensor:
        """Map (b, t, c, h, w) to (b, t, f)."""
        features: Tensor = self.backbone(snippets.flatten(0, 1))
        return features.reshape(*snippets.shape[:2], -1)


def to_channels_last(network: Network) -> Network:
    """Convert a network in place to channels-last memory, in which convolutions are fastest."""
    if network.spec.video:
        return network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload, no-any-return]
    # torch documents `memory_format`, but its type hints for `Module.to` lack it.
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def in_channels_last(snippets: Tensor) -> Tensor:
    """Convert snippets (n, c, h, w), or (n, 3, m, h, w), to channels-last memory."""
    return snippets.contiguous(memory_format=torch.channels_last if snippets.ndim == 4 else torch.channels_last_3d)


def synchronise_norms(network: Network) -> Network:
    """Convert a network's batch-norms in place to synchronise over all processes, which must have GPUs."""
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


class TemporalShift(nn.Module):
    """A shift of 1/8 of channels each way between segments (Lin et al., arXiv 1811.08383)."""

    def __init__(self, net: nn.Module, num_segments: int) -> None:
        super().__init__()
        self.net = net
        self.num_segments = num_segments

    def forward(self, images: Tensor) -> Tensor:
        """Map (b*t, c, h, w) to the output of `net`."""
        x = images.reshape(-1, self.num_segments, *images.shape[1:])
        fold = x.shape[2] // 8
        back, forward, unshifted = x[:, :, :fold], x[:, :, fold : 2 * fold], x[:, :, 2 * fold :]
        zeros = torch.zeros_like(back[:, :1])
        shifted = torch.cat([torch.cat([back[:, 1:], zeros], 1), torch.cat([zeros, forward[:, :-1]], 1), unshifted], 2)
        result: Tensor = self.net(shifted.flatten(0, 1))
        return result


def insert_temporal_shift(backbone: nn.Module, num_segments: int) -> None:
    """Wrap the first convolution of each residual block, in place ("blockres" in the paper's code).

    In a ResNet, all blocks of the four stages are wrapped, as in EPIC-KITCHENS-55's code; TSM's code skips every second block in
    ResNet-101's third stage. In the mobile families and ConvNeXt, blocks with a residual connection are wrapped.

    Raises:
        BadConfiguration: the backbone has no such blocks.
    """
    names = [f"{name}.conv1" for name, module in backbone.named_modules() if _is_resnet_block(name, module)]
    names += _convolutions(backbone, BLOCKS)
    names = names or _convolutions(backbone, FURTHER_BLOCKS)
    if not names:
        raise BadConfiguration(
            "temporal shift moves channels before the first convolution of residual blocks, and this backbone has none of the ResNet, MobileNet, "
            "EfficientNet or ConvNeXt families; choose backbone resnet50, or tf_efficientnet_lite0, or family TRN"
        )
    for name in names:
        backbone.set_submodule(name, TemporalShift(backbone.get_submodule(name), num_segments))


def _convolutions(backbone: nn.Module, blocks: Mapping[type[nn.Module], tuple[tuple[str, ...], str]]) -> list[str]:
    names = []
    for name, block in backbone.named_modules():
        convolutions, mark = blocks.get(type(block), ((), ""))
        # A shortcut with a convolution changes the shape.
        if convolutions and (isinstance(getattr(block, mark), nn.Identity) or getattr(block, mark) is True):
            # A block may have an identity in place of a convolution.
            first = next(part for part in convolutions if not isinstance(block.get_submodule(part), nn.Identity))
            names.append(f"{name}.{first}")
    return names


def unshifted_key(backbone: nn.Module, key: str) -> str:
    """Return a parameter's name without temporal shift, which nests convolutions one level deeper."""
    for name, module in backbone.named_modules():
        if isinstance(module, TemporalShift) and key.startswith(f"{name}.net."):
            return f"{name}.{key.removeprefix(f'{name}.net.')}"
    return key


def _is_resnet_block(name: str, module: nn.Module) -> bool:
    stage, _, number = name.partition(".")
    is_stage = stage in ("layer1", "layer2", "layer3", "layer4")
    return is_stage and number.isdigit() and isinstance(getattr(module, "conv1", None), nn.Module)


def widen_heads(network: Network, num_verbs: int, num_nouns: int, seed: int) -> Network:
    """Widen the heads to at least `num_verbs` and `num_nouns` outputs; existing classes keep their weights.

    Return `network` itself if it is large enough. Further rows are initialised as in a new network of this size and seed.
    """
    spec = network.spec
    sizes = {"num_verbs": max(num_verbs, spec.num_verbs), "num_nouns": max(num_nouns, spec.num_nouns)}
    if sizes == {"num_verbs": spec.num_verbs, "num_nouns": spec.num_nouns}:
        return network
    wider = Network(spec.model_copy(update=sizes), seed)
    known = network.state_dict()
    with torch.no_grad():
        for name, tensor in wider.state_dict().items():
            # Only the classifiers differ in size; their rows are classes, by id.
            (tensor[: len(known[name])] if tensor.ndim else tensor).copy_(known[name])
    return wider
