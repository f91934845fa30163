from itertools import combinations

import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.engines import choice, openvino
from tasks.learn.engines.choice import ABSOLUTE, OPENVINO_FROM_CLIPS, ScoringJob, choose, common_label, make_engine, spread
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import CudaEngine, PytorchEngine
from tests.learn.tiny import Bessel, snippets_of, tiny

pytestmark = pytest.mark.slow

CLIPS = [snippets_of(tiny(), seed) for seed in range(3)]


def job(**changes) -> ScoringJob:
    return ScoringJob(**{"device": "cpu", "num_clips": 100, "num_crops": 1, "checked": lambda: CLIPS[:2]} | changes)


@pytest.mark.parametrize(
    ("device", "num_clips", "lacks", "expected"),
    [
        ("cuda", 1, "", "cuda"),
        ("cuda", 1000, "", "cuda"),
        ("cpu", OPENVINO_FROM_CLIPS, "", "openvino"),
        ("cpu", OPENVINO_FROM_CLIPS - 1, "", "pytorch"),
        ("cpu", 1000, "openvino", "pytorch"),
    ],
)
def test_auto_takes_what_is_quickest_on_this_machine_for_so_many_clips(monkeypatch, device, num_clips, lacks, expected):
    monkeypatch.setattr(choice, "find_spec", lambda name: None if name == lacks else object())
    assert choose("auto", device, num_clips) == expected


FLOATING = ("openvino bfloat16", "openvino float32", "pytorch float32", "cuda bfloat16")


@pytest.mark.parametrize("scored_by", [some for number in range(1, 5) for some in combinations(FLOATING, number)], ids=" + ".join)
def test_what_engines_scored_another_one_can_score_which_is_no_coarser(scored_by):
    labels = set(scored_by)
    expected = "openvino float32" if labels == set(FLOATING[:2]) else next(iter(labels)) if len(labels) == 1 else "pytorch float32"
    found = common_label(labels)
    assert found == expected
    assert common_label({found, *labels}) == found, "nothing has to change again"


@pytest.mark.parametrize(
    ("wanted", "missing", "remedy"), [("cuda", "", "RETAKE_DEVICE=auto"), ("openvino", "openvino", "pip install openvino")]
)
def test_an_engine_that_was_asked_for_and_cannot_be_had_is_refused_with_the_remedy(monkeypatch, wanted, missing, remedy):
    monkeypatch.setattr(choice, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(BadConfiguration, match=remedy):
        choose(wanted, "cpu", 1000)


def test_the_cuda_engine_wants_a_network_on_a_gpu(tiny_network):
    with pytest.raises(BadConfiguration, match="not on a GPU"):
        CudaEngine(prepare(tiny_network), 10, 100)


def test_an_engine_that_passes_is_taken_and_leaves_the_network_in_float32_and_the_result_says_how_close_it_was(outspoken_network):
    engine, used = make_engine(outspoken_network, "openvino", job())
    assert isinstance(engine, OpenvinoEngine)
    assert used.label in ("openvino bfloat16", "openvino float32")
    assert used.num_checked_clips == 2
    assert 0 < used.max_difference <= used.tolerance
    assert used.fallback_reason is None
    assert {parameter.dtype for parameter in engine.network.parameters()} == {torch.float32}


def test_pytorch_needs_no_check(tiny_network):
    _, used = make_engine(tiny_network, "pytorch", job(checked=lambda: pytest.fail("no clip is needed")))
    assert (used.label, used.num_checked_clips, used.max_difference, used.tolerance) == ("pytorch float32", 0, None, None)


@pytest.mark.parametrize("coarse", [("bfloat16",), ("bfloat16", "float32")], ids=" and ".join)
def test_where_bfloat16_is_too_coarse_openvino_goes_on_in_float32_and_pytorch_where_that_is_too(
    outspoken_network, monkeypatch, caplog, coarse
):
    features = OpenvinoEngine.features

    def features_of(self, views):
        return features(self, views).flip(-1) if self.precision in coarse else features(self, views)

    monkeypatch.setattr(OpenvinoEngine, "features", features_of)
    monkeypatch.setattr(openvino, "_best_floating_point", lambda: "bfloat16")
    engine, used = make_engine(outspoken_network, "openvino", job())
    reasons = [part.partition(" failed the parity check")[0] for part in used.fallback_reason.split("; ") if "failed the parity" in part]
    assert reasons == [f"openvino {precision}" for precision in coarse]
    if len(coarse) == 1:
        assert used.label == "openvino float32"
        assert used.max_difference <= used.tolerance == ABSOLUTE
        expected = PytorchEngine(engine.network, 1).score(CLIPS[2])
        torch.testing.assert_close(engine.score(CLIPS[2]).verb, expected.verb, atol=ABSOLUTE, rtol=0)
    else:
        assert used.label == "pytorch float32"
        assert [record.levelname for record in caplog.records if "falling back" in record.message] == ["WARNING"]


def test_a_network_that_does_not_fit_into_gpu_memory_does_not_fall_back_to_an_engine_that_needs_more(tiny_network, monkeypatch):
    class TooLarge(PytorchEngine):
        def _run(self, images):
            raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(choice, "_build", lambda kind, network, job: TooLarge(network, job.num_crops))
    monkeypatch.setattr(choice, "prepare", lambda network, device: prepare(network))
    with pytest.raises(BadConfiguration, match=r"^the views of a clip that TSN .* sees at once do not fit"):
        make_engine(tiny_network, "cuda", job(device="cuda"))


def test_a_network_that_cannot_be_converted_is_scored_by_pytorch(outspoken_network):
    outspoken_network.backbone = torch.nn.Sequential(outspoken_network.backbone, Bessel())
    engine, used = make_engine(outspoken_network, "auto", job())
    assert used.label == "pytorch float32"
    assert used.fallback_reason.startswith("openvino cannot run this network: not converted: ")
    assert len(used.fallback_reason) < 400
    assert engine.score(CLIPS[0]).verb.shape == (5,)


@pytest.mark.parametrize(
    ("num_views", "lacks", "expected"),
    [(30, "", "openvino"), (29, "", "pytorch"), (30, "a right graph", "pytorch"), (30, "a conversion", "pytorch")],
)
def test_features_of_many_views_are_computed_by_openvino_and_equal_pytorch_s(tiny_network, monkeypatch, caplog, num_views, lacks, expected):
    if lacks == "a conversion":
        tiny_network.backbone = torch.nn.Sequential(tiny_network.backbone, Bessel())
    elif lacks:
        monkeypatch.setattr(OpenvinoEngine, "features", lambda self, views: 1.01 * PytorchEngine(self.network, 1).features(views))
    network = prepare(tiny_network)
    engine = choice.float32_engine(network, num_views)
    assert engine.name == expected
    assert ("features are computed by PyTorch" in caplog.text) is bool(lacks)
    views = [snippets_of(tiny(), seed)[:, :224, :224] for seed in range(5)]
    seen = dict(engine.stream(enumerate(views)))
    assert sorted(seen) == list(range(5))
    for number, view in enumerate(views):
        torch.testing.assert_close(seen[number], PytorchEngine(network, 1).features([view])[0], rtol=1e-3, atol=1e-4)


def test_spread_items_are_the_same_ones_every_time():
    assert spread(range(100), 3) == [0, 33, 66]
    assert spread([5, 6], 3) == [5, 6]
