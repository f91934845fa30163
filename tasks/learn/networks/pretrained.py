"""Build a network with pretrained weights, and describe their origin and licence."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.errors import BadCheckpoint, BadConfiguration, Unavailable
from tasks.learn.networks import backbones
from tasks.learn.networks.checkpoints import EPIC_BACKBONES, EPIC_MODALITIES, load_epic
from tasks.learn.networks.library_backbones import StateDict
from tasks.learn.networks.network import Network, unshifted_key
from tasks.learn.networks.spec import NetworkSpec
from tasks.learn.networks.weights_file import check_tensors, first_line, in_short, is_safetensors, read_safetensors, read_weights
from tasks.options import Consensus, Modality, Weights

log = logging.getLogger(__name__)

EPIC_ADDRESS = "https://data.bris.ac.uk/datasets/2tw6gdvmfj3f12papdy24flvmo/"

EPIC_SEGMENTS = 8

PERMISSIVE = frozenset({"apache-2.0", "bsd-3-clause", "cc-by-4.0", "mit"})
"""Licences that allow commercial use, as timm calls them."""

NONCOMMERCIAL: Mapping[str, str] = {
    "cc-by-nc-4.0": "CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    "fair-noncommercial-research-license": "FAIR Noncommercial Research License, https://huggingface.co/facebook/MobileLLM-R1-950M",
    "apple-amlr": "Apple Machine Learning Research Model License, https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS",
    "seer-license": "SEER License Agreement, https://github.com/facebookresearch/vissl/blob/main/projects/SEER/MODEL_LICENSE.md",
}
"""Licences that forbid commercial use, by timm's name in `pretrained_cfg`: their titles, and the addresses of the texts."""

CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model", "teacher")
"""Entries under which training scripts keep a network's tensors, the preferred one first."""

HEADS = ("head", "heads", "head_dist", "fc", "classifier", "last_linear")
"""First parts of the names that classifiers have in timm and torchvision."""

COUNTER = "num_batches_tracked"
"""Batch-norm's counter. Files of old versions of torch lack it, and nothing here reads it."""

MAX_TENSORS = 20_000
MAX_NAME_LENGTH = 500
NUMBER = re.compile(r"\.\d+\.")


@dataclass(frozen=True)
class PublishedFile:
    """A checkpoint published by EPIC-KITCHENS-55; its name ends in its hash's first digits."""

    name: str

    @property
    def url(self) -> str:
        """Return the file's public address."""
        return EPIC_ADDRESS + self.name


PUBLISHED: dict[tuple[str, str, Modality], PublishedFile] = {
    (family, backbone, modality): PublishedFile(
        f"{family}_arch={EPIC_BACKBONES[backbone]}_modality={EPIC_MODALITIES[modality.value]}_segments={EPIC_SEGMENTS}-{digits}.pth.tar"
    )
    for family, backbone, of_rgb, of_flow in (
        ("TSN", "resnet50", "3ecf904f", "4317bc4a"),
        ("TSN", "bninception", "efb96e64", "4c720ee3"),
        ("TRN", "resnet50", "c8176b38", "c0a2821c"),
        ("TRN", "bninception", "a770bfbd", "4f84b178"),
        ("MTRN", "resnet50", "46337796", "6667f285"),
        ("MTRN", "bninception", "8933f99e", "c0cea7e1"),
        ("TSM", "resnet50", "cfc93918", "e09c2d3a"),
    )
    for modality, digits in ((Modality.RGB, of_rgb), (Modality.FLOW, of_flow))
}


def published(spec: NetworkSpec) -> PublishedFile | None:
    """Return the published checkpoint of a network, or of its backbone below a chosen head."""
    return PUBLISHED.get((spec.family, spec.backbone, spec.modality)) if spec.num_segments == EPIC_SEGMENTS else None


@dataclass(frozen=True)
class Start:
    """A network before fine-tuning, which is also the baseline for the comparison."""

    network: Network
    description: str
    is_chance: bool


def scaled_as_published(spec: NetworkSpec) -> NetworkSpec:
    """Scale frames as the images that the backbone's published weights were trained on."""
    if not spec.modality.is_scaled:
        return spec
    return spec.model_copy(update={"interpolation": backbones.find(spec.backbone).interpolation})


