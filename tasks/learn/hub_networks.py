"""Build the video networks of Hugging Face's transformers, an optional package, without their heads."""

# n: snippets, m: frames of a snippet, h, w: pixels, q: tokens, f: features

import importlib
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from tasks.errors import BadConfiguration
from tasks.learn.timm_models import StateDict
from tasks.video_networks import VideoNetwork

INSTALL = "pip install 'retake[transformers]'"

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


class VideoMae(nn.Module):
    """The encoder of VideoMAE (arXiv 2203.12602).

    Its features are the mean over tokens, normalised if it was fine-tuned.
    """

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


def construct(video: VideoNetwork) -> nn.Module:
    """Build a network without its head: (n, 3, m, h, w) to (n, f).

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


def published(video: VideoNetwork) -> tuple[StateDict, str]:
    """Download the weights of a network, whose configuration and processor must agree with the table.

    Returns:
        the weights, and the commit of the hub that they were loaded from; empty if the package does not tell it.

    Raises:
        BadConfiguration: transformers is not installed.
        OSError: they cannot be downloaded.
        RuntimeError: the network is not the one of the table.
    """
    transformers = _transformers()
    is_videomae = video.name.startswith("videomae")
    name = ("VideoMAEForVideoClassification" if "finetuned" in video.name else "VideoMAEForPreTraining") if is_videomae else "VJEPA2Model"
    # Other files than safetensors may run code.
    model = getattr(transformers, name).from_pretrained(video.repository, use_safetensors=True)
    kind = transformers.VideoMAEImageProcessor if is_videomae else transformers.VJEPA2VideoProcessor
    check(video, model.config, kind.from_pretrained(video.repository))
    state: StateDict = model.state_dict()
    return state, getattr(model.config, "_commit_hash", None) or ""


def check(video: VideoNetwork, config: Any, processor: Any) -> None:  # noqa: ANN401 -- transformers is optional
    """Check that a configuration and a processor of transformers agree with the table.

    Raises:
        RuntimeError: they do not.
    """
    frames = getattr(config, "num_frames", None) or config.frames_per_clip
    said = (frames, _side(processor.size), _side(processor.crop_size), tuple(processor.image_mean), tuple(processor.image_std))
    known = (video.num_frames, video.resize[0], video.crop_pixels, video.mean, video.std)
    if said != known:
        raise RuntimeError(f"{video.repository} says frames, sizes, mean and deviation are {said}, and Retake expects {known}")


def _side(size: Any) -> int:  # noqa: ANN401 -- transformers is optional
    """Return the short side of a size, as processors keep it."""
    return int(size["shortest_edge"] if size.get("shortest_edge") else size["height"])


def _transformers() -> Any:  # noqa: ANN401 -- a module
    """Import transformers when a network of it is used: it takes a second, and is optional.

    Raises:
        BadConfiguration: it is not installed.
    """
    try:
        return importlib.import_module("transformers")
    except ModuleNotFoundError:
        raise BadConfiguration(f"the networks videomae-… and vjepa2-… are those of the package transformers: {INSTALL}") from None
