from copy import deepcopy

import pytest
import torch
from torch import nn

from tasks.errors import BadConfiguration, BadInput
from tasks.learn.engines.engine import fold_batch_norms, prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.crops import Normalise, cut_views
from tasks.learn.inputs.features import see_by_torch
from tasks.learn.networks.heads import HEADS, Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Consensus, Modality
from tests.learn.tiny import crops_of, outspoken, snippets_of, tiny

FRAMES = snippets_of(tiny())
NUM_VIEWS, NUM_SEGMENTS, NUM_FEATURES = 10, 8, 2048


def plain_logits(network):
    """Answer to each of ten crops by the network's own `forward`, as torch runs it."""
    with torch.inference_mode():
        logits: Logits = network.eval()(Normalise(network.input_format)(crops_of(FRAMES, 10)))
    return logits


def head_of(consensus):
    """A head with logits of the size that a trained one has, and the features of a clip's 80 views."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = HEADS[consensus](NUM_FEATURES, NetworkSpec(backbone="resnet50", consensus=consensus))
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        return head, torch.rand(NUM_VIEWS, NUM_SEGMENTS, NUM_FEATURES)


@pytest.mark.parametrize("consensus", HEADS)
def test_a_head_is_linear_exactly_where_one_answer_to_the_mean_is_the_mean_of_all_answers(consensus):
    head, features = head_of(consensus)
    with torch.inference_mode():
        of_mean, of_views = head(features.mean(0, keepdim=True)), head(features)
    for one, all_views in zip(of_mean, of_views, strict=True):
        difference = (one[0] - all_views.mean(0)).abs().max()
        # Rounding of float32 alone: a millionth of what the logits vary by.
        assert (difference <= 5e-6 * all_views.std()) == head.is_linear


@pytest.mark.parametrize("consensus", Consensus)
def test_a_score_is_the_mean_over_crops_before_softmax_for_every_kind_of_head_and_one_crop_the_centre(consensus):
    network = outspoken(Network(tiny(consensus=consensus), seed=1))
    crops, prepared = plain_logits(network), prepare(network)
    for num_crops, rows in ((10, slice(None)), (1, slice(8, 9))):
        for logits, of_crops in zip(PytorchEngine(prepared, num_crops).score(FRAMES), crops, strict=True):
            torch.testing.assert_close(logits, of_crops[rows].mean(0), atol=1e-5 * of_crops.std().item(), rtol=1e-5)


def test_a_clip_of_another_number_of_segments_is_refused(tiny_network):
    with pytest.raises(BadInput, match="1 snippets of 3 planes, the network expects 2 of 3"):
        PytorchEngine(tiny_network, 10).score(FRAMES[:1])


def test_float32_is_float32_on_a_gpu_too_and_cudnns_work(tiny_network):
    seen = []

    def note(*_):
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))

    tiny_network.backbone.register_forward_hook(note)
    before = (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32)
    PytorchEngine(tiny_network.eval(), 1).score(FRAMES)
    assert seen == [(True, False)]
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before


def test_a_clip_that_does_not_fit_into_a_gpu_is_told_with_the_network(tiny_network):
    def overflow(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    tiny_network.eval().backbone.register_forward_pre_hook(overflow)
    told = "TSN tiny_resnet rgb, 2 segments sees at once do not fit into the GPU's memory; .* hide this GPU by CUDA_VISIBLE_DEVICES$"
    with pytest.raises(BadConfiguration, match=told):
        PytorchEngine(tiny_network, 10).score(FRAMES)
    with pytest.raises(BadConfiguration, match=told):
        list(see_by_torch(tiny_network, torch.device("cpu"), "32-true", [(None, torch.zeros(2, 3, 224, 224, dtype=torch.uint8))]))


def test_views_one_after_the_other_are_seen_as_all_at_once():
    """As a GPU sees them, with segments that look at each other."""
    network = prepare(Network(tiny(temporal_shift=True), seed=1))
    images = Normalise(network.input_format)(crops_of(FRAMES, 10)[:3].flatten(0, 1))
    with torch.inference_mode():
        at_once = network.backbone(images)
    features = PytorchEngine(network, 10).features(cut_views(FRAMES, 10, Modality.RGB)[:3])
    torch.testing.assert_close(features.flatten(0, 1), at_once, atol=1e-4, rtol=1e-4)


IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def give_statistics(module: nn.Module) -> None:
    """Running statistics as training leaves them, so that a norm that is lost is missed."""
    generator = torch.Generator().manual_seed(2)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.1, generator=generator)
            norm.running_var.uniform_(0.5, 1.5, generator=generator)
            norm.weight.data.uniform_(0.5, 1.5, generator=generator)
            norm.bias.data.normal_(0, 0.1, generator=generator)


def num_norms(module: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


class Block(nn.Module):
    """A convolution and a norm, with `join` to say what follows."""

    def __init__(self, join):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)
        self.join = join

    def forward(self, images):
        return self.join(self, images).mean((2, 3))


class OnGpu(nn.Module):
    """A backbone that takes no input before it is moved to another device."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.is_moved = False

    def _apply(self, fn, recurse=True):
        self.is_moved = True
        return super()._apply(fn, recurse)

    def forward(self, images):
        assert self.is_moved
        return self.inner(images)


def test_a_network_that_an_engine_had_on_a_gpu_is_prepared_for_another(tiny_network):
    tiny_network.backbone = OnGpu(tiny_network.backbone)
    assert num_norms(prepare(tiny_network)) == 0


@pytest.mark.parametrize(
    "spec",
    [
        tiny(backbone="tf_efficientnet_lite0"),
        tiny(),
        tiny(temporal_shift=True),
        pytest.param(tiny(backbone="bninception"), marks=pytest.mark.slow),
    ],
    ids=lambda spec: f"{spec.family} {spec.backbone}",
)
def test_every_norm_goes_and_the_logits_stay(spec):
    network = Network(spec)
    give_statistics(network)
    images = torch.rand(1, 2, 3, 224, 224)
    with torch.inference_mode():
        plain = deepcopy(network).eval()(images)
        assert num_norms(network) > 0
        folded = prepare(network)(images)
    assert num_norms(network) == 0
    torch.testing.assert_close(folded, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "join",
    [
        lambda block, x: block.norm(block.conv(x)) + block.norm(x),
        lambda block, x: block.norm(block.conv(block.conv(x))),
        lambda block, x: block.norm(block.conv(x).relu()),
        lambda block, x: (made := block.conv(x)) + block.norm(made),
    ],
    ids=["norm used twice", "convolution used twice", "something between", "output used twice"],
)
def test_a_norm_that_cannot_be_folded_stays(join):
    block = Block(join).eval()
    give_statistics(block)
    with torch.inference_mode():
        expected = block(IMAGES)
        folded = fold_batch_norms(block, IMAGES)
        assert num_norms(folded) == 1
        torch.testing.assert_close(folded(IMAGES), expected)
