"""Read and write checkpoints: our own, and those that EPIC-KITCHENS-55 published.

Reading never runs code. `pretrained` has the addresses of published ones.
"""

import argparse
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from tasks.disk import check_room
from tasks.errors import BadCheckpoint, BadConfiguration
from tasks.keys import file_sha256
from tasks.learn.networks import backbones
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.learn.networks.weights_file import check_tensors, first_line, in_short, read_weights
from tasks.options import NetworkOptions
from tasks.options.base import STORED
from tasks.wording import quantity

HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.pth(\.tar)?\Z")
EPIC_BACKBONES = {"resnet50": "resnet50", "bninception": "BNInception"}
EPIC_MODALITIES = {"rgb": "RGB", "flow": "Flow"}
FORMAT = "retake-1"
FUSION_FORMAT = "retake-fusion-1"
JOINED_FORMAT = "retake-joined-1"
FORMATS = (FORMAT, FUSION_FORMAT, JOINED_FORMAT)


class HeadWeights(NamedTuple):
    """Weights of one network's logits in a fusion."""

    verb: float
    noun: float


@dataclass(frozen=True)
class Saved:
    """Content of a checkpoint: one network, or several.

    The logits of several are averaged with `weights`, or `joint` answers, whose head sees the features of all.
    """

    networks: tuple[Network, ...]
    weights: tuple[HeadWeights, ...]
    classes: ClassNames
    joint: Network | None = None

    @property
    def title(self) -> str:
        """Return the title for people."""
        return fusion_title([network.spec.title for network in self.networks], self.joint.spec if self.joint else None)

    @property
    def network(self) -> Network:
        """Return the only network.

        Raises:
            BadCheckpoint: there are several.
        """
        if len(self.networks) > 1:
            raise BadCheckpoint(f"a fusion of {len(self.networks)} networks ({self.title}) where a single network is required")
        return self.networks[0]


def fusion_title(titles: Sequence[str], joint: NetworkSpec | None) -> str:
    """Return the title of several networks for people."""
    return f"{' + '.join(titles)}{f'; {joint.title}' if joint else ''}"


def check_name(name: str) -> str:
    """Return the digits of the hash that a published file's name must end in.

    Raises:
        BadCheckpoint: it does not.
    """
    named = HASH_IN_NAME.search(name)
    if named is None:
        raise BadCheckpoint(f"{name!r}: the name does not end in a hash (like -3ecf904f.pth.tar); keep the published name")
    return named[1]


def verify_sha256(path: Path) -> None:
    """Check a file's sha256 against the digits in its name (`…-3ecf904f.pth.tar`).

    Raises:
        BadCheckpoint: the file is missing, its name carries no hash, or the hash differs.
    """
    digits = check_name(path.name)
    if not path.is_file():
        raise BadCheckpoint(f"{path}: no such file; put the published file there")
    digest = file_sha256(path)
    if not digest.startswith(digits):
        raise BadCheckpoint(f"{path}: its sha256 begins with {digest[:8]}, its name says {digits}; download it again")


def load_epic(path: Path, spec: NetworkSpec) -> Network:
    """Load a published EPIC-KITCHENS-55 checkpoint, which must hold the network of `spec`.

    Raises:
        BadCheckpoint: the hash differs, the file would run code, or it holds a different network.
    """
    verify_sha256(path)
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = read_weights(path)
    state = content.get("state_dict")
    if not isinstance(state, Mapping) or "model_type" not in content:
        raise BadCheckpoint(f"{path}: not a checkpoint of EPIC-KITCHENS-55; it holds {in_short(content)}")
    check_tensors(state.values(), path)
    expected = {
        "model_type": spec.family,
        "arch": EPIC_BACKBONES.get(spec.backbone, spec.backbone),
        "modality": EPIC_MODALITIES.get(spec.modality.value, spec.modality.value),
        "segment_count": spec.num_segments,
    }
    held = {key: _shown(content.get(key)) for key in expected}
    if any(held[key].casefold() != str(value).casefold() for key, value in expected.items()):
        raise BadCheckpoint(f"{path}: it holds {_in_words(held)}, expected {_in_words(expected)}")
    network = Network(spec)
    ours = {_our_key(str(key)): value for key, value in state.items()}
    _check_fit(network, ours, path)
    network.load_state_dict(ours)
    return network


