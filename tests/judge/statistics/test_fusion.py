from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from tasks.errors import BadInput
from tasks.judge.statistics.fusion import best_loss, choose_weights, fuse
from tasks.judge.statistics.scoring import ScoredClips
from tasks.logit_mean import mean_logits

TOLERANCE = 2e-3
NAMES = [("a", "TSN"), ("b", "TRN")]


def answers(rng, classes, num_classes, knowledge, scale):
    """Logits that know the class with so much certainty, in a scale of their own."""
    noise = rng.normal(size=(len(classes), num_classes))
    noise[np.arange(len(classes)), classes] += knowledge
    return (scale * noise).astype(np.float32)


@st.composite
def heads(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    num_clips, num_classes = draw(st.integers(1, 60)), draw(st.integers(2, 12))
    classes = rng.integers(num_classes, size=num_clips)
    kinds = draw(st.lists(st.tuples(st.floats(-1, 4), st.floats(-4, 1)), min_size=2, max_size=4))
    return [answers(rng, classes, num_classes, knowledge, 10**magnitude) for knowledge, magnitude in kinds], classes


@settings(max_examples=25)
@given(heads())
def test_weights_are_shares_and_no_network_alone_nor_all_alike_would_lose_less(head):
    logits, classes = head
    choice = choose_weights(logits, classes)
    assert choice.weights.min() >= 0
    assert choice.weights.sum() == pytest.approx(1)
    equal = np.full(len(logits), 1 / len(logits))
    assert choice.loss <= best_loss(mean_logits(logits, equal), classes) + TOLERANCE
    for network in logits:
        assert choice.loss <= best_loss(network, classes) + TOLERANCE


@pytest.mark.parametrize("scale", [0.1, 1, 10])
def test_a_network_that_knows_nothing_counts_for_almost_nothing_however_loud_it_is(scale):
    rng = np.random.default_rng(0)
    classes = rng.integers(10, size=2000)
    choice = choose_weights([answers(rng, classes, 10, 2, 1), answers(rng, classes, 10, 0, scale)], classes)
    assert choice.weights[1] * scale < 0.05


def test_twins_and_networks_that_know_nothing_count_alike_and_an_order_of_networks_changes_nothing():
    rng = np.random.default_rng(2)
    classes = rng.integers(5, size=50)
    first, second, wrong = answers(rng, classes, 5, 2, 1), answers(rng, classes, 5, 1, 2), -10 * np.eye(5, dtype=np.float32)[classes]
    assert choose_weights([first, first], classes).weights == pytest.approx([0.5, 0.5], abs=1e-4)
    assert choose_weights([wrong, wrong], classes).weights.tolist() == [0.5, 0.5]
    weights, turned = choose_weights([first, second], classes).weights, choose_weights([second, first], classes).weights
    assert weights == pytest.approx(turned[::-1], abs=1e-3)


def scored(rng, knowledge, num_clips=60, num_sources=6):
    verbs, nouns = np.arange(num_clips) % 7, np.arange(num_clips) % 11
    uids, sources = zip(*((f"clip-{i}", f"video-{i % num_sources}") for i in range(num_clips)), strict=True)
    logits = (answers(rng, classes, size, known, 1) for classes, size, known in zip((verbs, nouns), (125, 352), knowledge, strict=True))
    return ScoredClips(uids, sources, verbs, nouns, *logits)


def test_each_head_has_weights_of_its_own_and_unseen_videos_say_whether_they_hold():
    rng = np.random.default_rng(3)
    fusion = fuse([scored(rng, (6, 0)), scored(rng, (0, 6))], NAMES)
    first, second = fusion.members
    assert (first.name, first.network, second.name) == ("a", "TSN", "b")
    assert first.verb_weight > 0.8 > 0.2 > first.noun_weight
    assert first.verb_weight + second.verb_weight == pytest.approx(1)
    assert fusion.chosen_loss < min(fusion.equal_loss, first.val_loss, second.val_loss)
    assert fusion.is_supported
    assert (fusion.num_clips, fusion.num_sources) == (60, 6)


def test_weights_chosen_on_one_video_are_not_said_to_hold_on_others_and_other_clips_are_refused():
    rng = np.random.default_rng(4)
    fusion = fuse([scored(rng, (3, 3), num_sources=1), scored(rng, (1, 1), num_sources=1)], NAMES)
    assert fusion.held_out_loss is fusion.held_out_equal_loss is None
    assert not fusion.is_supported
    with pytest.raises(BadInput, match="not scored on the same clips"):
        fuse([scored(rng, (1, 1)), scored(rng, (1, 1), num_clips=59)], NAMES)


def test_a_class_that_one_network_alone_knows_has_the_odds_that_it_gives():
    rng = np.random.default_rng(6)
    narrow, wide = (rng.normal(scale=2, size=(20, size)).astype(np.float32) for size in (5, 7))
    weights = np.array([0.3, 0.7])
    fused = mean_logits([narrow, wide], weights)
    np.testing.assert_allclose(fused[:, :5], 0.3 * narrow + 0.7 * wide[:, :5], rtol=1e-5)
    odds = [likely[:, 5:] / likely[:, :5].sum(axis=1, keepdims=True) for likely in (softmax(fused, axis=1), softmax(wide, axis=1))]
    np.testing.assert_allclose(*odds, rtol=1e-4)
    # What is added to all logits of a network changes no answer.
    np.testing.assert_allclose(softmax(mean_logits([narrow + 9, wide - 4], weights), axis=1), softmax(fused, axis=1), atol=1e-5)
    assert mean_logits([narrow, wide], np.array([1.0, 0.0])).shape == (20, 7)


def test_networks_of_different_sizes_get_weights_from_the_classes_that_all_know():
    rng = np.random.default_rng(7)
    classes = np.arange(400) % 8
    known = np.minimum(classes, 5)
    narrow, wide = answers(rng, known, 6, 1, 1), answers(rng, classes, 8, 3, 1)
    choice = choose_weights([narrow, wide], classes)
    shared = classes < 6
    assert choice.weights == pytest.approx(choose_weights([narrow[shared], wide[shared, :6]], classes[shared]).weights)
    assert choice.weights[1] > 0.6
    named = mean_logits([narrow, wide], choice.weights).argmax(axis=1)
    assert (named == classes)[~shared].mean() > 0.6
    assert choose_weights([narrow[~shared], wide[~shared]], classes[~shared]).weights.tolist() == [0.5, 0.5]


def test_a_network_that_can_name_no_clip_of_val_is_refused():
    rng = np.random.default_rng(8)
    wide = scored(rng, (2, 2))
    beyond = replace(wide, verb_classes=wide.verb_classes + 120, verb_logits=answers(rng, wide.verb_classes + 120, 130, 2, 1))
    narrow = replace(beyond, verb_logits=wide.verb_logits[:, :120])
    with pytest.raises(BadInput, match="fuse: b has no outputs for the classes of any val clip"):
        fuse([beyond, narrow], NAMES)
    some = fuse([beyond, replace(beyond, verb_logits=wide.verb_logits[:, :124])], NAMES)
    assert some.num_clips == 60
    assert np.isfinite([some.chosen_loss, some.equal_loss, some.held_out_loss, *(member.val_loss for member in some.members)]).all()
