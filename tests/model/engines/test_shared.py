"""Features that one network's scoring keeps are those of every network with the same backbone, and of no other."""

import numpy as np
import pytest
import torch

from tasks.model.checkpoints import HeadWeights, Saved
from tasks.model.class_names import ClassNames
from tasks.model.engines.choice import Job
from tasks.model.engines.scorer import make_scorer
from tasks.model.engines.shared import SharedFeatures
from tasks.model.network import Network
from tasks.model.spec import FAMILIES, NetworkSpec
from tasks.options import Family

CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))


def network_of(family, head_seed, backbone_seed=1):
    consensus, shift = FAMILIES[family]
    spec = NetworkSpec(backbone="test_resnet", num_segments=3, consensus=consensus, temporal_shift=shift, num_verbs=5, num_nouns=4)
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
        return SharedFeatures(tmp_path, scorer, used, num_clips=2), scorer

    return call


def snippets(seed):
    return np.random.default_rng(seed).integers(0, 256, (3, 256, 300, 3), dtype=np.uint8)


@pytest.mark.parametrize("family", [Family.TSN, Family.TRN, Family.TSM])
def test_another_head_answers_from_kept_features_as_it_would_from_frames(shared, family):
    first, scorer = shared(network_of(family, head_seed=2))
    frames = snippets(1)
    assert first.known("clip") is None
    for answer in (first.score("clip", [frames]), first.known("clip")):
        torch.testing.assert_close(answer, scorer.score([frames]), rtol=0, atol=1e-5)
    second, scorer = shared(network_of(family, head_seed=3))
    torch.testing.assert_close(second.known("clip"), scorer.score([frames]), rtol=0, atol=1e-5)
    assert second.known("other") is None


@pytest.mark.parametrize(
    ("change", "choice"),
    [({"backbone_seed": 2}, {}), ({"family": Family.TSM}, {}), ({}, {"num_crops": 1}), ({}, {"wanted": "openvino"})],
    ids=["weights", "family", "crops", "engine"],
)
def test_features_of_another_backbone_crop_or_engine_are_not_taken(shared, change, choice):
    first, _ = shared(network_of(Family.TSN, head_seed=2))
    first.score("clip", [snippets(1)])
    second, _ = shared(network_of(**{"family": Family.TSN, "head_seed": 2, **change}), **choice)
    assert second.known("clip") is None


def test_a_disk_without_room_costs_the_sharing_alone(shared, monkeypatch, caplog):
    monkeypatch.setattr("tasks.model.feature_cache.shortage", lambda folder, size_bytes: "0.1 GiB are needed, and 0.0 GiB are free")
    features, scorer = shared(network_of(Family.TSN, head_seed=2))
    assert "features are not shared between networks" in caplog.text
    torch.testing.assert_close(features.score("clip", [snippets(1)]), scorer.score([snippets(1)]))
    assert features.known("clip") is None
