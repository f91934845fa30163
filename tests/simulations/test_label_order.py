"""The curve of accuracy over labels, on generated features."""

import numpy as np
import pytest

from tests.simulations import label_order
from tests.simulations.label_order import ORDERS, Clips, curve, table

pytestmark = pytest.mark.slow


@pytest.fixture
def clips(monkeypatch):
    """Twelve films of six clips, in which a few dimensions tell verb and noun."""
    monkeypatch.setattr(label_order, "NUM_TEST_FILMS", 4)
    monkeypatch.setattr(label_order, "LAST", 40)
    rng = np.random.default_rng(0)
    films, verbs, nouns = np.repeat(np.arange(12), 6), rng.integers(0, 3, 72), rng.integers(0, 2, 72)
    features = rng.normal(0, 1.0, (72, 16)) + np.hstack([3 * np.eye(8)[verbs], 3 * np.eye(8)[nouns]])
    return Clips(features, films, verbs, nouns)


@pytest.mark.parametrize("order", ORDERS)
def test_more_labels_name_more_actions_and_the_same_seed_the_same_clips(clips, order):
    found = curve(clips, order, seed=1)
    assert len(found) == 4
    assert found[-1] > found[0] + 0.1
    assert curve(clips, order, seed=1) == found


def test_both_orders_begin_with_the_same_labels(clips):
    assert curve(clips, "random", seed=2)[0] == curve(clips, "model", seed=2)[0]


def test_the_table_has_the_paired_difference(clips):
    curves = {order: np.array([curve(clips, order, seed) for seed in range(3)]) for order in ORDERS}
    lines = table(curves).splitlines()
    assert len(lines) == 2 + 4
    assert lines[2].endswith("| +0 [+0, +0] |")
