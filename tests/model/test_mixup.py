import numpy as np
import pytest
import torch
from torch.nn import functional

from tasks.model.consensus import Logits
from tasks.model.data import NO_LABEL, Sample
from tasks.model.losses import CrossEntropies
from tasks.model.mixup import Mixup

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