def save(path: Path, network: Network, classes: ClassNames) -> None:
    """Write one of our checkpoints atomically; the same weights give the same bytes."""
    _write(path, {"format": FORMAT, "classes": classes.content(), **_content(network)}, [network])


def save_fusion(path: Path, networks: Sequence[Network], weights: Sequence[HeadWeights], classes: ClassNames) -> None:
    """Write several networks as one checkpoint, as `save` does."""
    members = [{**_content(network), "weights": tuple(shares)} for network, shares in zip(networks, weights, strict=True)]
    _write(path, {"format": FUSION_FORMAT, "classes": classes.content(), "members": members}, networks)


def save_joined(path: Path, networks: Sequence[Network], joint: Network, classes: ClassNames) -> None:
    """Write several networks and the head on their joined features as one checkpoint."""
    members = [{**_content(network), "weights": (1 / len(networks),) * 2} for network in networks]
    content = {"format": JOINED_FORMAT, "classes": classes.content(), "members": members, "joint": _content(joint)}
    _write(path, content, [*networks, joint])


def _content(network: Network) -> dict[str, object]:
    state = network.state_dict()
    return {
        "spec": network.spec.model_dump(mode="json"),
        "state_dict": {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()},
    }


def _write(path: Path, content: Mapping[str, object], networks: Sequence[Network]) -> None:
    partial = path.with_name(path.name + ".partial")
    check_room(partial, sum(tensor.nbytes for network in networks for tensor in network.state_dict().values()))
    with partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def load(path: Path) -> Saved:
    """Read a checkpoint that `save`, `save_fusion` or `save_joined` wrote.

    Raises:
        BadCheckpoint: the file is missing or damaged, would run code, or is not one of our checkpoints.
    """
    content = read_weights(path)
    try:
        if content["format"] not in FORMATS:
            raise BadCheckpoint(
                f"{path}: its format is {_shown(content['format'])}, expected {' or '.join(FORMATS)}; use the version that wrote it"
            )
        classes = ClassNames.model_validate(content["classes"])
        members = [{**content, "weights": (1.0, 1.0)}] if content["format"] == FORMAT else content["members"]
        parts = [*members, content["joint"]] if content["format"] == JOINED_FORMAT else members
        _refuse_removed([dict(part["spec"]) for part in parts], path)
        specs = [NetworkSpec.model_validate(part["spec"], strict=False, context=STORED) for part in parts]
        states = [dict(part["state_dict"]) for part in parts]
        weights = tuple(HeadWeights(*map(float, member["weights"])) for member in members)
        is_joint = [bool(spec.joined) for spec in specs]
        if not members or is_joint != [i >= len(members) for i in range(len(parts))]:
            raise ValueError
        if not all(math.isfinite(share) for shares in weights for share in shares):
            raise ValueError
    except (LookupError, TypeError, ValueError, RuntimeError, ArithmeticError):
        raise BadCheckpoint(f"{path}: not a checkpoint of Retake; it holds {in_short(content)}") from None
    check_tensors([tensor for state in states for tensor in state.values()], path)
    networks = [_network(spec, state, path) for spec, state in zip(specs, states, strict=True) if not spec.joined]
    sizes = tuple(network.num_features for network in networks)
    for spec, state in zip(specs[len(members) :], states[len(members) :], strict=True):
        if spec.joined != sizes:
            raise BadCheckpoint(f"{path}: its head takes {spec.joined} features of networks that have {sizes}; train it again")
        networks.append(_network(spec, state, path))
    return Saved(tuple(networks[: len(members)]), weights, classes, next(iter(networks[len(members) :]), None))


