"""Features that one network's scoring keeps are those of every network with the same backbone, and of no other."""

import numpy as np
import pytest
import torch

from tasks.model.checkpoints import HeadWeights, Saved
from tasks.model.class_names import ClassNames
from tasks.model.engines.choice import Job
from tasks.model.engines.scorer import make_scorer
from tasks.model.engines.shared import SharedFeatures, is_shareable
from tasks.model.hearing import example_input
from tasks.model.network import Network
from tasks.model.spec import FAMILIES, Consensus, NetworkSpec
from tasks.options import Family, Modality
from tasks.results.evaluation import EngineUsed

pytestmark = pytest.mark.slow

CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))


def network_of(family, head_seed, backbone_seed=1, modality=Modality.RGB, window=1, **changes):
    consensus, shift = FAMILIES[family]
    numbers = {"num_segments": 3, "sampling_window": window, "num_verbs": 5, "num_nouns": 4}
    spec = NetworkSpec(backbone="test_resnet", modality=modality, **{"consensus": consensus, "temporal_shift": shift, **numbers, **changes})
    network = Network(spec, seed=backbone_seed).eval()
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(head_seed))
    return network


@pytest.fixture
def shared(tmp_path):
    def call(network, wanted="pytorch", num_crops=10):
        job = Job(device="cpu", num_clips=2, num_crops=num_crops, checked=lambda: [snippets(3)], calibration=list)
        scorer, used = make_scorer(Saved((network,), (HeadWeights(1, 1),), CLASSES), wanted, [job])
        return SharedFeatures(tmp_path, scorer, used, ["clip", "other"]), scorer

    return call


def snippets(seed, num_planes=3):
    return np.random.default_rng(seed).integers(0, 256, (3, 256, 300, num_planes), dtype=np.uint8)


@pytest.mark.parametrize(
    ("family", "changes"),
    [*((family, {}) for family in (Family.TSN, Family.TRN, Family.TSM)), (Family.TSN, {"consensus": Consensus.ATTENTIVE})],
)
def test_another_head_answers_from_kept_features_as_it_would_from_frames(shared, family, changes):
    first, scorer = shared(network_of(family, head_seed=2, **changes))
    frames = snippets(1)
    assert first.known("clip") is None
    answer = first.score("clip", [frames])
    first.close()
    for one in (answer, scorer.answer(first.known("clip"))):
        torch.testing.assert_close(one, scorer.score([frames]), rtol=0, atol=0)
    second, scorer = shared(network_of(family, head_seed=3, **changes))
    torch.testing.assert_close(scorer.answer(second.known("clip")), scorer.score([frames]), rtol=0, atol=0)
    assert second.known("other") is None


@pytest.mark.parametrize(
    ("change", "choice"),
    [
        ({"consensus": Consensus.ATTENTIVE}, {}),
        ({"backbone_seed": 2}, {}),
        ({"family": Family.TSM}, {}),
        ({"window": 0.5}, {}),
        ({}, {"num_crops": 1}),
        ({}, {"wanted": "openvino"}),
    ],
    ids=["patches", "weights", "family", "window", "crops", "engine"],
)
def test_features_of_another_backbone_window_crop_or_engine_are_not_taken(shared, change, choice):
    first, _ = shared(network_of(Family.TSN, head_seed=2))
    first.score("clip", [snippets(1)])
    first.close()
    second, _ = shared(network_of(**{"family": Family.TSN, "head_seed": 2, **change}), **choice)
    assert second.known("clip") is None


@pytest.mark.parametrize("changed", ["VIEWS_VERSION", "flow_recipe_of"])
def test_features_of_other_crops_or_other_computed_flow_are_not_taken(shared, monkeypatch, changed):
    network = network_of(Family.TSN, head_seed=2, modality=Modality.FLOW)
    first, _ = shared(network, num_crops=1)
    first.score("clip", [snippets(1, network.spec.snippet.num_planes)])
    first.close()
    assert first.known("clip") is not None
    monkeypatch.setattr(f"tasks.model.engines.shared.{changed}", {"VIEWS_VERSION": 0, "flow_recipe_of": lambda options: "other"}[changed])
    second, _ = shared(network_of(Family.TSN, head_seed=2, modality=Modality.FLOW), num_crops=1)
    assert second.known("clip") is None


def test_features_of_sound_that_was_described_otherwise_are_not_taken(shared, monkeypatch):
    network = network_of(Family.TSN, head_seed=2, modality=Modality.SPECTROGRAM)
    first, _ = shared(network)
    first.score("clip", [example_input(network.spec)])
    first.close()
    assert first.known("clip") is not None
    monkeypatch.setattr("tasks.model.sound.recipe.VERSION", 0)
    assert shared(network)[0].known("clip") is None


def test_features_of_int8_are_not_shared_because_they_depend_on_the_calibration_clips():
    checked = {"num_checked_clips": 0, "max_difference": 0, "tolerance": 0, "fallback_reason": None}
    used = EngineUsed(name="openvino", precision="int8", description="", **checked)
    assert not is_shareable(used)
    assert is_shareable(used.model_copy(update={"precision": "bfloat16"}))


def test_a_disk_without_room_costs_the_sharing_alone(shared, monkeypatch, caplog):
    monkeypatch.setattr("tasks.model.feature_cache.shortage", lambda folder, size_bytes: "0.1 GiB are needed, and 0.0 GiB are free")
    features, scorer = shared(network_of(Family.TSN, head_seed=2))
    assert "features are not shared between networks" in caplog.text
    torch.testing.assert_close(features.score("clip", [snippets(1)]), scorer.score([snippets(1)]))
    assert features.known("clip") is None
