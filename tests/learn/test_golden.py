"""The public EPIC-KITCHENS-55 code's own logits, from checkpoints as it writes them to the scores of a clip."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.crops import cut_views
from tasks.learn.networks.checkpoints import load_epic
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import PUBLISHED
from tasks.learn.networks.spec import FAMILIES, NetworkSpec
from tasks.options import Family, Modality
from tests.learn.tiny import epic_key

NETWORKS = {
    "TSN_resnet50": NetworkSpec(backbone="resnet50"),
    "TSN_BNInception": NetworkSpec(backbone="bninception"),
    "TRN_resnet50": NetworkSpec(backbone="resnet50", consensus="relation"),
    "TSM_resnet50": NetworkSpec(backbone="resnet50", temporal_shift=True),
}
LOGITS = np.load(Path(__file__).with_name("epic55_logits.npz"))


@pytest.fixture(scope="module")
def load_network(golden_state) -> Callable[[str], Network]:
    @cache
    def load(name: str) -> Network:
        network = Network(NETWORKS[name])
        theirs = golden_state(network)
        network.load_state_dict({key: theirs[epic_key(key)] for key in network.state_dict()})
        return prepare(network)

    return load


def assert_published(logits, name: str, rows: int | list[int] | slice) -> None:
    for head in ("verb", "noun"):
        np.testing.assert_allclose(getattr(logits, head).numpy(), LOGITS[name.format(head=head)][rows], rtol=0, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["TSN_resnet50", "TRN_resnet50", "TSM_resnet50"])
def test_centre_crop_gives_the_published_codes_logits(load_network, golden_frames, name):
    logits = PytorchEngine(load_network(name), 1).score(golden_frames(1, 256, 456))
    assert_published(logits, f"{name}_1_256x456__center_{{head}}_logits", 0)


@pytest.mark.slow
def test_crops_of_a_clip_of_another_size_give_the_published_codes_logits(load_network, golden_frames):
    network, frames = load_network("TSN_resnet50"), golden_frames(3, 480, 360)
    # A corner, another one in its mirror image, and the centre.
    chosen, views = [0, 3, 8], cut_views(frames, 10, Modality.RGB)
    features = PytorchEngine(network, 10).features([views[number] for number in chosen])
    with torch.inference_mode():
        assert_published(network.head(features), "TSN_resnet50_3_480x360__{head}_logits", chosen)
        assert_published(network.head(features[2:]), "TSN_resnet50_3_480x360__center_{head}_logits", slice(None))


def expected_keys(shared: Path, spec: NetworkSpec) -> dict[str, list[int]]:
    """Every key of the published file with its shape: as listed, or put together from the lists of its backbone and of its head."""

    def listed(name: str) -> dict[str, list[int]]:
        keys: dict[str, list[int]] = json.loads((shared / f"golden/keys_{name}.json").read_text())
        return keys

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


def spec_of(family: str, backbone: str, modality: Modality) -> NetworkSpec:
    consensus, temporal_shift = FAMILIES[Family(family)]
    return NetworkSpec(backbone=backbone, modality=modality, consensus=consensus, temporal_shift=temporal_shift)


@pytest.mark.slow
@pytest.mark.parametrize("published", PUBLISHED, ids="-".join)
def test_each_of_the_fourteen_published_files_has_the_networks_keys_and_shapes(shared, published):
    spec = spec_of(*published)
    with torch.device("meta"):
        state = Network(spec).state_dict()
    assert {epic_key(key): list(tensor.shape) for key, tensor in state.items()} == expected_keys(shared, spec)


@pytest.mark.slow
def test_a_published_checkpoint_file_gives_the_published_codes_logits(epic_content, hashed, golden_frames):
    spec = NETWORKS["TSN_BNInception"]
    network = load_epic(hashed(epic_content(Network(spec))), spec)
    logits = PytorchEngine(prepare(network), 1).score(golden_frames(1, 256, 456))
    assert_published(logits, "TSN_BNInception_1_256x456__center_{head}_logits", 0)
