"""Written models answer as the registered network does with one crop."""

import sys
from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import pytest
import torch
from PIL import Image

from tasks.data.video.frames import RESAMPLING, scaled_size
from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import example_view
from tasks.learn.engines.graph import OPSET, Graph, make_graph, write_onnx, write_openvino
from tasks.learn.engines.model_files import answerer, quantise
from tasks.learn.engines.openvino import openvino_core
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.inputs.snippets import joined
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network, widen_heads
from tasks.learn.networks.spec import SHORT_SIDE, NetworkSpec
from tasks.options import Consensus, Family, Modality
from tests.learn.tiny import CLASSES, TINY_VIDEO, Bessel, network_of, outspoken, tiny_video_network

pytestmark = pytest.mark.slow

SOUND = {"backbone": "log-mel", "modality": Modality.SOUND}
VIDEO = {"family": Family.VIDEO, "backbone": TINY_VIDEO.name}
DIFFERENCE = {"modality": Modality.RGB_DIFFERENCE}
KINDS: dict[str, Sequence[dict]] = {
    "TSN": [{}],
    "TSN, bicubic": [{"interpolation": "bicubic"}],
    "TRN on differences": [{"family": Family.TRN, **DIFFERENCE}],
    "MTRN on flow": [{"family": Family.MTRN, "modality": Modality.FLOW}],
    "TSM": [{"family": Family.TSM}],
    "3D": [VIDEO],
    "tcn": [{"consensus": Consensus.TCN}],
    "sound": [SOUND],
    "fusion": [{"family": Family.TRN, **DIFFERENCE}, SOUND, {"family": Family.TRN, **DIFFERENCE, "seed": 2}],
}
"""Every family, head and input, and networks whose logits are averaged."""

QUICK = ("fusion", "joined")
"""Those that show most; tracing takes seconds each."""

WEIGHTS = (HeadWeights(1, 2), HeadWeights(2, 1), HeadWeights(3, 0))


@pytest.fixture(scope="module", autouse=True)
def tiny_video() -> Iterator[None]:
    with tiny_video_network():
        yield


def saved_of(kind: str) -> Saved:
    networks = [network_of(**choice) for choice in KINDS[kind]]
    if len(networks) > 1:
        networks[-1] = widen_heads(networks[-1], 7, 6, seed=0)
    return Saved(tuple(networks), WEIGHTS[: len(networks)], CLASSES)


def joined_of() -> Saved:
    networks = (network_of(**VIDEO), network_of(**SOUND, num_segments=4))
    sizes = tuple(network.num_features for network in networks)
    joint = Network(NetworkSpec(backbone="joined", joined=sizes, num_segments=2, num_verbs=5, num_nouns=4), seed=5).eval()
    joint.backbone.scale.fill_(0.5)
    return Saved(networks, (HeadWeights(1, 1),) * 2, CLASSES, outspoken(joint))


def clip_of(spec: NetworkSpec, seed: int, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """What the graph and what the engine takes of one clip; every third is silent."""
    rng = np.random.default_rng(seed)
    if spec.sound:
        heard = example_view(spec).numpy() * (seed % 3 > 0)
        return heard, heard
    height, width = size
    if spec.flow:
        fields = rng.integers(0, 256, (spec.num_segments, height, width, 10), dtype=np.uint8)
        return fields, fields
    drawn = [Image.fromarray(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8)).resize((width, height)) for _ in range(spec.num_frames)]
    cached = [image.resize(scaled_size(width, height, SHORT_SIDE), RESAMPLING[spec.interpolation]) for image in drawn]
    return np.stack(drawn), joined(np.stack(cached), spec)


def answers_of(saved: Saved, graph: Graph, size=(290, 387)):
    """What the written model answers to five clips, and what PyTorch does."""
    clips = [[clip_of(spec, seed, size) for spec in graph.specs] for seed in range(5)]
    inputs = [{given.name: own for given, (own, _) in zip(graph.inputs, clip, strict=True)} for clip in clips]
    scorer = Scorer(tuple(PytorchEngine(network, 1) for network in saved.networks), saved.weights, saved.joint)
    expected = [scorer.score([own for _, own in clip]) for clip in clips]
    return inputs, expected


def assert_alike(outputs, expected, tolerance):
    for own, logits in zip(outputs, expected, strict=True):
        for head, value, degrees in zip(("verb", "noun"), logits, (2.0, 0.5), strict=True):
            np.testing.assert_allclose(own[f"{head}_logits"], value, atol=tolerance * float(value.std()))
            np.testing.assert_allclose(own[f"{head}_probabilities"], (value / degrees).softmax(0), atol=tolerance)


