"""Backbones that are known by name alone: built for 224 x 224, normalised as published, trained, and converted alike."""

from pathlib import Path

import pytest
import torch
import torchvision
from torch import nn
from torchvision.transforms.functional import normalize

from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import PytorchEngine, export_failure, export_module
from tasks.learn.inputs.crops import cut_views
from tasks.learn.networks import backbones, library_backbones
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.learn.training.fit import fit
from tasks.options import Modality
from tests.learn.tiny import kept_job, snippets_of, state_of, tiny


@pytest.mark.slow
def test_a_backbone_with_heads_for_training_alone_trains_without_them():
    spec = NetworkSpec(backbone="googlenet", num_segments=2, modality=Modality.FLOW)
    network = Network(spec).train()
    network(torch.rand(1, 2, spec.snippet.num_channels, 224, 224)).verb.sum().backward()
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


def test_googlenet_is_given_what_torchvision_gives_its_published_weights():
    published = torchvision.models.googlenet(aux_logits=False, init_weights=False, transform_input=True)
    image, ours = torch.rand(1, 3, 8, 8), backbones.find("googlenet").input
    expected = published._transform_input(normalize(image, backbones.IMAGENET_MEAN, backbones.IMAGENET_STD))
    torch.testing.assert_close(normalize(image, ours.mean, ours.std), expected)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, row in backbones.BACKBONES.items() if row.is_exportable])
def test_a_row_that_is_marked_exportable_is_exported(name):
    assert export_failure(*export_module(Network(NetworkSpec(backbone=name, num_segments=2)))) is None


class Pair(nn.Module):
    """Gives a second answer while it trains."""

    def forward(self, images):
        features = images.mean((2, 3))
        return (features, features) if self.training else features


class Wider(nn.Module):
    """Gives more features while it trains."""

    def forward(self, images):
        return images.mean((2, 3)).repeat(1, 2 if self.training else 1)


@pytest.mark.parametrize("module", [Pair, Wider])
def test_a_backbone_that_answers_otherwise_in_training_is_refused_before_any(module, monkeypatch):
    monkeypatch.setattr(library_backbones, "timm_model", lambda *_: module())
    with pytest.raises(BadConfiguration, match="backbone test_byobnet returns different outputs in training and in evaluation") as refused:
        Network(NetworkSpec(backbone="test_byobnet"))
    assert "\n" not in str(refused.value)


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
CURRENT = [
    ("mobilenetv4_conv_small.e2400_r224_in1k", 1280, IMAGENET),
    ("eva02_tiny_patch14_224.mim_in22k", 192, CLIP),
    ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 192, HALF),
    ("vit_small_patch14_dinov2.lvd142m", 384, IMAGENET),
    ("vit_small_patch16_dinov3.lvd1689m", 384, IMAGENET),
    ("vit_base_patch16_siglip_224.webli", 768, HALF),
    ("convnext_tiny.dinov3_lvd1689m", 768, IMAGENET),
    ("efficientvit_b0.r224_in1k", 1280, IMAGENET),
    ("efficientvit_m0.r224_in1k", 192, IMAGENET),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "num_features", "normalisation"), [CURRENT[0], *(pytest.param(*current, marks=pytest.mark.long) for current in CURRENT[1:])]
)
def test_the_graph_of_a_current_backbone_sees_what_the_backbone_sees(name, num_features, normalisation):
    row = backbones.find(name)
    assert (row.num_features, (row.input.mean, row.input.std)) == (num_features, normalisation)
    network = prepare(Network(tiny(backbone=name), seed=1))
    view = cut_views(snippets_of(network.spec), 1, Modality.RGB)[0]
    expected = PytorchEngine(network, 1).features([view])[0]
    difference = (OpenvinoEngine(network, 1).features_in_float32(view) - expected).abs().max()
    assert difference <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize(
    ("name", "trainable", "learns"),
    [
        ("test_vit", "heads", set()),
        pytest.param("vit_small_patch14_dinov2", "heads", set(), marks=pytest.mark.long),
        ("test_vit", "last-stage", {"backbone.blocks.5", "backbone.norm.weight", "backbone.norm.bias"}),
    ],
)
def test_of_a_transformer_that_may_be_made_for_another_size_the_chosen_part_learns(name, trainable, learns, clips, tmp_path: Path):
    planned = kept_job(tmp_path / "run", clips, tiny(backbone=name), trainable=trainable, epochs=1, learning_rate=0.01, feature_variants=1)
    before = {key: value.clone() for key, value in planned.network.state_dict().items()}
    changed = {key for key, value in state_of(fit(planned)).items() if not torch.equal(value, before[key])}
    assert {".".join(key.split(".")[:3]) for key in changed if not key.startswith("head.")} == learns
    assert changed >= {"head.fc_verb.weight", "head.fc_noun.weight"}
    assert bool(list((tmp_path / "features").rglob("*"))) == (trainable == "heads")
