import numpy as np
import pytest
import torch

from tasks.learn.engines.choice import check, compare_head
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.networks.network import Network
from tests.learn.tiny import tiny

EXPECTED = torch.linspace(-3, 3, 21).repeat(2, 1)


def off_by(share_of_std):
    """Logits of which one, not the best, differs by so many standard deviations."""
    logits = EXPECTED.clone()
    logits[1, 0] += share_of_std * EXPECTED[0].std()
    return logits


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_tolerance_of_rounded_numbers_is_a_share_of_what_logits_vary_by_and_that_of_float32_absolute(precision):
    assert compare_head("verb", off_by(0.2475), EXPECTED, precision).failure is None
    assert "a verb logit differs by" in compare_head("verb", off_by(0.2525), EXPECTED, precision).failure
    assert compare_head("noun", EXPECTED + 0.0009, EXPECTED, "float32").failure is None
    assert "tolerance 0.001" in compare_head("noun", EXPECTED + 0.0011, EXPECTED, "float32").failure
    assert compare_head("verb", off_by(0.2), EXPECTED, precision).max_difference == pytest.approx(0.2 * float(EXPECTED[0].std()))


def test_the_best_class_is_looked_for_among_those_that_were_trained():
    """Two untrained classes at the top change places; a class that a head lacks changes nothing."""
    expected = EXPECTED.clone()
    logits = expected.clone()
    expected[0, 19:] += torch.tensor([-0.24, 0.24])
    logits[0, 19:] += torch.tensor([0.06, -0.06]) + torch.tensor([0.1, -0.1])
    assert compare_head("verb", logits, expected, "bfloat16").failure == "the best verb differs for 1 of 2 clips"
    assert compare_head("verb", logits, expected, "bfloat16", (3, 7, 19, 400)).failure is None
    assert compare_head("verb", logits, expected, "bfloat16", (400,)).failure == "the best verb differs for 1 of 2 clips"


@pytest.mark.parametrize(
    ("margin", "failure"), [(0.01, None), (0.44, None), (0.48, "the best verb differs for 1 of 2 clips")], ids=["tie", "within", "clear"]
)
def test_a_best_class_may_be_another_one_only_where_both_lie_within_the_tolerance(margin, failure):
    """Which is 0.46 here."""
    expected = EXPECTED.clone()
    expected[:, 19] = expected[:, 20] - margin
    logits = expected.clone()
    logits[0, 19:] += torch.tensor([0.3, -0.3])
    assert compare_head("verb", logits, expected, "bfloat16").failure == failure


@pytest.mark.parametrize("broken", [torch.nan, torch.inf])
def test_logits_that_are_not_finite_never_pass(broken):
    logits = EXPECTED.clone()
    logits[0, 3] = broken
    assert compare_head("verb", logits, EXPECTED, "bfloat16").failure
    assert compare_head("verb", logits, logits, "bfloat16").failure


@pytest.mark.slow
def test_a_wrong_graph_does_not_hide_behind_the_tolerance_of_rounding(outspoken_network, monkeypatch):
    network = prepare(outspoken_network)
    engine, clips = OpenvinoEngine(network, 10), np.zeros((1, 2, 256, 300, 3), np.uint8)
    assert check(engine, PytorchEngine(network, 10), clips).failure is None
    exact = engine.features_in_float32
    monkeypatch.setattr(engine, "features_in_float32", lambda view: exact(view) * 1.01)
    assert "converted graph differs by 0.01 " in check(engine, PytorchEngine(network, 10), clips).failure


@pytest.mark.slow
def test_a_transformer_that_takes_images_of_another_size_than_its_weights_passes():
    network = prepare(Network(tiny(backbone="test_vit"), seed=1))
    noise = np.random.default_rng(0).integers(0, 256, (1, 2, 256, 300, 3), np.uint8)
    assert check(OpenvinoEngine(network, 1, floating="float32"), PytorchEngine(network, 1), noise).failure is None
