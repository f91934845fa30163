"""A student comes nearer to its teacher on labelled and unlabelled clips, and nothing else."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.networks.heads import Logits
from tasks.learn.training.distillation import DistillationLoss, Teaching, divergence
from tasks.learn.training.fit import fit
from tests.learn.tiny import HEADS, job, state_of, tiny

NUM_CLIPS, NUM_FEATURES = 3, 7
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
    return DistillationLoss(teaching, clips, tiny(), num_features=4, seed=0, has_objects=has_objects)


def taught(seed=0):
    drawn = torch.Generator().manual_seed(seed)
    verb, noun, features = (torch.randn(NUM_CLIPS, size, generator=drawn) for size in (5, 4, NUM_FEATURES))
    return Teaching(Logits(verb, noun), features)


def of_batch(loss, answers, features, clips=(0, 1, 2)):
    return loss(answers, features, torch.tensor(clips))


def test_each_clip_has_a_gradient_from_logits_and_features_and_one_that_does_not_count_has_none():
    answers = Logits(torch.zeros(3, 5, requires_grad=True), torch.zeros(3, 4, requires_grad=True))
    features = torch.ones(3, 2, 4, requires_grad=True)
    of_batch(loss_of(taught()), answers, features, (0, 1, -1)).sum().backward()
    for part in (answers.verb, answers.noun, features):
        assert [bool(own.any()) for own in part.grad] == [True, True, False]


def test_nouns_count_only_where_there_are_objects_and_features_only_as_a_hint():
    answers, features, teaching = Logits(torch.zeros(3, 5), torch.zeros(3, 4)), torch.ones(3, 2, 4), taught()
    plain = teaching._replace(features=None)
    all_parts, without_hint, of_verbs = (
        of_batch(loss, answers, features) for loss in (loss_of(teaching), loss_of(plain), loss_of(plain, has_objects=False))
    )
    assert (all_parts > without_hint).all()
    assert (without_hint > of_verbs).all()
    assert not list(loss_of(plain).parameters())


@given(st.floats(-20, 20))
def test_the_teachers_answers_of_classes_without_a_label_do_not_count(other):
    answers, teaching = Logits(torch.zeros(3, 5), torch.zeros(3, 4)), taught()
    verb, noun = (own.clone() for own in teaching.logits)
    verb[:, [1, 2, 4]], noun[:, [0, 3]] = other, other
    changed = teaching._replace(logits=Logits(verb, noun))
    assert torch.equal(*(of_batch(loss_of(own), answers, torch.ones(3, 2, 4)) for own in (teaching, changed)))


@pytest.mark.parametrize("choice", [{}, HEADS], ids=["all", "heads"])
def test_a_clip_without_a_label_teaches_the_answer_of_the_teacher(clips, tmp_path, choice):
    def trained(name, unlabelled):
        """Train one step on three labelled clips and one of which the teacher says this."""
        made = job(tmp_path / name, clips, epochs=1, batch_size=4, optimizer="sgd", class_weights="balanced", label_smoothing=0.1, **choice)
        own = [*made.train[:3], replace(made.train[3], verb=NO_LABEL, noun=NO_LABEL)]
        verb, noun = torch.zeros(4, 5), torch.zeros(4, 4)
        verb[3, unlabelled] = 10
        return fit(replace(made, train=own, teaching=Teaching(Logits(verb, noun), torch.eye(4))))

    bias = "head.fc_verb.bias"
    first, second = (state_of(trained(str(said), said))[bias] for said in (0, 1))
    assert first[0] > second[0]
    assert first[1] < second[1]
