"""The public EPIC-KITCHENS-55 code's own logits, from checkpoints as it writes them to the scores of a clip."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.model.checkpoints import load_epic
from tasks.model.crops import cut_views
from tasks.model.engines.engine import prepare
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.network import Network
from tasks.model.spec import NetworkSpec

NETWORKS = {
    "TSN_resnet50": NetworkSpec(backbone="resnet50"),
    "TSN_BNInception": NetworkSpec(backbone="bninception"),
    "TRN_resnet50": NetworkSpec(backbone="resnet50", consensus="relation"),
    "TSM_resnet50": NetworkSpec(backbone="resnet50", temporal_shift=True),
}
LOGITS = np.load(Path(__file__).with_name("epic55_logits.npz"))


@pytest.fixture(scope="module")
def load_network(golden_state) -> Callable[[str], Network]:
    networks: dict[str, Network] = {}

    def make(name: str) -> Network:
        if name not in networks:
            spec = NETWORKS[name]
            network = Network(spec)
            state = {f"backbone.{k[11:]}" if k.startswith("base_model.") else f"head.{k}": v for k, v in golden_state(network).items()}
            network.load_state_dict(state)
            networks[name] = prepare(network)
        return networks[name]

    return make


@pytest.mark.parametrize(
    ("name", "seed", "height", "width"),
    [
        ("TSN_resnet50", 1, 256, 456),
        ("TSN_resnet50", 3, 480, 360),
        ("TRN_resnet50", 1, 256, 456),
        ("TSM_resnet50", 1, 256, 456),
    ],
)
def test_centre_crop_gives_the_published_codes_logits(load_network, golden_frames, name, seed, height, width):
    logits = PytorchEngine(load_network(name), 1).score(golden_frames(seed, height, width))
    for head in ("verb", "noun"):
        expected = LOGITS[f"{name}_{seed}_{height}x{width}__center_{head}_logits"][0]
        np.testing.assert_allclose(getattr(logits, head).numpy(), expected, rtol=0, atol=1e-3)


def test_ten_crops_give_the_published_codes_logits_crop_by_crop(load_network, golden_frames):
    network = load_network("TSN_resnet50")
    features = PytorchEngine(network, 10).features(cut_views(golden_frames(3, 480, 360), 10))
    with torch.inference_mode():
        logits = network.head(features)
    for head in ("verb", "noun"):
        expected = LOGITS[f"TSN_resnet50_3_480x360__{head}_logits"]
        np.testing.assert_allclose(getattr(logits, head).numpy(), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_key_of_the_published_file_has_its_place_and_shape(shared, name):
    published = json.loads((shared / f"golden/keys_{name}.json").read_text())
    ours = {key: list(value.shape) for key, value in Network(NETWORKS[name]).state_dict().items()}
    renamed = {f"backbone.{k[11:]}" if k.startswith("base_model.") else f"head.{k}": shape for k, shape in published.items()}
    assert renamed == ours


def test_a_published_checkpoint_file_loads_key_by_key(golden_state, hashed, golden_frames):
    spec = NETWORKS["TSN_BNInception"]
    path = hashed(
        {
            "model_type": "tsn",
            "epoch": 80,
            "segment_count": 8,
            "modality": "RGB",
            "arch": "BNInception",
            "consensus_type": "avg",
            "state_dict": golden_state(Network(spec)),
            "args": argparse.Namespace(lr=0.01),
        },
        "TSN_arch=BNInception_modality=RGB_segments=8",
    )
    logits = PytorchEngine(prepare(load_epic(path, spec)), 1).score(golden_frames(1, 256, 456))
    for head in ("verb", "noun"):
        expected = LOGITS[f"TSN_BNInception_1_256x456__center_{head}_logits"][0]
        np.testing.assert_allclose(getattr(logits, head).numpy(), expected, rtol=0, atol=1e-3)