def build(spec: NetworkSpec, weights: Weights, *, epic_file: Path | None = None, backbone_file: Path | None = None, seed: int = 0) -> Start:
    """Build a network with pretrained weights.

    Weights EPIC are those of `epic_file`, as published; IMAGENET those that are published for the backbone, which may need a download; FILE the
    user's own in `backbone_file`; NONE keeps the seeded initialisation; AUTO means EPIC with `epic_file`, else IMAGENET. `seed` is of all
    parameters for which no weights are loaded.

    Raises:
        BadCheckpoint: `epic_file` does not match the hash in its name, or a file holds a different network or backbone.
        BadConfiguration: the spec names something unknown, or weights of a file are requested without it.
        Unavailable: published weights cannot be downloaded; the message says which file to put where.
    """
    if weights is Weights.AUTO:
        weights = Weights.EPIC if epic_file else Weights.IMAGENET
    if weights is Weights.EPIC:
        if epic_file is None:
            raise BadConfiguration(
                f"the EPIC-KITCHENS-55 weights of {spec} are missing; put {file.name} from {EPIC_ADDRESS} under pretrained/ of the store"
                if (file := published(spec))
                else f"EPIC-KITCHENS-55 published no weights for {spec}; choose weights imagenet, or backbone resnet50"
            )
        if spec.has_chosen_head:
            network = Network(spec, seed)
            linear = spec.model_copy(update={"consensus": Consensus.AVERAGE})
            network.backbone.load_state_dict(load_epic(epic_file, linear).backbone.state_dict())
            return _under_untrained_heads(network, f"Backbone of EPIC-KITCHENS-55 as published ({epic_file.name})")
        description = f"EPIC-KITCHENS-55 weights as published ({epic_file.name})"
        return Start(load_epic(epic_file, spec), description, is_chance=False)
    network = Network(spec, seed)
    if weights is Weights.NONE:
        if spec.sound:
            return _under_untrained_heads(network, f"Features of sound ({spec.backbone})")
        return Start(network, "Untrained, seeded network: this baseline is chance", is_chance=True)
    if weights is Weights.FILE:
        if backbone_file is None:
            raise BadConfiguration("weights=file needs the file under backbone_weights")
        tensors = load_backbone(network, backbone_file)
        log.info(
            "of %s used: %s; not used: %s", backbone_file.name, *(", ".join(names) or "nothing" for names in (tensors.used, tensors.unused))
        )
        return _under_untrained_heads(network, f"Backbone of {backbone_file.name} ({tensors})")
    source = _load_published(network)
    return _under_untrained_heads(network, f"{backbones.find(spec.backbone).trained_on} backbone ({source})")


def _under_untrained_heads(network: Network, features: str) -> Start:
    return Start(network, f"{features} under untrained, seeded heads: this baseline is chance", is_chance=True)


def _load_published(network: Network) -> str:
    row = backbones.find(network.spec.backbone)
    if not row.imagenet_source:
        raise BadConfiguration(
            f"backbone {row.name} has no published weights; choose weights none, or name your own under backbone_weights"
        )
    offline = f"{'family TSN and ' if network.spec.video else ''}backbone tf_efficientnet_lite0"
    try:
        tensors, commit = row.imagenet()
        fill_backbone(network, tensors)
    except OSError as error:
        raise Unavailable(
            f"{row.trained_on} weights of {row.name} cannot be downloaded from {row.imagenet_source} ({first_line(error)}); "
            f"put the file into {row.imagenet_cache}, name it under backbone_weights, or choose {offline}, which needs no network"
        ) from error
    except (KeyError, RuntimeError) as error:
        raise BadConfiguration(
            f"{row.trained_on} weights of {row.name} from {row.imagenet_source} do not fit it ({first_line(error)}); choose another backbone"
        ) from error
    warning = licence_warning(row.licence) if row.licence else ""
    if warning:
        log.warning("%s from %s: %s", row.name, row.imagenet_source, warning)
    source = f"{row.imagenet_source}, commit {commit}" if commit else row.imagenet_source
    return "; ".join(filter(None, (source, warning)))


def licence_warning(licence: str) -> str:
    """Warn of a licence that forbids commercial use, or is unknown here; empty if permissive."""
    if licence in PERMISSIVE:
        return ""
    if terms := NONCOMMERCIAL.get(licence):
        return f"the licence of these weights forbids commercial use: {terms}"
    return f"the licence of these weights is {licence}, whose terms are not known here; read them before commercial use"


@dataclass(frozen=True)
class UsedTensors:
    """Names of a file's tensors: those that the backbone uses, and the others."""

    used: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.used)} tensors used, not used: {in_short(self.unused)}"


