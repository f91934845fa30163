"""Build the networks of timm, torchvision and transformers without their heads, and load published weights."""

# n: images, or snippets of a video network; c: channels, m: frames of a snippet, h, w: pixels, f: features

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.video_networks import VideoNetwork

StateDict = dict[str, Tensor]
PLAIN: Mapping[str, Any] = {}
"""No arguments beyond those that every model gets."""

CLASSIFIERS = ("fc", "head", "classifier")
"""Names of a video network's last part, with the dropout before it. What S3D's classifier takes is averaged over time after it, too."""

INSTALL_TRANSFORMERS = "pip install 'transformers>=5.24,<6'"
SIZES: Mapping[str, Mapping[str, Any]] = {
    "small": {"hidden_size": 384, "intermediate_size": 1536, "num_attention_heads": 16},
    "base": {},
    "large": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16},
    "huge": {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16},
    "vitl": {},
    "vith": {"hidden_size": 1280, "num_hidden_layers": 32},
    "vitg": {"hidden_size": 1408, "num_hidden_layers": 40, "num_attention_heads": 22, "mlp_ratio": 48 / 11},
}
"""Architectures by the second part of a network's name, where they differ from the default of their configuration."""


def timm_model(name: str, num_channels: int, arguments: Mapping[str, Any] = PLAIN) -> nn.Module:
    """Build a model without a classifier: (n, c, h, w) to (n, f)."""
    module: nn.Module = timm.create_model(name, num_classes=0, in_chans=num_channels, **arguments)
    return module


def timm_weights(name: str, arguments: Mapping[str, Any] = PLAIN) -> StateDict:
    """Download the weights of a timm model, with position embeddings for the size in `arguments`.

    Raises:
        OSError: they cannot be downloaded.
        RuntimeError: none are published.
    """
    state: StateDict = timm.create_model(name, pretrained=True, num_classes=0, **arguments).state_dict()
    return state


def timm_conversion(name: str) -> Callable[[StateDict, nn.Module], StateDict]:
    """Find how timm renames and resamples published tensors before it loads them."""
    module = sys.modules[timm.model_entrypoint(name).__module__]
    convert: Callable[[StateDict, nn.Module], StateDict] = getattr(module, "checkpoint_filter_fn", lambda state, _: state)
    return convert


def torchvision_classifier(name: str, num_channels: int) -> nn.Module:
    """Build a classifier without its last layer: (n, c, h, w) to (n, f)."""
    # GoogLeNet's auxiliary heads would return three outputs in training.
    choices = {"aux_logits": False, "init_weights": True} if name == "googlenet" else {}
    module: nn.Module = torchvision.models.get_model(name, weights=None, **choices)
    module.set_submodule([part for part, layer in module.named_modules() if isinstance(layer, nn.Linear)][-1], nn.Identity())
    if num_channels != 3:
        stem_name, stem = next((part, layer) for part, layer in module.named_modules() if isinstance(layer, nn.Conv2d))
        wider = nn.Conv2d(
            num_channels,
            stem.out_channels,
            (stem.kernel_size[0], stem.kernel_size[1]),
            (stem.stride[0], stem.stride[1]),
            (int(stem.padding[0]), int(stem.padding[1])),
            bias=stem.bias is not None,
        )
        module.set_submodule(stem_name, wider)
    return module


def matching_keys(backbone: nn.Module, state: StateDict) -> StateDict:
    """Select the tensors of a file that a backbone has."""
    keys = backbone.state_dict().keys()
    return {key: value for key, value in state.items() if key in keys}


def download(url: str) -> StateDict:
    """Download a file of weights, whose name ends in its hash, or read torch's cache.

    Raises:
        OSError: it cannot be downloaded.
        RuntimeError: its hash is another.
    """
    state: StateDict = torch.hub.load_state_dict_from_url(url, map_location="cpu", progress=False, check_hash=True, weights_only=True)
    return state


def torchvision_url(name: str) -> str:
    """Return the address of a network's oldest weights, of ImageNet or Kinetics-400 alone."""
    return str(next(iter(torchvision.models.get_model_weights(name))).url)


def torchvision_weights(name: str) -> StateDict:
    """Download the published weights of a classifier, without its last layer; errors as in `download`."""
    return matching_keys(torchvision_classifier(name, 3), download(torchvision_url(name)))


