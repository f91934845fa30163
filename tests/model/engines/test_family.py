"""Every network of the family, with every input, on OpenVINO beside PyTorch; and several networks as one."""

import numpy as np
import pytest
import torch

from tasks.logit_mean import mean_logits
from tasks.model.checkpoints import HeadWeights, Saved, load, save_fusion
from tasks.model.class_names import ClassNames
from tasks.model.engines import openvino
from tasks.model.engines.choice import Job
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.model.engines.parity import check
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.engines.scorer import make_scorer
from tasks.model.growth import widen_heads
from tasks.model.network import Network
from tasks.model.spec import FAMILIES, Consensus, NetworkSpec
from tasks.options import Family, Modality

pytestmark = pytest.mark.slow

NUM_CLASSES = {"num_verbs": 5, "num_nouns": 4}


def network_of(family=Family.TSN, modality=Modality.RGB, backbone="test_resnet", seed=1, **changes) -> Network:
    """A small network whose logits are as large as a trained one's."""
    consensus, shift = FAMILIES[family]
    parts = {"modality": modality, "consensus": consensus, "temporal_shift": shift, **NUM_CLASSES}
    spec = NetworkSpec(**{"backbone": backbone, "num_segments": 3, **parts, **changes})
    network = Network(spec, seed=seed).eval()
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.normal_(std=0.3, generator=torch.Generator().manual_seed(seed))
    return network


def snippets_for(spec: NetworkSpec, seed=0):
    pixels = (224, 224) if spec.modality.is_heard else (256, 300)
    return np.random.default_rng(seed).integers(0, 256, (spec.num_segments, *pixels, spec.snippet.num_planes), dtype=np.uint8)


PICTURES = [modality for modality in Modality if modality is not Modality.SOUND]
GRAPHS = [
    *((backbone, Family.TSN, modality) for backbone in ("test_resnet", "bninception") for modality in PICTURES),
    *(("test_resnet", Family.TSM, modality) for modality in PICTURES),
    # Their graphs are those of TSN: the relations between segments are computed after them.
    ("test_resnet", Family.TRN, Modality.FLOW),
    ("test_resnet", Family.MTRN, Modality.RGB_DIFFERENCE),
]
"""Every backbone with every input, every backbone that can be shifted with every input, and every head."""


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "family", "modality"), GRAPHS)
def test_openvino_answers_as_pytorch_does_for_every_network_and_input(backbone, family, modality):
    network = network_of(family, modality, backbone)
    # Ten times as many crops of a large backbone take ten times as long and are the same graph.
    num_crops = 1 if backbone == "bninception" else 10
    reference, clip = PytorchEngine(network, num_crops), snippets_for(network.spec)
    assert check(OpenvinoEngine(network, num_crops, floating="float32"), reference, [clip]).failure is None


@pytest.mark.parametrize("backbone", ["test_resnet", "vit_tiny_patch16_224", "bninception"])
@pytest.mark.parametrize("shift", [False, True])
def test_openvino_gives_the_patches_of_an_attentive_network(backbone, shift):
    if shift and backbone != "test_resnet":
        pytest.skip("it has no blocks that can be shifted")
    network = network_of(backbone=backbone, consensus=Consensus.ATTENTIVE, temporal_shift=shift)
    engine, clip = OpenvinoEngine(network, 1, floating="float32"), snippets_for(network.spec)
    assert engine.see(clip).shape == (1, 3, *network.feature_shape)
    assert check(engine, PytorchEngine(network, 1), [clip]).failure is None


@pytest.mark.parametrize("consensus", Consensus)
def test_a_scorer_shows_one_vector_of_a_clip_whatever_the_head_sees(consensus):
    saved = Saved((network_of(consensus=consensus),), (HeadWeights(1, 1),), ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz")))
    scorer, _ = make_scorer(saved, "pytorch", [job_of(saved.network.spec)])
    logits, features = scorer.score_and_see([snippets_for(saved.network.spec)])
    assert features.shape == (96,)
    assert torch.equal(logits.verb, scorer.score([snippets_for(saved.network.spec)]).verb)


def saved_fusion(tmp_path) -> Saved:
    networks = [network_of(seed=1), network_of(Family.TRN, Modality.FLOW, seed=2)]
    classes = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))
    save_fusion(tmp_path / "fused.pt", networks, [HeadWeights(1, 3), HeadWeights(3, 1)], classes)
    return load(tmp_path / "fused.pt")


