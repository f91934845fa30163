"""Every network of the family, with every input, on OpenVINO beside PyTorch; and several networks as one."""

import logging
import subprocess
import sys

import numpy as np
import pytest
import torch

from tasks.errors import BadCheckpoint
from tasks.learn.engines import openvino
from tasks.learn.engines.choice import check
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer, centre
from tasks.learn.inputs.crops import cut_views
from tasks.learn.networks.checkpoints import HeadWeights, Saved, load, save_fusion
from tasks.learn.networks.network import widen_heads
from tasks.learn.networks.spec import ClassNames
from tasks.logit_mean import mean_logits
from tasks.options import Family, Modality
from tests.learn.tiny import Bessel, network_of, scorer_of, snippets_of

pytestmark = pytest.mark.slow


PICTURES = [modality for modality in Modality if modality is not Modality.SOUND]
GRAPHS = [
    *((Family.TSN, {"modality": modality}) for modality in PICTURES),
    (Family.TSM, {}),
    (Family.TSN, {"backbone": "test_efficientnet"}),
    (Family.TSN, {"backbone": "vit_tiny_patch16_224"}),
]
"""Relations between segments are computed after the graph, which is that of TSN."""

MORE_GRAPHS = [
    *((Family.TSN, {"backbone": "bninception", "modality": modality}) for modality in PICTURES),
    *((Family.TSM, {"modality": modality}) for modality in PICTURES if modality is not Modality.RGB),
    (Family.TSN, {"backbone": "tf_efficientnet_lite0"}),
]


@pytest.mark.parametrize(("family", "changes"), [*GRAPHS, *(pytest.param(*graph, marks=pytest.mark.long) for graph in MORE_GRAPHS)])
def test_openvino_answers_as_pytorch_does_for_every_network_and_input(family, changes):
    network = network_of(family, **changes)
    reference, clip = PytorchEngine(prepare(network), 1), snippets_of(network.spec)
    engine = OpenvinoEngine(reference.network, 1, floating="float32")
    assert check(engine, reference, [clip]).failure is None
    assert engine.see(clip).shape == (1, 3, network.num_features)
    view = cut_views(clip, 1, network.spec.modality)[0]
    expected = reference.features([view])[0]
    assert (engine.features_in_float32(view) - expected).abs().max() <= 1e-4 * expected.abs().max()


@pytest.mark.parametrize("num_crops", [1, 10])
def test_of_several_networks_and_crops_the_centre_of_the_first_is_kept_as_one_vector(num_crops):
    networks = (network_of(), network_of(Family.TRN, modality=Modality.FLOW, seed=2))
    scorer = Scorer(tuple(PytorchEngine(prepare(network), num_crops) for network in networks), (HeadWeights(1, 3), HeadWeights(3, 1)))
    inputs = [snippets_of(engine.network.spec) for engine in scorer.engines]
    seen = centre(scorer.see(inputs))
    views = cut_views(inputs[0], num_crops, Modality.RGB)
    torch.testing.assert_close(seen, scorer.engines[0].features([views[8 if num_crops == 10 else 0]])[0].mean(dim=0))


@pytest.fixture
def fusion(tmp_path) -> Saved:
    """The second network knows more classes."""
    networks = [network_of(), widen_heads(network_of(Family.TRN, modality=Modality.FLOW, seed=2), 7, 6, seed=0)]
    classes = ClassNames(verbs=tuple("abcdefg"), nouns=tuple("uvwxyz"))
    save_fusion(tmp_path / "fused.pt", networks, [HeadWeights(1, 3), HeadWeights(3, 1)], classes)
    return load(tmp_path / "fused.pt")