def torchvision_video(name: str) -> nn.Module:
    """Build a network without its classifier: (n, 3, m, h, w) to (n, f)."""
    module: nn.Module = torchvision.models.get_model(name, weights=None)
    last = next(part for part, _ in module.named_children() if part in CLASSIFIERS)
    setattr(module, last, nn.Identity())
    return module


class VideoMae(nn.Module):
    """The encoder of VideoMAE (arXiv 2203.12602); features are the mean over tokens, normalised if fine-tuned."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401 -- transformers is optional
        super().__init__()
        self.videomae = _transformers().VideoMAEModel(config)
        self.fc_norm = nn.LayerNorm(config.hidden_size) if config.use_mean_pooling else nn.Identity()

    def forward(self, snippets: Tensor) -> Tensor:
        """Map (n, 3, m, h, w) to (n, f)."""
        features: Tensor = self.fc_norm(self.videomae(snippets.transpose(1, 2)).last_hidden_state.mean(1))
        return features


class VJepa2(nn.Module):
    """The encoder of V-JEPA 2 (arXiv 2506.09985); its features are the mean over tokens."""

    def __init__(self, config: Any) -> None:  # noqa: ANN401 -- transformers is optional
        super().__init__()
        self.encoder = _transformers().VJEPA2Model(config).encoder

    def forward(self, snippets: Tensor) -> Tensor:
        """Map (n, 3, m, h, w) to (n, f)."""
        features: Tensor = self.encoder(snippets.transpose(1, 2)).last_hidden_state.mean(1)
        return features


def transformers_video(video: VideoNetwork) -> nn.Module:
    """Build transformers' video network without its head: (n, 3, m, h, w) to (n, f).

    Raises:
        BadConfiguration: transformers is not installed.
    """
    family, size, *_ = video.name.split("-")
    transformers = _transformers()
    if family == "videomae":
        of_size = {"image_size": video.crop_pixels, "num_frames": video.num_frames, "use_mean_pooling": "finetuned" in video.name}
        return VideoMae(transformers.VideoMAEConfig(**SIZES[size], **of_size))
    of_size = {"crop_size": video.crop_pixels, "frames_per_clip": video.num_frames, "pred_num_hidden_layers": 1}
    return VJepa2(transformers.VJEPA2Config(**SIZES[size], **of_size))


def transformers_weights(video: VideoNetwork) -> tuple[StateDict, str]:
    """Download the weights of a network and name their commit, if the package does.

    Raises:
        BadConfiguration: transformers is not installed.
        OSError: they cannot be downloaded.
        RuntimeError: configuration or processor are not those of the table.
    """
    transformers = _transformers()
    is_videomae = video.name.startswith("videomae")
    name = ("VideoMAEForVideoClassification" if "finetuned" in video.name else "VideoMAEForPreTraining") if is_videomae else "VJEPA2Model"
    # Other files than safetensors may run code.
    model = getattr(transformers, name).from_pretrained(video.repository, use_safetensors=True)
    kind = transformers.VideoMAEImageProcessor if is_videomae else transformers.VJEPA2VideoProcessor
    check_published(video, model.config, kind.from_pretrained(video.repository))
    state: StateDict = model.state_dict()
    return state, getattr(model.config, "_commit_hash", None) or ""


def check_published(video: VideoNetwork, config: Any, processor: Any) -> None:  # noqa: ANN401 -- transformers is optional
    """Raise RuntimeError unless transformers' configuration and processor agree with the table."""
    frames = getattr(config, "num_frames", None) or config.frames_per_clip
    published = (frames, _side(processor.size), _side(processor.crop_size), tuple(processor.image_mean), tuple(processor.image_std))
    known = (video.num_frames, video.resize[0], video.crop_pixels, video.mean, video.std)
    if published != known:
        raise RuntimeError(f"{video.repository} says frames, sizes, mean and deviation are {published}, and Retake expects {known}")


def _side(size: Any) -> int:  # noqa: ANN401 -- transformers is optional
    return int(size["shortest_edge"] if size.get("shortest_edge") else size["height"])


def _transformers() -> Any:  # noqa: ANN401 -- a module
    """Import transformers, which is optional and takes a second."""
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError:
        raise BadConfiguration(
            f"the networks videomae-… and vjepa2-… are those of the package transformers: {INSTALL_TRANSFORMERS}"
        ) from None
