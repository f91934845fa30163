import io

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.learn.engines.engine import prepare
from tasks.learn.engines.grad_cam import NothingToSee, _spatial_outputs, activation_sheet, grad_cam
from tasks.learn.networks.network import Network
from tasks.options import Family
from tests.learn.tiny import LAYOUTS, Red, RedHead, snippets_of, tiny

FRAMES = snippets_of(tiny())
LARGE = [
    tiny(backbone="bninception"),
    tiny(backbone="bninception", modality="rgb-difference"),
    tiny(backbone="mixer_s32_224"),
    tiny(backbone="swin_tiny_patch4_window7_224"),
]


@pytest.mark.parametrize(
    "spec",
    [
        tiny(Family.TSM),
        *(tiny(consensus=consensus) for consensus in ("relation", "multiscale-relation", "tcn")),
        tiny(modality="flow"),
        tiny(backbone="test_vit"),
        pytest.param(tiny(backbone="tf_efficientnet_lite0"), marks=pytest.mark.slow),
        *(pytest.param(spec, marks=pytest.mark.long) for spec in LARGE),
    ],
    ids=lambda spec: spec.title,
)
def test_every_kind_of_network_can_be_looked_into(spec):
    network = prepare(Network(spec, seed=1))
    # Noise of single pixels would be slow to compress.
    squares = np.random.default_rng(0).integers(0, 256, (2, 8, 10, spec.snippet.num_planes), dtype=np.uint8)
    snippets = squares.repeat(32, 1).repeat(30, 2)
    # Of an untrained network nothing may speak for a class; for one of several something does.
    heats = [grad_cam(network, snippets[:, :224, :224], "verb", class_id) for class_id in range(5)]
    best = int(np.argmax([heat.max() for heat in heats]))
    heat, sheet = heats[best], activation_sheet(network, snippets, "verb", best)
    picture = Image.open(io.BytesIO(sheet))
    assert (picture.format, picture.size) == ("PNG", (2 * 160 + 4, 160))
    assert len(sheet) < 100_000
    assert heat.shape == (2, 224, 224)
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("backbone", ["test_vit", pytest.param("mixer_s32_224", marks=pytest.mark.long)])
def test_a_transformer_is_looked_into_at_its_last_patches(backbone):
    network = prepare(Network(tiny(backbone=backbone), seed=1))
    outputs, features = _spatial_outputs(network, torch.zeros(2, 3, 224, 224))
    assert outputs[-1].ndim == 3
    assert outputs[-1].shape[2] == features.shape[-1]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_heat_lies_where_the_class_is(tiny_network, layout):
    """The second of two frames has a red corner."""
    network = tiny_network.eval()
    network.backbone, network.head = Red(layout, 2), RedHead()
    frames = np.zeros((2, 224, 224, 3), np.uint8)
    frames[1, :80, :80, 0] = 255
    heat = grad_cam(network, frames, "verb", 1)
    assert heat[0].max() < 0.01
    assert heat[1, :64, :64].min() > 0.9
    assert heat[1, 120:, 120:].max() < 0.01


class Detached(torch.nn.Module):
    """A backbone whose gradients are lost on the way."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(3, 4, 16, 16)

    def forward(self, images):
        return self.convolution(images).detach().mean((2, 3)).repeat(1, 24)


class Exhausted(torch.nn.Module):
    """A backbone that finds no memory where gradients are wanted."""

    def forward(self, images):
        if torch.is_grad_enabled():
            raise torch.OutOfMemoryError("out of memory")
        return images


@pytest.mark.parametrize(
    ("backbone", "reason"),
    [
        (torch.nn.Flatten(), "no module of this backbone has a spatial output"),
        (Detached(), "not have been used in the graph"),
        (torch.nn.Sequential(Exhausted(), torch.nn.Flatten()), "out of memory"),
    ],
    ids=["no height and width", "no gradients", "no memory"],
)
def test_a_network_that_cannot_be_looked_into_raises_one_error(tiny_network, backbone, reason):
    tiny_network.backbone = backbone
    with pytest.raises(NothingToSee, match=reason):
        activation_sheet(tiny_network.eval(), FRAMES, "verb", 0)
