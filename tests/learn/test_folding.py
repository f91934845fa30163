from copy import deepcopy

import pytest
import torch
from torch import nn

from tasks.learn.engines.engine import prepare
from tasks.learn.folding import fold_batch_norms
from tasks.learn.network import Network
from tests.learn.tiny import tiny

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
