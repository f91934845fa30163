from copy import deepcopy

import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.backbones import find
from tasks.learn.engines.engine import prepare
from tasks.learn.network import Network
from tasks.learn.patches import give_patches, patch_shape
from tasks.learn.spec import Consensus, NetworkSpec
from tasks.options import Modality

POOLED = [
    "test_resnet",
    "tf_efficientnet_lite0",
    "bninception",
    *(pytest.param(name, marks=pytest.mark.long) for name in ("resnet18", "mobilenet_v2", "googlenet")),
]
"""Backbones whose vector is the mean of their map."""


@pytest.mark.parametrize("name", POOLED)
@torch.inference_mode()
def test_the_mean_over_patches_is_the_vector_of_a_backbone_that_pools(name):
    images = torch.rand(2, 3, 224, 224)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = find(name).construct(3).eval()
    expected = backbone(images)
    give_patches(backbone)
    found = backbone(images)
    assert found.shape == (2, *patch_shape(name))
    torch.testing.assert_close(found.mean(1), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    "name",
    [
        "test_vit",
        "deit_tiny_distilled_patch16_224",
        "test_convnext",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("swin_t", "volo_d1_224")),
    ],
)
def test_tokens_and_large_maps_are_pooled_and_class_tokens_left_out(name):
    assert patch_shape(name)[0] == 49


@pytest.mark.parametrize(
    "name", ["pit_ti_224", pytest.param("maxvit_t", marks=pytest.mark.slow), pytest.param("vit_b_16", marks=pytest.mark.long)]
)
def test_a_backbone_without_patches_is_refused_with_the_reason_and_a_remedy(name):
    with pytest.raises(BadConfiguration, match=f"backbone {name} gives no features of patches .*or head lstm or tcn"):
        Network(NetworkSpec(backbone=name, consensus="attentive"))


@pytest.mark.parametrize("modality", [one for one in Modality if one is not Modality.SOUND])
@torch.inference_mode()
def test_a_network_that_sees_patches_keeps_the_names_of_its_weights_and_can_be_shifted_and_folded(modality):
    spec = NetworkSpec(backbone="tiny_resnet", num_segments=3, modality=modality, temporal_shift=True)
    plain, seeing = (
        Network(spec.model_copy(update={"consensus": consensus}), seed=1).eval() for consensus in (Consensus.AVERAGE, Consensus.ATTENTIVE)
    )
    assert list(plain.backbone.state_dict()) == list(seeing.backbone.state_dict())
    snippets = torch.rand(2, 3, spec.snippet.num_channels, 224, 224)
    expected = plain.features(snippets)
    torch.testing.assert_close(seeing.features(snippets).mean(2), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(prepare(seeing).features(snippets).mean(2), expected, atol=1e-5, rtol=1e-3)


def test_a_copy_of_a_backbone_that_gives_patches_runs_its_own_weights():
    backbone = Network(NetworkSpec(backbone="tiny_resnet", consensus="attentive")).backbone.eval()
    copied = deepcopy(backbone)
    with torch.inference_mode():
        for parameter in copied.parameters():
            parameter.zero_()
        assert not copied(torch.rand(1, 3, 224, 224)).any()
        assert backbone(torch.rand(1, 3, 224, 224)).any()
