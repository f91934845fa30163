import io

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.model.engines.engine import prepare
from tasks.model.explain import NothingToSee, _spatial_outputs, activation_sheet, grad_cam
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec

FRAMES = np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(NetworkSpec(backbone="tf_efficientnet_lite0", num_segments=2), marks=pytest.mark.slow),
        NetworkSpec(backbone="test_resnet", num_segments=2, temporal_shift=True),
        pytest.param(NetworkSpec(backbone="bninception", num_segments=2), marks=pytest.mark.slow),
        NetworkSpec(backbone="test_resnet", num_segments=2, consensus="relation"),
        NetworkSpec(backbone="test_resnet", num_segments=2, consensus="multiscale-relation"),
        NetworkSpec(backbone="test_resnet", num_segments=2, consensus="attentive"),
        NetworkSpec(backbone="test_resnet", num_segments=2, consensus="lstm"),
        NetworkSpec(backbone="test_resnet", num_segments=2, consensus="tcn"),
        NetworkSpec(backbone="test_resnet", num_segments=2, modality="flow"),
        NetworkSpec(backbone="test_vit", num_segments=2),
        NetworkSpec(backbone="test_vit", num_segments=2, consensus="attentive"),
        pytest.param(NetworkSpec(backbone="mixer_s32_224", num_segments=2, consensus="attentive"), marks=pytest.mark.slow),
        pytest.param(NetworkSpec(backbone="swin_tiny_patch4_window7_224", num_segments=2), marks=pytest.mark.slow),
        pytest.param(NetworkSpec(backbone="bninception", num_segments=2, modality="rgb-difference"), marks=pytest.mark.slow),
    ],
    ids=lambda spec: spec.title,
)
def test_every_kind_of_network_can_be_looked_into(spec):
    network = prepare(Network(spec, seed=1))
    snippets = np.random.default_rng(0).integers(0, 256, (2, 256, 300, spec.snippet.num_planes), dtype=np.uint8)
    # Of an untrained network nothing may speak for a class; for one of several something does.
    heat, class_id = max(((grad_cam(network, snippets[:, :224, :224], "noun", i), i) for i in range(5)), key=lambda found: found[0].max())
    assert Image.open(io.BytesIO(activation_sheet(network, snippets, "noun", class_id))).size == (2 * 164 - 4, 160)
    assert heat.shape == (2, 224, 224)
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("backbone", ["test_vit", pytest.param("mixer_s32_224", marks=pytest.mark.slow)])
@pytest.mark.parametrize("consensus", ["average", "attentive"])
def test_a_transformer_is_looked_into_at_its_last_patches_whatever_its_head_takes(backbone, consensus):
    network = prepare(Network(NetworkSpec(backbone=backbone, num_segments=2, consensus=consensus), seed=1))
    outputs, features = _spatial_outputs(network, torch.zeros(2, 3, 224, 224))
    assert outputs[-1].ndim == 3
    assert outputs[-1].shape[2] == features.shape[-1]


@pytest.mark.parametrize("kind", ["channels first", "channels last", "tokens"])
def test_heat_lies_where_the_class_is(tiny_spec, kind):
    """A network that names verb 1 for what is red, and frames of which the second has a red corner."""
    network = Network(tiny_spec).eval()
    network.backbone = REDNESS[kind]()
    network.head = RedHead()
    frames = np.zeros((2, 256, 256, 3), np.uint8)
    frames[1, 16:96, 16:96, 0] = 255
    heat = grad_cam(network, frames[:, 16:240, 16:240], "verb", 1)
    assert heat[0].max() < 0.01
    assert heat[1, :64, :64].min() > 0.9
    assert heat[1, 120:, 120:].max() < 0.01


def test_a_sheet_is_a_small_png_of_all_frames_in_a_row(tiny_network):
    png = activation_sheet(prepare(tiny_network), FRAMES, "verb", 0)
    picture = Image.open(io.BytesIO(png))
    assert (picture.format, picture.size) == ("PNG", (2 * 160 + 4, 160))
    assert len(png) < 100_000


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


class Redness(torch.nn.Module):
    """Features (n, 2) of a map (n, 2, 14, 14): how red, and how red it is not."""

    def __init__(self):
        super().__init__()
        self.pool = torch.nn.AvgPool2d(16)

    def forward(self, images):
        red = images[:, :1] - images[:, :1].amin()
        return self.pool(torch.cat([red, -red], 1)).mean((2, 3))


class RedLast(torch.nn.Module):
    """The same features of a map (n, 14, 14, 2)."""

    def __init__(self):
        super().__init__()
        self.pool = torch.nn.AvgPool2d(16)
        self.mapped = torch.nn.Identity()

    def forward(self, images):
        red = images[:, :1] - images[:, :1].amin()
        return self.mapped(self.pool(torch.cat([red, -red], 1)).permute(0, 2, 3, 1)).mean((1, 2))


class RedTokens(torch.nn.Module):
    """The same features of a class token that looks at 196 patches once; afterwards nothing depends on the patches."""

    def __init__(self):
        super().__init__()
        self.norm, self.last = torch.nn.Identity(), torch.nn.Identity()

    def forward(self, images):
        red = images[:, :1] - images[:, :1].amin()
        patches = torch.nn.functional.avg_pool2d(torch.cat([red, -red], 1), 16).flatten(2).transpose(1, 2)
        tokens = self.norm(torch.cat([torch.zeros_like(patches[:, :1]), patches], 1))
        looked = torch.cat([tokens[:, 1:].mean(1, keepdim=True), tokens[:, 1:]], 1)
        return self.last(looked)[:, 0]


REDNESS = {"channels first": Redness, "channels last": RedLast, "tokens": RedTokens}


class RedHead(torch.nn.Module):
    """Verb 1 for the first feature; a parameter only to have one."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.eye(2))

    def forward(self, features):
        from tasks.model.consensus import Logits

        scores = (features @ self.weight).mean(1).flip(-1)
        return Logits(scores, scores)
