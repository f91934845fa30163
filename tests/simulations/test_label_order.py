"""The curve of accuracy over labels, on generated features."""

from functools import partial

import numpy as np
import pytest

from tests.simulations import label_order
from tests.simulations.label_order import ORDERS, Clips, curve, table
from tests.simulations.wrong_labels import few, measured, row

pytestmark = pytest.mark.slow

SEEDS = (1, 2)


def generated():
    """Make twelve videos of six clips, in which a few dimensions tell verb and noun."""
    rng = np.random.default_rng(0)
    films, verbs, nouns = np.repeat(np.arange(12), 6), rng.integers(0, 3, 72), rng.integers(0, 2, 72)
    features = rng.normal(0, 1.0, (72, 16)) + np.hstack([3 * np.eye(8)[verbs], 3 * np.eye(8)[nouns]])
    return Clips(features, films, verbs, nouns)


@pytest.fixture(scope="module")
def draw():
    """Draws a curve."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_order, "NUM_TEST_FILMS", 4)
        patch.setattr(label_order, "LAST", 20)
        yield partial(curve, generated())


@pytest.fixture(scope="module")
def curves(draw):
    return {order: np.array([draw(order, seed) for seed in SEEDS]) for order in ORDERS}


def test_more_labels_name_more_actions_and_the_same_seed_the_same_clips(draw, curves):
    assert all((tops[:, -1] > tops[:, 0] + 0.1).all() for tops in curves.values())
    assert draw("model", SEEDS[0]) == curves["model"][0].tolist()


def test_both_orders_begin_with_the_same_labels_so_that_the_table_has_paired_differences(curves):
    assert curves["random"][:, 0].tolist() == curves["model"][:, 0].tolist()
    lines = table(curves).splitlines()
    assert len(lines) == 2 + 2
    assert lines[2].endswith("| +0 [+0, +0] |")


def test_planted_wrong_labels_are_found_and_mending_them_helps(monkeypatch):
    monkeypatch.setattr("tasks.learn.training.linear_probe.STRENGTHS", (0.1,))
    clips = generated()
    precision, recall, before, after = measured(clips, SEEDS[0])
    assert min(precision, recall) > 0.5
    assert after > before
    assert len(np.unique(few(clips, 0).films)) == 12
    assert row("x", [(0.5, np.nan), (1.0, 0.25)], 0.9) == "| x | 75 [50, 100] | 25 [25, 25] | 90 |"
