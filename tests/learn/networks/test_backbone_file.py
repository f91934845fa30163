"""Backbones from files of the user's own: what is used, what is not, and what is refused."""

import re
import time
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from tasks.errors import BadCheckpoint, BadConfiguration
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import build
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Modality, Weights
from tests.learn.tiny import tiny
from tests.learn.tiny_video import NUM_FEATURES, TINY_VIDEO, tiny_video_network

RESNET = tiny(backbone="test_resnet")
VIDEO = tiny(backbone=TINY_VIDEO.name, num_segments=TINY_VIDEO.num_views)


def published(name: str, **arguments) -> dict[str, torch.Tensor]:
    """The tensors of a whole classifier, other than those of any seed here."""
    torch.manual_seed(5)
    return timm.create_model(name, **arguments).state_dict()


def start(spec: NetworkSpec, path: Path):
    return build(spec, Weights.FILE, backbone_file=path, seed=1)


def saved(state: object, path: Path) -> Path:
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return path


@pytest.mark.parametrize(
    ("name", "spec"),
    [("own.safetensors", RESNET), ("own.pth", RESNET), ("a.hash", RESNET), ("own.pth", VIDEO)],
    ids=["safetensors", "torch", "hash", "video"],
)
def test_a_classifiers_backbone_is_used_and_its_head_is_named(tmp_path, name, spec):
    with tiny_video_network():
        theirs = Network(spec, seed=5).backbone.state_dict() | {"fc.weight": torch.zeros(400, NUM_FEATURES), "fc.bias": torch.zeros(400)}
        begun = start(spec, saved(theirs, tmp_path / name))
    ours = begun.network.backbone.state_dict()
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert begun.is_chance
    said = f"Backbone of {name} ({len(ours)} tensors used, not used: fc.bias, fc.weight) under untrained, seeded heads: this baseline is chance"
    assert begun.description == said


@pytest.mark.parametrize(
    "packed",
    [
        lambda state: {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}},
        lambda state: {"model": state},
        lambda state: {"state_dict": {f"model.backbone.{key}": value for key, value in state.items()}, "teacher": {}},
        lambda state: {key: value.half() if value.is_floating_point() else value for key, value in state.items()},
        lambda state: {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")},
    ],
    ids=["data parallel", "under model", "in a larger network", "float16", "of old versions of torch"],
)
def test_what_training_scripts_write_is_understood(tmp_path, packed):
    theirs = published("test_resnet")
    ours = start(RESNET, saved(packed(theirs), tmp_path / "own.pth")).network.backbone.state_dict()
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], atol=1e-3, rtol=1e-3)


def test_position_embeddings_of_another_size_are_resampled(tmp_path):
    theirs = published("vit_tiny_patch16_384")
    begun = start(tiny(backbone="vit_tiny_patch16_384"), saved(theirs, tmp_path / "own.safetensors"))
    ours = begun.network.backbone.state_dict()
    assert (theirs["pos_embed"].shape, ours["pos_embed"].shape) == ((1, 577, 192), (1, 197, 192))
    assert torch.equal(ours["blocks.5.mlp.fc1.weight"], theirs["blocks.5.mlp.fc1.weight"])
    assert "not used: head.bias, head.weight" in begun.description


def test_other_inputs_begin_with_the_mean_of_its_colours_and_a_shifted_backbone_with_the_file_too(tmp_path):
    theirs = published("test_resnet")
    path = saved(theirs, tmp_path / "own.pth")
    for modality, num_channels in ((Modality.FLOW, 10), (Modality.RGB_DIFFERENCE, 15)):
        wider = start(tiny(backbone="test_resnet", modality=modality), path).network.backbone.state_dict()
        first = wider.pop("conv1.0.weight")
        assert first.shape[1] == num_channels
        assert all(torch.equal(first[:, i], theirs["conv1.0.weight"].mean(1)) for i in range(num_channels))
        assert all(torch.equal(tensor, theirs[key]) for key, tensor in wider.items())
    shifted = start(tiny(backbone="test_resnet", temporal_shift=True), path).network.backbone.state_dict()
    assert torch.equal(shifted["layer1.0.conv1.net.weight"], theirs["layer1.0.conv1.weight"])


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda state: without(state, "layer1.0.conv1.weight"), "Missing, 1 of 90: layer1.0.conv1.weight."),
        (
            lambda state: state | {"layer1.0.conv1.weight": torch.zeros(2, 3)},
            "Of another shape or type, 1: layer1.0.conv1.weight (2 x 3 of float32 where it needs ",
        ),
        (lambda state: state | {"bn1.weight": torch.zeros(32, dtype=torch.complex64)}, "of complex64 where it needs"),
        (lambda state: state | {"layer4.1.conv1.weight": torch.zeros(2, 3)}, "Unexpected, 3: layer4.1.conv1.weight."),
        (lambda state: {"layer1.0.conv1.weight": torch.zeros(2)}, "Choose the backbone that the file was made for"),
        (lambda state: state | {"bn1.bias": torch.full((32,), torch.nan)}, "bn1.bias: not all weights are finite numbers"),
        (lambda state: dict.fromkeys((f"p{i}.conv1.0.weight" for i in range(20_000)), torch.zeros(1)), "Missing, "),
        (lambda state: dict.fromkeys(map(str, range(20_001)), torch.zeros(1)), "it holds more than 20,000 tensors"),
        (lambda state: {"p." * 1000: torch.zeros(1)}, "names of more than 500 characters"),
        (lambda state: {"state_dict": {}}, "it holds no tensors by name, but state_dict"),
        (lambda state: {"model": re.compile("x")}, "it holds code or objects"),
        (lambda state: [1, 2], "it holds a list"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_the_names_of_its_tensors(tmp_path, changed, said):
    path, began = saved(changed(published("test_resnet")), tmp_path / "own.pth"), time.process_time()
    with pytest.raises(BadCheckpoint, match=re.escape(said)) as refused:
        start(RESNET, path)
    assert "\n" not in str(refused.value)
    assert time.process_time() - began < 10


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{broken}", b"\x02\0\0\0\0\0\0\0{}", b"no weights"])
def test_a_damaged_file_and_none_are_refused(tmp_path, content):
    with pytest.raises(BadConfiguration, match="weights=file needs the file under backbone_weights"):
        build(RESNET, Weights.FILE)
    path = tmp_path / "own.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"own\.safetensors"):
        start(RESNET, path)
