from copy import deepcopy

import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import prepare
from tasks.learn.inputs.crops import Normalise
from tasks.learn.networks.backbones import find
from tasks.learn.networks.network import Network, TemporalShift, give_patches, patch_shape, synchronise_norms, weights_sha256
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Consensus, Family, Modality
from tests.learn.tiny import tiny, with_branches


def test_a_network_follows_from_spec_and_seed_alone():
    torch.manual_seed(5)
    first, drawn = Network(tiny(), seed=3), torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1)), "building a network must draw nothing from torch's generator"
    torch.manual_seed(6)
    assert weights_sha256(first) == weights_sha256(Network(tiny(), seed=3))
    assert weights_sha256(first) != weights_sha256(Network(tiny(), seed=4))


def test_logits_are_the_mean_over_segments_of_each_segments_logits(outspoken_network):
    snippets, network = torch.randn(3, 2, 3, 224, 224), outspoken_network.eval()
    with torch.inference_mode():
        together, first, second = network(snippets), network(snippets[:, :1]), network(snippets[:, 1:])
    for logits, *parts, num_classes in zip(together, first, second, (5, 4), strict=True):
        torch.testing.assert_close(logits, sum(parts) / 2)
        assert logits.shape == (3, num_classes)


@pytest.mark.parametrize(("family", "sees_order"), [(Family.TSN, False), (Family.TRN, True), (Family.MTRN, True), (Family.TSM, True)])
def test_tsn_cannot_see_the_order_of_segments_and_trn_and_tsm_can(family, sees_order):
    network = with_branches(Network(tiny(family, num_segments=4))).eval()
    snippets = torch.randn(1, 4, 3, 64, 64)
    with torch.inference_mode():
        forth, back = network(snippets).verb, network(snippets.flip(1)).verb
    # Untrained heads answer with small numbers: what counts is the difference beside their spread.
    assert ((forth - back).abs().max() > 1e-3 * forth.std()).item() is sees_order


@pytest.mark.parametrize("name", ["test_efficientnet", "resnet18"])
def test_synchronised_norms_are_the_same_function_with_the_same_weights(name):
    network = Network(tiny(backbone=name, num_segments=1)).eval()
    snippets, weights = torch.randn(2, 1, 3, 64, 64), weights_sha256(network)
    with torch.inference_mode():
        before, after = network(snippets).verb, synchronise_norms(network)(snippets).verb
    assert torch.equal(before, after)
    assert weights_sha256(network) == weights
    norms = [module for module in network.modules() if isinstance(module, torch.nn.modules.batchnorm._BatchNorm)]
    assert all(isinstance(norm, torch.nn.SyncBatchNorm) for norm in norms)


@pytest.mark.parametrize(
    ("choice", "named"),
    [
        ({"backbone": "resnet55"}, r"did you mean resnet50(?!.*resnet50\b)"),
        ({"backbone": "qqqqqq"}, "choose resnet50, bninception, tf_efficientnet_lite0, tf_efficientnet_lite2"),
        ({"backbone": "bninception", "temporal_shift": True}, "residual blocks, and this backbone has none of the ResNet"),
        ({"backbone": "test_vit", "temporal_shift": True}, "choose backbone resnet50, or tf_efficientnet_lite0, or family TRN"),
        ({"backbone": "efficientvit_b0", "temporal_shift": True}, "has none of the ResNet"),
        ({"backbone": "bat_resnext26ts"}, "does not take 224x224 RGB images: AssertionError"),
        ({"backbone": "squeezenet1_1"}, "squeezenet1_1"),
    ],
)
def test_what_does_not_exist_is_named_with_a_way_out(choice, named):
    with pytest.raises(BadConfiguration, match=named):
        Network(NetworkSpec(**choice))


@pytest.mark.parametrize(
    "backbone",
    [
        "tf_efficientnet_lite0",
        "mobilenet_v2",
        "mobilenetv4_conv_small",
        "test_convnext",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("resnet18", "mobilenet_v3_small", "efficientnet_b0", "resnet34d")),
    ],
)
def test_each_block_of_residual_families_of_timm_and_torchvision_can_see_the_segments_beside(backbone):
    network = with_branches(Network(tiny(backbone=backbone, num_segments=3, temporal_shift=True))).eval()
    num_shifts = sum(isinstance(module, TemporalShift) for module in network.modules())
    assert num_shifts == {"mobilenetv4_conv_small": 10, "test_convnext": 9}.get(backbone, max(5, num_shifts))
    clip = torch.zeros(1, 3, 3, 224, 224)
    other = clip.clone()
    other[:, 2] = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        differences = (network.features(clip) - network.features(other)).abs().amax(2)[0]
    assert (differences > 0).all()


FURTHER = ("tf_efficientnet_lite0", "resnet18", "bninception", "mobilenet_v2")


def each_input(backbone: str) -> list[tuple[str, Modality]]:
    return [(backbone, modality) for modality in Modality if modality is not Modality.SOUND]


@pytest.mark.parametrize(
    ("backbone", "modality"),
    [
        ("tf_efficientnet_lite0", Modality.FLOW),
        ("bninception", Modality.FLOW),
        ("test_efficientnet", Modality.RGB),
        ("mobilenet_v3_small", Modality.RGB_DIFFERENCE),
        ("vit_tiny_patch16_384", Modality.FLOW),
        *(pytest.param(*pair, marks=pytest.mark.long) for name in FURTHER for pair in each_input(name)),
        pytest.param("swin_t", Modality.RGB, marks=pytest.mark.long),
    ],
)
def test_every_input_goes_into_every_backbone_of_timm_torchvision_and_our_own(backbone, modality):
    spec = tiny(backbone=backbone, num_segments=1, modality=modality)
    network = Network(spec).eval()
    planes = torch.zeros(1, 1, spec.snippet.num_planes, 224, 224, dtype=torch.uint8)
    with torch.inference_mode():
        assert network(Normalise(network.input_format)(planes)).noun.shape == (1, 4)


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
    patches = backbone(images)
    assert patches.shape == (2, *patch_shape(name))
    torch.testing.assert_close(patches.mean(1), expected, atol=1e-4, rtol=1e-3)


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


@pytest.mark.parametrize("modality", [modality for modality in Modality if modality is not Modality.SOUND])
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
