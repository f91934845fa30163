"""What a training minimises: the cross-entropies of clips, weighted, smoothed and mixed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from tasks.learn.consensus import Logits
from tasks.learn.data import NO_LABEL, Sample
from tasks.learn.losses import ClassWeights, CrossEntropies, balanced_weights
from tasks.learn.mixup import Mixup

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


BATCH = Sample(torch.rand(4, 2, 3), torch.tensor([0, 1, 2, 0]), torch.tensor([1, 0, 1, 1]))


def test_inputs_and_both_losses_are_mixed_by_one_share():
    mix = Mixup(0.4, seed=1).draw(epoch=2, batch_index=3, batch=BATCH)
    assert 0 < mix.share < 1
    mixed = mix.inputs(BATCH.inputs)
    for clip, partner in enumerate([3, 0, 1, 2]):
        torch.testing.assert_close(mixed[clip], mix.share * BATCH.inputs[clip] + (1 - mix.share) * BATCH.inputs[partner])
    logits = Logits(torch.randn(4, 5), torch.randn(4, 4))
    losses = mix.losses(CrossEntropies(), logits, BATCH)
    for found, answer, labels, num_classes in ((losses.verb, logits.verb, BATCH.verb, 5), (losses.noun, logits.noun, BATCH.noun, 4)):
        hot = functional.one_hot(labels, num_classes).float()
        target = mix.share * hot + (1 - mix.share) * hot.roll(1, 0)
        torch.testing.assert_close(found, functional.cross_entropy(answer, target, reduction="none"))


def test_shares_follow_from_seed_epoch_and_batch_and_are_beta_distributed():
    def shares(alpha: float, seed: int) -> list[float]:
        return [Mixup(alpha, seed).draw(epoch, index, BATCH).share for epoch in range(40) for index in range(25)]

    drawn = shares(0.4, 1)
    assert drawn == shares(0.4, 1)
    assert drawn != shares(0.4, 2)
    assert len(set(drawn)) == 1000
    for alpha, of_alpha in ((0.4, drawn), (2, shares(2, 1))):
        assert np.mean(of_alpha) == pytest.approx(0.5, abs=0.03)
        assert np.var(of_alpha) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_a_clip_that_only_fills_its_batch_is_nobodys_partner():
    filled = BATCH._replace(verb=torch.tensor([0, 1, 2, NO_LABEL]), noun=torch.tensor([1, 0, 1, NO_LABEL]))
    mix = Mixup(0.4, seed=1).draw(0, 0, filled)
    assert mix.partners.tolist() == [2, 0, 1, 3]
    alone = Sample(BATCH.inputs[:1], BATCH.verb[:1], BATCH.noun[:1])
    torch.testing.assert_close(Mixup(0.4, 1).draw(0, 0, alone).inputs(alone.inputs), alone.inputs)
