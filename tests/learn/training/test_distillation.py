"""A student comes nearer to its teacher on labelled and unlabelled clips, and nothing else."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.networks.heads import Logits
from tasks.learn.training.distillation import DistillationLoss, divergence
from tasks.learn.training.fit import fit
from tests.learn.tiny import HEADS, job, state_of, tiny

NUM_CLIPS = 3
logits = st.lists(st.lists(st.floats(-20, 20, width=32), min_size=5, max_size=5), min_size=2, max_size=2).map(torch.tensor)


@given(logits, st.floats(-5, 5))
def test_equal_answers_do_not_differ_and_others_do_by_more_than_nothing(answers, shift):
    assert divergence(answers + shift, answers).abs().max() < 1e-3
    assert (divergence(answers.flip(1), answers) >= -1e-3).all()


def loss_of(teaching, has_objects=True):
    """Make the loss of a student of three clips, the second without a label.

    The labels are two of five verbs and two of four nouns.
    """
    clips = [CachedClip(f"{number}.npy", *label) for number, label in enumerate([(0, 1), (NO_LABEL, NO_LABEL), (3, 2)])]
    return DistillationLoss(teaching, clips, tiny(), has_objects=has_objects)


def taught(seed=0):
    drawn = torch.Generator().manual_seed(seed)
    return Logits(*(torch.randn(NUM_CLIPS, size, generator=drawn) for size in (5, 4)))


def of_batch(loss, answers, clips=(0, 1, 2)):
    return loss(answers, torch.tensor(clips))


def test_each_clip_has_a_gradient_and_one_that_does_not_count_has_none():
    answers = Logits(torch.zeros(3, 5, requires_grad=True), torch.zeros(3, 4, requires_grad=True))
    of_batch(loss_of(taught()), answers, (0, 1, -1)).sum().backward()
    for part in answers:
        assert [bool(own.any()) for own in part.grad] == [True, True, False]


def test_nouns_count_only_where_there_are_objects():
    answers, teaching = Logits(torch.zeros(3, 5), torch.zeros(3, 4)), taught()
    both, of_verbs = (of_batch(loss_of(teaching, has_objects=has), answers) for has in (True, False))
    assert (both > of_verbs).all()


@given(st.floats(-20, 20))
def test_the_teachers_answers_of_classes_without_a_label_do_not_count(other):
    answers, teaching = Logits(torch.zeros(3, 5), torch.zeros(3, 4)), taught()
    verb, noun = (own.clone() for own in teaching)
    verb[:, [1, 2, 4]], noun[:, [0, 3]] = other, other
    assert torch.equal(*(of_batch(loss_of(own), answers) for own in (teaching, Logits(verb, noun))))


@pytest.mark.parametrize("choice", [{}, HEADS], ids=["all", "heads"])
def test_a_clip_without_a_label_teaches_the_answer_of_the_teacher(clips, tmp_path, choice):
    def trained(name, unlabelled):
        """Train one step on three labelled clips and one of which the teacher says this."""
        made = job(tmp_path / name, clips, epochs=1, batch_size=4, optimizer="sgd", class_weights="balanced", label_smoothing=0.1, **choice)
        own = [*made.train[:3], replace(made.train[3], verb=NO_LABEL, noun=NO_LABEL)]
        verb, noun = torch.zeros(4, 5), torch.zeros(4, 4)
        verb[3, unlabelled] = 10
        return fit(replace(made, train=own, teaching=Logits(verb, noun)))

    bias = "head.fc_verb.bias"
    first, second = (state_of(trained(str(said), said))[bias] for said in (0, 1))
    assert first[0] > second[0]
    assert first[1] < second[1]
