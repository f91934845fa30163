"""Features that one network's scoring keeps are those of every network with the same backbone, and of no other."""

import pytest
import torch

from tasks.learn.engines.shared import SharedFeatures, is_shareable
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.options import Consensus, Family, Modality
from tasks.store.records.evaluation import EngineUsed
from tests.learn.tiny import CLASSES, network_of, scorer_of, snippets_of, tiny

pytestmark = pytest.mark.slow


@pytest.fixture
def shared(tmp_path):
    def call(network, wanted="pytorch", num_crops=1):
        scorer, used = scorer_of(Saved((network,), (HeadWeights(1, 1),), CLASSES), wanted, num_crops)
        return SharedFeatures(tmp_path, scorer, used, ["clip", "other"]), scorer

    return call


def keep(features: SharedFeatures, clip) -> None:
    features.score("clip", [clip])
    features.close()


@pytest.mark.parametrize(
    ("family", "changes"),
    [(Family.TSN, {}), (Family.TRN, {}), (Family.TSM, {"consensus": Consensus.ATTENTIVE})],
)
def test_another_head_answers_from_kept_features_as_it_would_from_frames(shared, family, changes):
    first, scorer = shared(network_of(family, **changes), num_crops=10)
    frames = snippets_of(tiny(num_segments=3))
    assert first.known("clip") is None
    answer = first.score("clip", [frames])
    first.close()
    for one in (answer, scorer.answer(first.known("clip"))):
        torch.testing.assert_close(one, scorer.score([frames]), rtol=0, atol=0)
    second, scorer = shared(network_of(family, head_seed=3, **changes), num_crops=10)
    torch.testing.assert_close(scorer.answer(second.known("clip")), scorer.score([frames]), rtol=0, atol=0)
    assert second.known("other") is None


@pytest.mark.parametrize(
    ("change", "choice"),
    [
        ({"consensus": Consensus.ATTENTIVE}, {}),
        ({"seed": 2, "head_seed": 1}, {}),
        ({"family": Family.TSM}, {}),
        ({"sampling_window": 0.5}, {}),
        ({}, {"num_crops": 10}),
        ({}, {"wanted": "openvino"}),
    ],
    ids=["patches", "weights", "family", "window", "crops", "engine"],
)
def test_features_of_another_backbone_window_crop_or_engine_are_not_taken(shared, change, choice):
    first, _ = shared(network_of())
    keep(first, snippets_of(tiny(num_segments=3)))
    assert first.known("clip") is not None
    second, _ = shared(network_of(**change), **choice)
    assert second.known("clip") is None


@pytest.mark.parametrize(
    ("modality", "name", "value"),
    [
        (Modality.FLOW, "engines.kept.VIEWS_VERSION", 0),
        (Modality.FLOW, "engines.kept.flow_recipe_of", lambda options: "other"),
        (Modality.SPECTROGRAM, "networks.sound_recipe.VERSION", 0),
    ],
)
def test_features_of_other_crops_flow_or_described_sound_are_not_taken(shared, monkeypatch, modality, name, value):
    network = network_of(modality=modality)
    first, _ = shared(network)
    keep(first, snippets_of(network.spec))
    assert first.known("clip") is not None
    monkeypatch.setattr(f"tasks.learn.{name}", value)
    assert shared(network_of(modality=modality))[0].known("clip") is None


def test_features_of_int8_are_not_shared_because_they_depend_on_the_calibration_clips():
    checked = {"num_checked_clips": 0, "max_difference": 0, "tolerance": 0, "fallback_reason": None}
    used = EngineUsed(name="openvino", precision="int8", description="", **checked)
    assert not is_shareable(used)
    assert is_shareable(used.model_copy(update={"precision": "bfloat16"}))


def test_a_disk_without_room_costs_the_sharing_alone(shared, monkeypatch, caplog):
    monkeypatch.setattr("tasks.learn.inputs.features.shortage", lambda folder, size_bytes: "0.1 GiB are needed, and 0.0 GiB are free")
    features, scorer = shared(network_of())
    clip = snippets_of(tiny(num_segments=3))
    assert "features are not shared between networks" in caplog.text
    torch.testing.assert_close(features.score("clip", [clip]), scorer.score([clip]))
    assert features.known("clip") is None