def load_backbone(network: Network, path: Path) -> UsedTensors:
    """Load the backbone of `network` from a file, in place.

    Backbones of timm also take files that timm's own loading takes, such as those with position embeddings of another size.

    Raises:
        BadCheckpoint: the file is damaged or would run code, lacks a tensor of the backbone, has one of another shape, or has further blocks.
    """
    row = backbones.find(network.spec.backbone)
    with torch.random.fork_rng(devices=[]):
        template = row.construct(3)
    required = template.state_dict()
    state = _without_prefix(_read(path), required)
    try:
        state = row.from_published(state, template)
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise BadCheckpoint(f"{path}: its tensors are not those of {row.name} ({first_line(error)[:120]})") from None
    _check_fit(state, required, row.name, path)
    used = tuple(key for key in required if key in state)
    fill_backbone(network, {**required, **{key: state[key] for key in used}})
    return UsedTensors(used, tuple(sorted(key for key in state if key not in required)))


def fill_backbone(network: Network, theirs: StateDict) -> None:
    """Load the tensors of a backbone for three channels and without temporal shift, in place."""
    tensors = {key: theirs[unshifted_key(network.backbone, key)] for key in network.backbone.state_dict()}
    network.backbone.load_state_dict(tensors if network.spec.video else _widened(tensors, network.spec.snippet.num_channels))


def _widened(state: StateDict, num_channels: int) -> StateDict:
    """Adapt the first convolution (f, 3, h, w) to `num_channels`, by its mean over colours."""
    if num_channels == 3:
        return state
    # TSN's cross-modality initialisation (arXiv 1608.00859, section 3.3).
    first = next(key for key, value in state.items() if value.ndim == 4 and value.shape[1] == 3)
    return {**state, first: state[first].mean(1, keepdim=True).expand(-1, num_channels, -1, -1)}


def _read(path: Path) -> StateDict:
    content: Mapping[Any, Any] = read_safetensors(path) if is_safetensors(path) else read_weights(path)
    inner = next((content[name] for name in CONTAINERS if isinstance(content.get(name), Mapping)), content)
    state = {key: value for key, value in inner.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if not state:
        raise BadCheckpoint(f"{path}: it holds no tensors by name, but {in_short(content)}; give a file of weights")
    if len(state) > MAX_TENSORS or any(len(key) > MAX_NAME_LENGTH for key in state):
        limits = f"more than {MAX_TENSORS:,} tensors, or names of more than {MAX_NAME_LENGTH} characters"
        raise BadCheckpoint(f"{path}: it holds {limits}; give the file of one network")
    check_tensors(state.values(), path)
    return state


def _without_prefix(state: StateDict, required: StateDict) -> StateDict:
    """Remove the prefix, such as `module.`, by which most names are those of the backbone."""
    first = next(iter(required))
    prefixes = sorted({"", *(key.removesuffix(first) for key in state if key.endswith(f".{first}"))})
    prefix = max(prefixes, key=lambda prefix: sum(key in state or f"{prefix}{key}" in state for key in required))
    return {key.removeprefix(prefix): value for key, value in state.items()}


def _check_fit(state: StateDict, required: StateDict, name: str, path: Path) -> None:
    missing = [key for key in required if key not in state and not key.endswith(COUNTER)]
    mismatched = [
        f"{key} ({_size(state[key])} where it needs {_size(required[key])})"
        for key in required
        if key in state and (state[key].shape != required[key].shape or not torch.can_cast(state[key].dtype, required[key].dtype))
    ]
    unexpected = sorted(key for key in state if key not in required)
    further = [key for key in unexpected if key.split(".")[0] not in HEADS and _is_further_block(key, required)]
    if infinite := [key for key in required if key in state and not state[key].isfinite().all()]:
        raise BadCheckpoint(f"{path}: {in_short(infinite)}: not all weights are finite numbers; give the file of a network that can answer")
    if missing or mismatched or further:
        raise BadCheckpoint(
            f"{path}: its tensors are not those of {name}. Missing, {len(missing)} of {len(required)}: {in_short(missing)}. Of another shape or "
            f"type, {len(mismatched)}: {in_short(mismatched)}. Unexpected, {len(unexpected)}: {in_short(further or unexpected)}. "
            "Choose the backbone that the file was made for"
        )


def _is_further_block(key: str, required: StateDict) -> bool:
    """Check whether a tensor belongs to a block beyond the backbone's of the same numbering."""
    for number in NUMBER.finditer(key):
        beside = key[: number.start() + 1]
        if not any(name.startswith(key[: number.end()]) for name in required):
            return any(name.startswith(beside) and name[len(beside)].isdigit() for name in required)
    return False


def _size(tensor: Tensor) -> str:
    return f"{' x '.join(map(str, tensor.shape)) or 'a number'} of {str(tensor.dtype).removeprefix('torch.')}"