def _refuse_removed(specs: Sequence[Mapping[str, object]], path: Path) -> None:
    """Refuse networks of a kind that this version no longer has."""
    for spec in specs:
        sound, flow = (dict(part) if isinstance(part := spec.get(name), Mapping) else {} for name in ("sound", "flow"))
        head = spec.get("consensus")
        removed = (
            (head in NetworkOptions.retired_values["head"], f"the head {head}", "head probe, linear or tcn"),
            (spec.get("modality") == "spectrogram", "spectrograms as pictures", "modality=sound"),
            (sound.get("network"), "features of aisfx", "modality=sound"),
            (sound.get("speech"), "shares of speech", "modality=sound"),
            (flow.get("flow_bound_pixels", 20) != 20, "optical flow that is not clipped to 20 pixels", "modality=flow"),
        )
        for is_there, part, instead in removed:
            if is_there:
                raise BadCheckpoint(
                    f"{path}: it has {part}, which this version no longer has; train again with {instead}. If this network is champion, roll back "
                    "or remove its alias in MLflow; if it is the version before, remove its tag retake.checkpoint_uri there"
                )


def _network(spec: NetworkSpec, state: Mapping[str, Tensor], path: Path) -> Network:
    """Build and fill a network, after checking its outline: it may not fit into memory."""
    num_held = sum(value.numel() for value in state.values() if isinstance(value, Tensor))
    try:
        num_claimed = backbones.num_elements(spec)
        # Twice, because position embeddings depend on the size of the pictures.
        if num_claimed > 2 * num_held:
            raise BadCheckpoint(
                f"{path}: it claims a backbone of {quantity(num_claimed)} weights and holds {quantity(num_held)}; train it again"
            )
        backbones.of(spec)
        with backbones.outlining():
            outline = Network(spec)
        _check_fit(outline, state, path)
        network = Network(spec)
    except (BadConfiguration, ArithmeticError, LookupError, MemoryError, RuntimeError, ValueError) as error:
        raise BadCheckpoint(f"{path}: its description does not give a valid network ({first_line(error)[:200]})") from None
    network.load_state_dict(dict(state))
    return network


def _our_key(key: str) -> str:
    """Map a published key to ours: `base_model.…` is the backbone, everything else the head."""
    return f"backbone.{key.removeprefix('base_model.')}" if key.startswith("base_model.") else f"head.{key}"


def _check_fit(network: Network, state: Mapping[str, Tensor], path: Path) -> None:
    required = network.state_dict()
    for key in required:
        if not isinstance(state.get(key), Tensor):
            raise BadCheckpoint(f"{path}: {key} is missing, which {network.spec} needs")
        if not torch.can_cast(state[key].dtype, required[key].dtype):
            raise BadCheckpoint(f"{path}: {key} is of {state[key].dtype} where {network.spec} needs {required[key].dtype}")
        if state[key].shape != required[key].shape:
            sizes = [" x ".join(map(str, tensor.shape)) for tensor in (state[key], required[key])]
            raise BadCheckpoint(f"{path}: {key} is {sizes[0]} where {network.spec} needs {sizes[1]}")
        if not state[key].isfinite().all():
            raise BadCheckpoint(f"{path}: {key}: not all weights are finite numbers; give a network that can answer")
    for key in state:
        if key not in required:
            raise BadCheckpoint(f"{path}: {in_short([key])} is not a parameter of {network.spec}")


def _shown(value: object) -> str:
    """Shorten a text or number of an untrusted file; name another type."""
    # The text of another type may be endless.
    return str(value)[:100].replace("\n", " ") if isinstance(value, str | int) else type(value).__name__


def _in_words(description: Mapping[str, object]) -> str:
    kind, backbone, modality, segments = description.values()
    return f"{str(kind).upper()} {backbone} {modality} with {segments} segments"