@pytest.mark.parametrize("wanted", ["pytorch", "openvino"])
def test_a_fusion_answers_with_the_weighted_mean_of_its_networks(fusion, wanted):
    clips = [snippets_of(network.spec, seed=7) for network in fusion.networks]
    verbs, nouns = zip(*(PytorchEngine(net.eval(), 1).score(clip) for net, clip in zip(fusion.networks, clips, strict=True)), strict=True)
    scorer, used = scorer_of(fusion, wanted)
    score, tolerance = scorer.score(clips), used.tolerance or 1e-3
    for ours, logits, shares in ((score.verb, verbs, (0.25, 0.75)), (score.noun, nouns, (0.75, 0.25))):
        expected = mean_logits([own.numpy()[None] for own in logits], np.array(shares))[0]
        np.testing.assert_allclose(ours, expected, atol=tolerance)
    assert used.name == wanted
    with pytest.raises(BadCheckpoint, match="a fusion of 2 networks"):
        _ = fusion.network


def test_where_one_network_falls_back_to_pytorch_all_do(fusion, monkeypatch):
    real = OpenvinoEngine.__init__

    def fails_for_flow(self, network, *args, **kwargs):
        if network.spec.modality is Modality.FLOW:
            raise RuntimeError("no such operation")
        real(self, network, *args, **kwargs)

    monkeypatch.setattr(OpenvinoEngine, "__init__", fails_for_flow)
    scorer, used = scorer_of(fusion, "openvino")
    assert [engine.name for engine in scorer.engines] == ["pytorch", "pytorch"]
    assert "no such operation" in used.fallback_reason


def test_where_one_network_needs_float32_all_are_scored_in_it(fusion, monkeypatch):
    features = OpenvinoEngine.features

    def coarse_for_flow(self, views):
        seen = features(self, views)
        return seen.flip(-1) if self.precision == "bfloat16" and self.network.spec.modality is Modality.FLOW else seen

    monkeypatch.setattr(OpenvinoEngine, "features", coarse_for_flow)
    monkeypatch.setattr(openvino, "_best_floating_point", lambda: "bfloat16")
    scorer, used = scorer_of(fusion, "openvino")
    assert [(engine.name, engine.precision) for engine in scorer.engines] == [("openvino", "float32")] * 2
    assert used.label == "openvino float32"
    assert "bfloat16 failed the parity check" in used.fallback_reason


WITHOUT_A_WORD = """
import logging, socket
import numpy as np
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.engine import prepare
from tasks.learn.hardware import silenced
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec

def refuse(*_):
    raise AssertionError("a connection was opened")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
root = logging.getLogger()
handler = logging.NullHandler()
root.addHandler(handler)
root.setLevel(logging.INFO)
frames = np.zeros((2, 224, 224, 3), np.uint8)
OpenvinoEngine(prepare(Network(NetworkSpec(backbone="test_resnet", num_segments=2))), 1).features([frames])
with silenced():
    import nncf
assert (root.level, root.handlers, root.filters) == (logging.INFO, [handler], [])
assert logging.getLoggerClass() is logging.Logger
"""


class Words(torch.nn.Module):
    """Leaves torch, where tracing cannot follow."""

    def forward(self, images):
        return [str(images.shape)]


def test_each_view_keeps_its_own_features_whichever_stream_ends_first(outspoken_network):
    network = prepare(outspoken_network)
    views = [np.full((2, 224, 224, 3), 25 * k, np.uint8) for k in range(10)]
    expected, converted = PytorchEngine(network, 10).features(views), OpenvinoEngine(network, 10).features(views)
    assert torch.cdist(converted.flatten(1), expected.flatten(1)).argmin(1).tolist() == list(range(10))


def test_nothing_is_sent_printed_or_done_to_other_peoples_loggers():
    done = subprocess.run([sys.executable, "-c", WITHOUT_A_WORD], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("unconvertible", [Bessel(), Words()], ids=["an operation that OpenVINO lacks", "no tensor comes out"])
def test_what_cannot_be_converted_raises_one_error_and_leaves_the_root_logger_as_it_was(tiny_network, unconvertible):
    tiny_network.backbone = torch.nn.Sequential(tiny_network.backbone, unconvertible)
    level = logging.getLogger().level
    engine = OpenvinoEngine(tiny_network.eval(), 1)
    with pytest.raises(RuntimeError, match="not converted"):
        engine.see(snippets_of(tiny_network.spec))
    assert logging.getLogger().level == level
