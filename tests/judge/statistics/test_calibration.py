from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from tasks.errors import BadInput
from tasks.judge.statistics.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    at_search_limit,
    best_loss,
    calibrate,
    calibrations,
    choose_weights,
    error_by_chance,
    expected_error,
    fit_temperature,
    fuse,
    reliability,
)
from tasks.judge.statistics.scoring import ScoredClips
from tasks.logit_mean import mean_logits
from tasks.store.records.record import TARGETS, VERB_ALONE
from tests.scored_clips import shuffled


def honest(num_clips, *, seed=0, num_sources=20, heat=1.0):
    """Clips whose true classes are drawn with the network's own probabilities, the logits then multiplied by `heat`."""
    rng = np.random.default_rng(seed)

    def head(num_classes):
        logits = 2.5 * rng.normal(size=(num_clips, num_classes))
        classes = np.array([rng.choice(num_classes, p=p) for p in softmax(logits, axis=1)])
        return (heat * logits).astype(np.float32), classes

    (verb_logits, verbs), (noun_logits, nouns) = head(6), head(8)
    films = tuple(f"film {i % num_sources}" for i in range(num_clips))
    return ScoredClips(tuple(f"{i:05d}" for i in range(num_clips)), films, verbs, nouns, verb_logits, noun_logits)


def by_target(calibrations):
    return {c.target: c for c in calibrations}


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), other=st.floats(0.06, 19))
def test_no_other_temperature_has_a_lower_loss(seed, other):
    clips = honest(30, seed=seed)

    def loss(temperature):
        return -log_softmax(clips.verb_logits.astype(float) / temperature, axis=1)[np.arange(30), clips.verb_classes].mean()

    assert loss(fit_temperature(clips.verb_logits, clips.verb_classes)) <= loss(other) + 1e-6


def test_the_search_ends_where_val_has_no_mistake_or_nothing_but():
    logits = np.eye(4, dtype=np.float32)
    assert fit_temperature(logits, np.arange(4)) == pytest.approx(MIN_TEMPERATURE, rel=0.01)
    assert fit_temperature(logits, np.roll(np.arange(4), 1)) == pytest.approx(MAX_TEMPERATURE, rel=0.01)
    close = np.tile(np.array([[0.5, 0.0]], np.float32), (10, 1))
    assert [at_search_limit(fit_temperature(close, np.full(10, true))) for true in (0, 1)] == [True, True]
    assert not at_search_limit(1.37)


def test_a_temperature_from_val_makes_test_honest():
    by_name = by_target(calibrate(honest(2000, seed=1, heat=3), honest(2000, seed=2, heat=3), model="fine-tuned", split="test"))
    for target in ("verb", "noun"):
        assert by_name[target].temperature == pytest.approx(3, rel=0.15)
    assert by_name["action"].temperature is None
    for calibration in by_name.values():
        assert calibration.ece_calibrated < 0.05 < 0.1 < calibration.ece


def test_on_val_temperatures_come_from_other_videos():
    """One film is hot, the other is not: each is served with the temperature of the other, which does not fit."""
    clips = honest(40, heat=3, num_sources=2)
    odd = np.arange(40) % 2 == 1
    mixed = replace(clips, verb_logits=np.where(odd[:, None], clips.verb_logits, clips.verb_logits / 3).astype(np.float32))
    verb = by_target(calibrate(mixed, mixed, model="fine-tuned", split="val"))["verb"]
    hot, cold = (fit_temperature(mixed.verb_logits[film], mixed.verb_classes[film]) for film in (odd, ~odd))
    served = np.where(odd, cold, hot)
    confidences = softmax(mixed.verb_logits.astype(float) / served[:, None], axis=1).max(axis=1)
    expected = expected_error(reliability(confidences, mixed.verb_logits.argmax(axis=1) == mixed.verb_classes))
    assert verb.ece_calibrated == pytest.approx(expected)
    assert cold < verb.temperature < hot