@pytest.mark.parametrize("kind", [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.long) for kind in (*KINDS, "joined")])
def test_an_onnx_file_answers_as_pytorch_for_any_batch_and_says_what_it_is(kind, tmp_path):
    saved = joined_of() if kind == "joined" else saved_of(kind)
    graph = make_graph(saved, 2.0, 0.5)
    write_onnx(graph, tmp_path / "model.onnx", "fp32")
    inputs, expected = answers_of(saved, graph, (256, 341) if graph.inputs[0].kind == "flow" else (290, 387))
    answer = answerer(tmp_path / "model.onnx")
    for batch_size in (1, 2, 5):
        outputs = [own for start in range(0, 5, batch_size) for own in answer(inputs[start : start + batch_size])]
        assert_alike(outputs, expected, 2e-3)
    assert tuple(outputs[0]) == graph.outputs
    model = onnx.load(tmp_path / "model.onnx")
    assert [entry.version for entry in model.opset_import if not entry.domain] == [OPSET]


@pytest.mark.parametrize("suffix", [pytest.param(".onnx", marks=pytest.mark.long), ".xml"])
def test_int8_leaves_crops_as_they_are_and_says_which_clips_it_costs(suffix, tmp_path):
    # One with depthwise convolutions, whose weights are reshaped.
    saved = Saved((network_of(backbone="test_efficientnet"),), WEIGHTS[:1], CLASSES)
    graph, path = make_graph(saved, 2.0, 0.5), tmp_path / f"model{suffix}"
    (write_onnx if suffix == ".onnx" else write_openvino)(graph, path, "fp32")
    inputs, expected = answers_of(saved, graph)
    assert_alike(answerer(path)(inputs), expected, 2e-3)
    best = [int(logits.verb.argmax()) for logits in expected]
    result = quantise(path, inputs[:2], inputs, lambda own: [o["verb_logits"].argmax() == b for o, b in zip(own, best, strict=True)], 1)
    assert result.right_in_float == (True,) * 5
    assert 0 == result.num_reverted < result.num_quantisers
    if suffix == ".xml":
        model = openvino_core().read_model(path)
        depthwise = [node for node in model.get_ops() if node.get_type_name() == "GroupConvolution"]
        assert {node.input_value(1).get_node().get_type_name() for node in depthwise} == {"Multiply"}
    outputs = answerer(path)(inputs)
    assert tuple(o["verb_logits"].argmax() == b for o, b in zip(outputs, best, strict=True)) == result.right_in_int8
    for own, logits in zip(outputs, expected, strict=True):
        assert 0 < abs(own["verb_logits"] - logits.verb.numpy()).max() < 0.75 * logits.verb.std()


@pytest.mark.long
def test_parts_are_taken_back_from_int8_until_it_loses_no_more_than_it_may(tmp_path):
    graph, path = make_graph(saved_of("TSN"), 2.0, 0.5), tmp_path / "model.xml"
    write_openvino(graph, path, "fp32")
    inputs = [{"frames": clip_of(graph.specs[0], seed, (256, 341))[0]} for seed in range(4)]
    expected = answerer(path)(inputs)

    def correct(own):
        return [abs(o["verb_logits"] - e["verb_logits"]).max() < 0.25 * e["verb_logits"].std() for o, e in zip(own, expected, strict=True)]

    # Ranges of darker frames are too small for these.
    result = quantise(path, [{"frames": clip["frames"] // 2} for clip in inputs], inputs, correct, 0.25)
    assert 0 < result.num_reverted < result.num_quantisers
    assert sum(result.right_in_int8) >= 3
    assert tuple(correct(answerer(path)(inputs))) == result.right_in_int8


def test_what_cannot_be_written_is_refused_with_its_name_and_a_remedy(tmp_path):
    saved = saved_of("sound")
    graph = make_graph(saved, 1, 1)
    with pytest.raises(BadConfiguration, match=r"precision fp16: .*or format openvino"):
        write_onnx(graph, tmp_path / "model.onnx", "fp16")
    saved.network.head = torch.nn.Sequential(Bessel(), saved.network.head)
    with pytest.raises(BadConfiguration, match=r"TSN log-mel sound, 3 segments: cannot be exported .*choose another"):
        write_openvino(graph, tmp_path / "model.xml", "fp32")


@pytest.mark.parametrize(("num_calibrating", "num_validating"), [(0, 1), (1, 0)])
def test_int8_without_clips_is_refused_before_any_work(num_calibrating, num_validating, tmp_path):
    with pytest.raises(BadConfiguration, match="int8 takes two training clips or more"):
        quantise(tmp_path / "none.onnx", [{}] * num_calibrating, [{}] * num_validating, lambda _: [], 1)


def test_int8_without_nncf_names_it_and_the_remedy_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(BadConfiguration, match=r"needs the package nncf, .*; choose fp32 or fp16, or export there"):
        quantise(tmp_path / "none.onnx", [{}], [{}], lambda _: [], 1)
