from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from tasks.judge.statistics.calibration import (
    MAX_TEMPERATURE,
    MIN_TEMPERATURE,
    at_search_limit,
    calibrate,
    calibrations,
    error_by_chance,
    expected_error,
    fit_temperature,
    reliability,
)
from tasks.judge.statistics.scoring import ScoredClips
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
