"""Backbones that are known by name alone: that they train, and see what their published weights saw."""

import pytest
import torch
import torchvision
from torch import nn
from torchvision.transforms.functional import normalize

from tasks.errors import BadConfiguration
from tasks.model import backbones, timm_models
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec
from tasks.options import Modality


@pytest.mark.parametrize("modality", [Modality.RGB, Modality.FLOW])
def test_a_backbone_with_heads_for_training_alone_trains_without_them(modality):
    spec = NetworkSpec(backbone="googlenet", num_segments=2, modality=modality)
    network = Network(spec).train()
    network(torch.rand(1, 2, spec.snippet.num_channels, 224, 224)).verb.sum().backward()
    assert all(parameter.grad is not None for parameter in network.backbone.parameters())


def test_googlenet_is_given_what_torchvision_gives_its_published_weights():
    published = torchvision.models.googlenet(aux_logits=False, init_weights=False, transform_input=True)
    image, ours = torch.rand(1, 3, 8, 8), backbones.find("googlenet").input
    expected = published._transform_input(normalize(image, backbones.IMAGENET_MEAN, backbones.IMAGENET_STD))
    torch.testing.assert_close(normalize(image, ours.mean, ours.std), expected)


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
    monkeypatch.setattr(timm_models, "construct", lambda *_: module())
    with pytest.raises(BadConfiguration, match="backbone test_byobnet returns different outputs in training and in evaluation") as refused:
        Network(NetworkSpec(backbone="test_byobnet"))
    assert "\n" not in str(refused.value)