def test_one_video_alone_cannot_be_calibrated_and_checked_and_without_val_there_is_no_temperature():
    clips = honest(40, num_sources=1)
    rows = calibrate(clips, clips, model="champion", split="val")
    assert {calibration.ece_calibrated for calibration in rows} == {None}
    assert by_target(rows)["noun"].temperature is not None
    (verb, noun, action) = calibrations({"champion": clips}, {}, "test", TARGETS)
    assert {c.temperature for c in (verb, noun, action)} == {c.ece_calibrated for c in (verb, noun, action)} == {None}
    assert (action.model, action.split, action.target) == ("champion", "test", "action")
    assert calibrations({"champion": clips}, {}, "test", VERB_ALONE) == (verb,)


def test_without_mistakes_there_is_no_temperature():
    """The best would be zero; a search ends anywhere on the way."""
    clips = honest(40, num_sources=4)
    right = replace(clips, noun_logits=np.eye(8, dtype=np.float32)[clips.noun_classes])
    calibrated = calibrations({"fine-tuned": right}, {"fine-tuned": right}, "val", TARGETS)
    assert {calibration.temperature for calibration in calibrated} == {calibration.ece_calibrated for calibration in calibrated} == {None}
    assert calibrations({"fine-tuned": right}, {"fine-tuned": right}, "val", VERB_ALONE)[0].temperature is not None


@settings(max_examples=4)
@given(seed=st.integers(0, 1000))
def test_the_order_of_clips_changes_nothing(seed):
    clips = honest(30, seed=seed, num_sources=3)
    before, after = (calibrate(c, c, model="fine-tuned", split="val") for c in (clips, shuffled(clips, seed)))
    for calibration, other in zip(before, after, strict=True):
        assert (other.ece, other.ece_calibrated) == pytest.approx((calibration.ece, calibration.ece_calibrated), abs=1e-4)
        assert [b.num_clips for b in other.bins] == [b.num_clips for b in calibration.bins]


def test_bins_by_hand():
    bins = reliability(np.array([0.05, 0.41, 0.49, 0.5, 1.0]), np.array([True, False, True, False, True]))
    told = [(b.low, b.high, b.num_clips, b.accuracy) for b in bins]
    assert told == [(0, 0.1, 1, 1), (0.4, 0.5, 2, 0.5), (0.5, 0.6, 1, 0), (0.9, 1, 1, 1)]
    assert bins[1].mean_confidence == pytest.approx(0.45)
    assert expected_error(bins) == pytest.approx((0.95 + 2 * 0.05 + 0.5 + 0) / 5)


@settings(max_examples=50)
@given(pairs=st.lists(st.tuples(st.floats(0.001, 1), st.booleans()), min_size=1, max_size=60))
def test_every_clip_is_in_one_bin_within_its_bounds(pairs):
    confidences, right = np.array([c for c, _ in pairs]), np.array([r for _, r in pairs])
    bins = reliability(confidences, right)
    assert sum(b.num_clips for b in bins) == len(pairs)
    assert all(b.low - 1e-9 <= b.mean_confidence <= b.high + 1e-9 for b in bins)
    assert sum(b.num_clips * b.accuracy for b in bins) == pytest.approx(right.sum())
    assert 0 <= expected_error(bins) <= 1


@pytest.mark.parametrize(("num_clips", "least", "most"), [(23, 0.1, 0.25), (400, 0.01, 0.06)])
def test_a_calibrated_network_has_the_error_that_chance_gives_it(num_clips, least, most):
    verbs = [by_target(calibrate(honest(num_clips, seed=seed), None, model="baseline", split="test"))["verb"] for seed in range(10)]
    by_chance = np.mean([c.ece_by_chance for c in verbs])
    assert least < by_chance < most
    assert np.mean([c.ece for c in verbs]) == pytest.approx(by_chance, rel=0.2)
    assert error_by_chance(np.ones(num_clips)) == 0, "every answer is certain"


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