def job_of(spec: NetworkSpec, num_clips=1) -> Job:
    return Job("cpu", num_clips, 1, checked=lambda: [snippets_for(spec)], calibration=list)


@pytest.mark.parametrize("wanted", ["pytorch", pytest.param("openvino", marks=pytest.mark.slow)])
def test_a_fusion_answers_with_the_weighted_mean_of_its_networks(tmp_path, wanted):
    saved = saved_fusion(tmp_path)
    specs = [network.spec for network in saved.networks]
    clips = [snippets_for(spec, seed=7) for spec in specs]
    alone = [PytorchEngine(network.eval(), 1).score(clip) for network, clip in zip(saved.networks, clips, strict=True)]
    scorer, used = make_scorer(saved, wanted, [job_of(spec) for spec in specs])
    score = scorer.score(clips)
    tolerance = used.tolerance or 1e-3
    torch.testing.assert_close(score.verb, (alone[0].verb + 3 * alone[1].verb) / 4, atol=tolerance, rtol=0)
    torch.testing.assert_close(score.noun, (3 * alone[0].noun + alone[1].noun) / 4, atol=tolerance, rtol=0)
    assert used.name == wanted


def test_networks_of_different_sizes_answer_as_their_weights_were_chosen_for(tmp_path):
    networks = [network_of(seed=1), widen_heads(network_of(seed=2), 7, 6, seed=0), widen_heads(network_of(seed=3), 7, 4, seed=0)]
    classes = ClassNames(verbs=tuple("abcdefg"), nouns=tuple("uvwxyz"))
    save_fusion(tmp_path / "fused.pt", networks, [HeadWeights(1, 3), HeadWeights(2, 1), HeadWeights(1, 0)], classes)
    saved = load(tmp_path / "fused.pt")
    specs = [network.spec for network in saved.networks]
    clip = snippets_for(specs[0], seed=7)
    alone = [PytorchEngine(network.eval(), 1).score(clip) for network in saved.networks]
    score = make_scorer(saved, "pytorch", [job_of(spec) for spec in specs])[0].score([clip] * 3)
    verbs = mean_logits([one.verb.numpy()[None] for one in alone], np.array([0.25, 0.5, 0.25]))
    nouns = mean_logits([one.noun.numpy()[None] for one in alone], np.array([0.75, 0.25, 0]))
    np.testing.assert_allclose(score.verb, verbs[0], atol=1e-4)
    np.testing.assert_allclose(score.noun, nouns[0], atol=1e-4)


@pytest.mark.slow
def test_where_one_network_falls_back_to_pytorch_all_do(tmp_path, monkeypatch):
    saved = saved_fusion(tmp_path)
    real = OpenvinoEngine.__init__

    def fails_for_flow(self, network, *args, **kwargs):
        if network.spec.modality is Modality.FLOW:
            raise RuntimeError("no such operation")
        real(self, network, *args, **kwargs)

    monkeypatch.setattr(OpenvinoEngine, "__init__", fails_for_flow)
    scorer, used = make_scorer(saved, "openvino", [job_of(network.spec) for network in saved.networks])
    assert [engine.name for engine in scorer.engines] == ["pytorch", "pytorch"]
    assert "no such operation" in used.fallback_reason


@pytest.mark.slow
def test_where_one_network_needs_float32_all_are_scored_in_it(tmp_path, monkeypatch):
    saved = saved_fusion(tmp_path)
    features = OpenvinoEngine.features

    def coarse_for_flow(self, views):
        found = features(self, views)
        return found.flip(-1) if self.precision == "bfloat16" and self.network.spec.modality is Modality.FLOW else found

    monkeypatch.setattr(OpenvinoEngine, "features", coarse_for_flow)
    monkeypatch.setattr(openvino, "_best_floating_point", lambda: "bfloat16")
    scorer, used = make_scorer(saved, "openvino", [job_of(network.spec) for network in saved.networks])
    assert [(engine.name, engine.precision) for engine in scorer.engines] == [("openvino", "float32")] * 2
    assert used.label == "openvino float32"
    assert "bfloat16 failed the parity check" in used.fallback_reason


def test_a_fusion_is_not_taken_for_one_network(tmp_path):
    with pytest.raises(Exception, match="a fusion of 2 networks"):
        _ = saved_fusion(tmp_path).network
