import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.model.consensus import Logits
from tasks.model.data import NO_LABEL
from tasks.model.losses import ClassWeights, CrossEntropies, balanced_weights

LOGITS = Logits(torch.tensor([[2.0, 0, 0, 0], [0, 0, 0, 0]]), torch.tensor([[0.0, 1.0], [0, 0]]))
VERB, NOUN = torch.tensor([0, 1]), torch.tensor([1, NO_LABEL])


def test_smoothing_gives_every_class_its_share():
    losses = CrossEntropies(label_smoothing=0.2)(LOGITS, VERB, NOUN)
    log_sum = math.log(math.exp(2) + 3)
    expected = 0.8 * (log_sum - 2) + 0.2 * (log_sum - 2 / 4)
    assert losses.verb.tolist() == pytest.approx([expected, math.log(4)])
    assert CrossEntropies()(LOGITS, VERB, NOUN).verb.tolist() == pytest.approx([log_sum - 2, math.log(4)])
    assert losses.noun[1] == 0


@pytest.mark.parametrize("label_smoothing", [0, 0.3])
def test_weights_count_a_clip_as_its_class_whatever_the_others(label_smoothing):
    plain = CrossEntropies(label_smoothing)(LOGITS, VERB, NOUN)
    weights = ClassWeights(torch.tensor([0.5, 3.0, 9.0, 9.0]), torch.tensor([9.0, 2.0]))
    weighted = CrossEntropies(label_smoothing, weights)(LOGITS, VERB, NOUN)
    torch.testing.assert_close(weighted.verb, plain.verb * torch.tensor([0.5, 3.0]))
    torch.testing.assert_close(weighted.noun, plain.noun * torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(weighted.total, weighted.verb + weighted.noun)


def test_without_objects_the_verb_alone_is_learned():
    verb, noun = (logits.clone().requires_grad_() for logits in LOGITS)
    losses = CrossEntropies(label_smoothing=0.2, has_objects=False)(Logits(verb, noun), VERB, torch.tensor([0, 0]))
    losses.total.sum().backward()
    torch.testing.assert_close(losses.total, CrossEntropies(label_smoothing=0.2)(LOGITS, VERB, NOUN).verb)
    assert verb.grad.any()
    assert noun.grad.tolist() == [[0, 0], [0, 0]]


def test_balanced_weights_are_as_known():
    weights = balanced_weights(torch.tensor([0, 0, 0, 3]), 5)
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 0, 0, 4 / 2, 0])


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50))
def test_balanced_weights_are_one_on_the_mean_and_alike_for_every_class_in_sum(labels):
    weights = balanced_weights(torch.tensor(labels), 7)[labels]
    assert float(weights.mean()) == pytest.approx(1, rel=1e-5)
    sums = {label: float(sum(w for w, other in zip(weights, labels, strict=True) if other == label)) for label in labels}
    assert list(sums.values()) == pytest.approx([len(labels) / len(sums)] * len(sums), rel=1e-5)
