import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.model.crops import Normalise
from tasks.model.network import Network, synchronise_norms, weights_sha256
from tasks.model.shift import TemporalShift
from tasks.model.spec import NetworkSpec
from tasks.options import Modality


def test_a_network_follows_from_spec_and_seed_alone(tiny_spec):
    torch.manual_seed(5)
    first, drawn = Network(tiny_spec, seed=3), torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1)), "building a network must draw nothing from torch's generator"
    torch.manual_seed(6)
    assert weights_sha256(first) == weights_sha256(Network(tiny_spec, seed=3))
    assert weights_sha256(first) != weights_sha256(Network(tiny_spec, seed=4))


def test_logits_are_the_mean_over_segments_of_each_segments_logits(outspoken_network):
    snippets = torch.randn(3, 2, 3, 224, 224)
    network = outspoken_network.eval()
    with torch.inference_mode():
        together = network(snippets)
        one, two = network(snippets[:, :1]), network(snippets[:, 1:])
    torch.testing.assert_close(together.verb, (one.verb + two.verb) / 2)
    torch.testing.assert_close(together.noun, (one.noun + two.noun) / 2)
    assert together.verb.shape == (3, 5)
    assert together.noun.shape == (3, 4)


@pytest.mark.parametrize(
    ("choice", "sees_order"),
    [({}, False), ({"consensus": "relation"}, True), ({"consensus": "multiscale-relation"}, True), ({"temporal_shift": True}, True)],
)
def test_tsn_cannot_see_the_order_of_segments_and_trn_and_tsm_can(choice, sees_order):
    network = Network(NetworkSpec(backbone="resnet18", num_segments=4, **choice)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # timm starts each residual branch at nothing
    snippets = torch.randn(1, 4, 3, 64, 64)
    with torch.inference_mode():
        forth, back = network(snippets).verb, network(snippets.flip(1)).verb
    # Untrained heads answer with small numbers: what counts is the difference beside their spread.
    assert ((forth - back).abs().max() > 1e-3 * forth.std()).item() is sees_order


@pytest.mark.parametrize("name", ["test_efficientnet", "resnet18"])
def test_synchronised_norms_are_the_same_function_with_the_same_weights(name):
    network = Network(NetworkSpec(backbone=name, num_segments=1)).eval()
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


@pytest.mark.parametrize("name", [pytest.param("swin_t", marks=pytest.mark.slow), "mobilenet_v3_small", "test_efficientnet"])
def test_timm_and_torchvision_models_serve_by_name(name):
    network = Network(NetworkSpec(backbone=name, num_segments=1)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 1, 3, 224, 224)).verb.shape == (1, 125)


@pytest.mark.parametrize(
    "backbone",
    [
        "resnet18",
        "tf_efficientnet_lite0",
        "mobilenet_v2",
        "mobilenet_v3_small",
        "efficientnet_b0",
        "mobilenetv4_conv_small",
        pytest.param("convnext_atto", marks=pytest.mark.slow),
        pytest.param("resnet34d", marks=pytest.mark.slow),
    ],
)
def test_residual_families_of_timm_and_torchvision_can_be_shifted(backbone):
    network = Network(NetworkSpec(backbone=backbone, num_segments=3, temporal_shift=True)).eval()
    shifts = [module for module in network.modules() if isinstance(module, TemporalShift)]
    assert len(shifts) >= 5
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 3, 224, 224)).verb.shape == (2, 125)


@pytest.mark.parametrize(("backbone", "num_blocks"), [("mobilenetv4_conv_small", 10), ("test_convnext", 9)])
def test_newer_blocks_see_the_segments_beside(backbone, num_blocks):
    network = Network(NetworkSpec(backbone=backbone, num_segments=3, temporal_shift=True)).eval()
    assert sum(isinstance(module, TemporalShift) for module in network.modules()) == num_blocks
    clip = torch.zeros(1, 3, 3, 224, 224)
    other = clip.clone()
    other[:, 2] = torch.rand(3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        differences = (network.features(clip) - network.features(other)).abs().amax(2)[0]
    assert (differences > 0).all()


@pytest.mark.parametrize("modality", [modality for modality in Modality if modality is not Modality.SOUND])
@pytest.mark.parametrize("backbone", ["resnet18", "bninception", "tf_efficientnet_lite0", "mobilenet_v2"])
def test_every_input_goes_into_every_backbone(backbone, modality):
    spec = NetworkSpec(backbone=backbone, num_segments=1, modality=modality)
    network = Network(spec).eval()
    planes = torch.zeros(1, 1, spec.snippet.num_planes, 224, 224, dtype=torch.uint8)
    with torch.inference_mode():
        assert network(Normalise(network.input_format)(planes)).noun.shape == (1, 352)
