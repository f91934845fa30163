"""Vision transformers and other newer models of timm: built for 224 x 224, normalised as published, trained, and converted alike."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.model import backbones
from tasks.model.checkpoints import load
from tasks.model.crops import cut_views
from tasks.model.engines.engine import prepare
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.model.training import fit
from tasks.options import Modality
from tests.model.test_training import job

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
FRAMES = np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)

slow = pytest.mark.slow
CURRENT = [
    pytest.param("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 192, HALF, marks=slow),
    pytest.param("vit_small_patch14_dinov2.lvd142m", 384, IMAGENET, marks=slow),
    pytest.param("vit_small_patch16_dinov3.lvd1689m", 384, IMAGENET, marks=slow),
    pytest.param("vit_base_patch16_siglip_224.webli", 768, HALF, marks=slow),
    pytest.param("eva02_tiny_patch14_224.mim_in22k", 192, CLIP, marks=slow),
    pytest.param("convnext_tiny.dinov3_lvd1689m", 768, IMAGENET, marks=slow),
    pytest.param("mobilenetv4_conv_small.e2400_r224_in1k", 1280, IMAGENET, marks=slow),
    pytest.param("efficientvit_b0.r224_in1k", 1280, IMAGENET, marks=slow),
    pytest.param("efficientvit_m0.r224_in1k", 192, IMAGENET, marks=slow),
]


@pytest.mark.parametrize(("name", "num_features", "normalisation"), CURRENT)
def test_the_graph_of_a_current_backbone_sees_what_the_backbone_sees(name, num_features, normalisation):
    row = backbones.find(name)
    assert (row.num_features, (row.input.mean, row.input.std)) == (num_features, normalisation)
    network = prepare(Network(NetworkSpec(backbone=name, num_segments=2), seed=1))
    view = cut_views(FRAMES, 1, Modality.RGB)[0]
    expected = PytorchEngine(network, 1).features([view])[0]
    difference = (OpenvinoEngine(network, 1).features_in_float32(view) - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("name", ["vit_tiny_patch16_384", pytest.param("vit_small_patch14_dinov2", marks=slow)])
def test_a_transformer_of_another_size_trains_its_heads_on_kept_features(name, clips, tmp_path: Path):
    planned = job(tmp_path, clips, backbone=name, trainable="heads", epochs=2, feature_variants=1)
    spec = planned.network.spec.model_copy(update={"backbone": name})
    network = Network(spec, seed=1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    best = load(fit(replace(planned, network=network, features=tmp_path / "features")).best).network
    changed = {key.split(".")[0] for key, value in best.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"head"}
    assert list((tmp_path / "features").rglob("*"))


def test_the_last_stage_of_a_transformer_trains_alone(clips, tmp_path: Path):
    planned = job(tmp_path, clips, backbone="test_vit", trainable="last-stage", epochs=1, learning_rate=0.01)
    network = Network(planned.network.spec.model_copy(update={"backbone": "test_vit"}), seed=1)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    best = load(fit(replace(planned, network=network)).best).network
    changed = {key for key, value in best.state_dict().items() if not torch.equal(value, before[key])}
    assert {".".join(key.split(".")[:3]) for key in changed if key.startswith("backbone.")} == {
        "backbone.blocks.5", "backbone.norm.weight", "backbone.norm.bias"
    }  # fmt: skip


@pytest.mark.parametrize("modality", [Modality.FLOW, Modality.RGB_DIFFERENCE])
def test_a_transformer_of_another_size_takes_every_input(modality):
    spec = NetworkSpec(backbone="vit_tiny_patch16_384", num_segments=1, modality=modality)
    with torch.inference_mode():
        assert Network(spec).eval()(torch.zeros(1, 1, spec.snippet.num_channels, 224, 224)).verb.shape == (1, 125)
