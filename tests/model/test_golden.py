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
from tasks.model.pretrained import PUBLISHED
from tasks.model.spec import FAMILIES, NetworkSpec
from tasks.options import Family, Modality

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


@pytest.mark.slow
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


@pytest.mark.slow
def test_ten_crops_give_the_published_codes_logits_crop_by_crop(load_network, golden_frames):
    network = load_network("TSN_resnet50")
    features = PytorchEngine(network, 10).features(cut_views(golden_frames(3, 480, 360), 10, Modality.RGB))
    with torch.inference_mode():
        logits = network.head(features)
    for head in ("verb", "noun"):
        expected = LOGITS[f"TSN_resnet50_3_480x360__{head}_logits"]
        np.testing.assert_allclose(getattr(logits, head).numpy(), expected, rtol=0, atol=1e-3)


def expected_keys(shared: Path, spec: NetworkSpec) -> dict[str, list[int]]:
    """Every key of the published file with its shape: as listed, or put together from the lists of its backbone and of its head."""

    def listed(name: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = json.loads((shared / f"golden/keys_{name}.json").read_text())
        return found

    arch = {"resnet50": "resnet50", "bninception": "BNInception"}[spec.backbone]
    whole = shared / f"golden/keys_{spec.family}_{arch}.json"
    if whole.exists():
        keys = listed(f"{spec.family}_{arch}")
    else:
        backbone = {key: shape for key, shape in listed("TSN_BNInception").items() if key.startswith("base_model.")}
        head = {key: shape for key, shape in listed(f"{spec.family}_resnet50").items() if not key.startswith("base_model.")}
        keys = {**backbone, **head, "new_fc.weight": [256, 1024]}
    first = next(iter(keys))
    return {**keys, first: [64, spec.snippet.num_channels, 7, 7]}


@pytest.mark.slow
@pytest.mark.parametrize("published", PUBLISHED, ids=lambda key: "-".join(key))
def test_each_of_the_fourteen_published_files_loads_key_by_key(shared, golden_state, hashed, published):
    family, backbone, modality = published
    consensus, temporal_shift = FAMILIES[Family(family)]
    spec = NetworkSpec(backbone=backbone, modality=modality, consensus=consensus, temporal_shift=temporal_shift)
    state = golden_state(Network(spec))
    assert {key: list(value.shape) for key, value in state.items()} == expected_keys(shared, spec)
    content = {
        "model_type": family.lower(),
        "epoch": 80,
        "segment_count": 8,
        "modality": {"rgb": "RGB", "flow": "Flow"}[modality],
        "arch": {"resnet50": "resnet50", "bninception": "BNInception"}[backbone],
        "state_dict": state,
        "args": argparse.Namespace(lr=0.01),
    }
    loaded = load_epic(hashed(content, PUBLISHED[published].name.partition("-")[0]), spec).state_dict()
    for key, value in state.items():
        ours = f"backbone.{key.removeprefix('base_model.')}" if key.startswith("base_model.") else f"head.{key}"
        assert torch.equal(loaded[ours], value), key


@pytest.mark.slow
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
