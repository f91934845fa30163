import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.inputs.crops import Normalise
from tasks.learn.networks.backbones import BACKBONES
from tasks.learn.networks.network import Network, TemporalShift, synchronise_norms, weights_sha256
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Family, Modality
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
        ({"backbone": "qqqqqq"}, f"choose {', '.join(BACKBONES)}, or"),
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
