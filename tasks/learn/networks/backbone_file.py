"""Load a backbone from a weights file of the user's own, and say which of its tensors were used.

Files are read as weights only, whatever their names: safetensors, or what `torch.save` writes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tasks.errors import BadCheckpoint
from tasks.learn.networks import backbones
from tasks.learn.networks.libraries import StateDict
from tasks.learn.networks.network import Network, unshifted_key
from tasks.learn.networks.weights_file import check_tensors, first_line, in_short, is_safetensors, read_safetensors, read_weights

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
class UsedTensors:
    """Names of the tensors of a file, as the backbone calls them.

    Attributes:
        used: all of the backbone's.
        unused: those that the backbone lacks, such as a classifier.
    """

    used: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        return f"{len(self.used)} tensors used, not used: {in_short(self.unused)}"


def load_backbone(network: Network, path: Path) -> UsedTensors:
    """Load the backbone of `network` from a file, in place.

    Prefixes that all of the backbone's names share are removed. timm's models also take what timm's own loading takes, such as position
    embeddings of another size.

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
    """Adapt the first convolution (f, 3, h, w) to `num_channels`.

    It is the mean over colours, repeated per channel. TSN's cross-modality initialisation (arXiv 1608.00859, section 3.3).
    """
    if num_channels == 3:
        return state
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
    """Remove the prefix, such as `module.` or `backbone.`, that makes most names those of the backbone."""
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
    """Check whether a tensor belongs to a numbered block that the backbone lacks beside others that it has."""
    for number in NUMBER.finditer(key):
        beside = key[: number.start() + 1]
        if not any(name.startswith(key[: number.end()]) for name in required):
            return any(name.startswith(beside) and name[len(beside)].isdigit() for name in required)
    return False


def _size(tensor: Tensor) -> str:
    return f"{' x '.join(map(str, tensor.shape)) or 'a number'} of {str(tensor.dtype).removeprefix('torch.')}"
