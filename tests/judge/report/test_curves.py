"""Learning curves and long trainings: one sentence, and a drawing that stays within its frame."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from tasks.judge.report.curves import curve_answer, curve_section, long_chart, long_section, sentence_of
from tasks.judge.report.run import model_card
from tasks.judge.statistics.long_training import long_training
from tasks.store.records.curves import CurveGain
from tasks.store.records.training import Epoch
from tests.judge.report.runs import curve_of
from tests.judge.report.tree import plain, stays_within, words_of
from tests.scored_clips import kept_answers

NUMBERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4000)
DESCENT = (0.60, 0.50, 0.38, 0.30, 0.33, 0.42, 0.50, 0.52, 0.46, 0.36, 0.28, 0.25, 0.24)
ONE_FALL = tuple(sorted(DESCENT, reverse=True))
VAL = ("val_verb_top1", "val_noun_top1", "val_action_top1")


def kept(errors, num_clips=600, clips_a_video=6):
    """Answers with these errors: a clip is wrong while the error is above its own threshold."""
    thresholds = np.random.default_rng(0).permutation(num_clips) / num_clips
    return [kept_answers(number - 1, thresholds >= error, clips_a_video, loss=error) for number, error in zip(NUMBERS, errors, strict=True)]


def history(errors, fitted=300):
    """Epochs with these errors on val, that answer the more training clips correctly the longer they train."""
    by_number = np.interp(np.log(np.arange(1, NUMBERS[-1] + 1)), np.log(NUMBERS), errors)
    shown = [(i, error) for i, error in enumerate(by_number.tolist()) if i <= fitted or i % 20 == 0 or i + 1 == NUMBERS[-1]]
    top1 = {i: {"train_verb_top1": min(1.0, i / fitted), "train_action_top1": min(1.0, 0.2 + 0.8 * i / fitted)} for i, _ in shown}
    return [
        Epoch(epoch=i, train_loss=1, val_loss=3 * error, **dict.fromkeys(VAL, 1 - error), train_noun_top1=0, **top1[i])
        for i, error in shown
    ]


@cache
def trained(errors, **choice):
    return long_training(kept(errors, **choice), history(errors), "action", num_resamples=200)


def test_a_second_descent_is_told_in_one_sentence_and_few_clips_cannot_tell():
    sentence = sentence_of(trained(DESCENT))
    assert sentence.startswith("A second descent: on 600 val clips of 100 source videos the error of actions rises from 30.0 % after")
    assert "to 52.0 % after epoch 128 (+22.0 points" in sentence
    assert "falls again to 24.0 % after epoch 4,000 (\N{MINUS SIGN}28.0 points" in sentence
    assert "the second minimum is lower than the first" in sentence
    assert sentence.count(". ") == 0
    assert sentence_of(trained(ONE_FALL)).startswith("No second descent is seen")
    unknown = "The data cannot tell whether there is a second descent: on"
    assert sentence_of(trained(DESCENT, num_clips=15, clips_a_video=3)).startswith(unknown)
    assert sentence_of(trained(ONE_FALL, num_clips=2, clips_a_video=1)).startswith(f"{unknown} 2 val")


@pytest.mark.parametrize(("errors", "marks"), [(DESCENT, ["1st minimum: 8", "peak: 128", "2nd minimum: 4,000"]), (ONE_FALL, [])])
def test_the_drawing_marks_what_the_sentence_names(errors, marks):
    chart = long_chart(trained(errors), history(errors))
    words, told = words_of(chart.svg)
    assert [word for word in words if "minimum" in word or "peak" in word] == marks
    assert {"training error", "validation error", "validation loss", "training error 0: 301"} <= set(words)
    assert [mark.partition(":")[0] for mark in told] == [f"epoch {number:,}" for number in NUMBERS]
    assert stays_within(chart.svg)
    assert len(chart.svg) < 150_000


def test_a_training_of_few_epochs_has_no_section():
    assert long_section(SimpleNamespace(long_training=None)) is None


def with_gain(gain, low, high, top1=0.7):
    """A curve whose gains are these, in points."""
    result = curve_of(6)
    curve = result.curves[-1]
    gains = tuple(CurveGain(times=times, num_clips=120 * times, gain=gain / 100, interval=(low / 100, high / 100)) for times in (2, 4))
    points = (*curve.points[:-1], curve.points[-1].model_copy(update={"top1": top1}))
    return result.model_copy(update={"curves": (curve.model_copy(update={"gains": gains, "points": points}),)})


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((4, 1, 9), "More labels would help. Twice as many clips: +4 points [1, 9] and four times as many clips: +4 points [1, 9]"),
        ((4, 0.4, 9), "More labels may help. Twice as many clips: +4 points [0, 9]"),
        ((0.6, 0, 1.4), "More labels would hardly help. Twice as many clips: +1 point [0, 1]"),
        ((-1, -3, 1), "More labels would hardly help. Twice as many clips: \N{MINUS SIGN}1 point [\N{MINUS SIGN}3, 1]"),
        ((0, 0, 1.49), "More labels would hardly help. Twice as many clips: +0 points [0, 1]"),
        ((0, 0, 1.96), "More labels may help. Twice as many clips: +0 points [0, 2]"),
        ((9, 0, 30), "The data cannot tell whether more labels would help: anything from no gain to no error left is possible. Twice"),
    ],
)
def test_the_answer_begins_with_what_the_interval_of_twice_as_many_clips_allows(gain, said):
    assert curve_answer(with_gain(*gain)).startswith(said)


def test_data_that_cannot_tell_have_a_reason_and_no_figures():
    result = curve_of(1)
    assert "cannot tell whether more labels would help. All val clips are of one source video, which does not" in curve_answer(result)
    section = curve_section(result)
    assert section.rows == ()
    assert section.unknown == ()
    assert "power law" not in section.chart.svg


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "by the recipe of this run, on shares"),
        ({"recipe": "light"}, "by the recipe of preset light on the frozen backbone"),
        ({"num_asked_epochs": 4000, "num_epochs": 200}, "for 200 instead of 4,000 epochs"),
        ({"num_sources": 1}, "all of one source video"),
        ({"num_val_sources": 3}, "3 source videos, few enough to make intervals wide"),
    ],
)
def test_the_notes_say_what_the_figures_rest_on(changes, told):
    notes = " ".join(curve_section(curve_of(6).model_copy(update=changes)).notes)
    assert told in notes
    assert "the interval is for the average over training sets of this size" in notes
    for other in ("frozen backbone", "instead of", "all of one source video", "few enough"):
        assert (other in notes) == (other in told)


def test_a_curve_that_does_not_beat_guessing_says_so_and_the_table_begins_with_the_deciding_target():
    result = curve_of(6)
    rows = curve_section(result).rows
    assert [row[0] for row in rows] == ["action", "action", "noun", "noun", "verb", "verb"]
    assert [row[1] for row in rows[:2]] == ["240 (twice)", "480 (four times)"]
    *others, noun, action = result.curves
    untold = result.model_copy(update={"curves": (*others, noun.model_copy(update={"unknown": "All val clips are right."}), action)})
    assert curve_section(untold).unknown == ("Nouns: all val clips are right.",)
    poor = result.model_copy(update={"curves": (result.curves[-1].model_copy(update={"majority_top1": 0.99}),)})
    assert "No share beats always predicting the most frequent class" in curve_section(poor).notes[1]


def test_the_drawing_has_every_draw_and_the_extrapolation_within_its_frame():
    result = curve_of(6)
    svg = curve_section(result).chart.svg
    words, told = words_of(svg)
    assert {"most frequent class", "single draws", "mean", "power law", "12", "24", "60", "120", "240", "480"} <= set(words)
    assert len(told) == 4 * 5 + 4
    assert stays_within(svg)
    assert "Extrapolated, with the 95 % confidence interval of the gain: 240 clips:" in svg


def test_page_and_card_have_the_answer_or_say_why_there_is_none(make_inputs, page_of):
    assert "There is no learning curve: it is switched off." in plain(page_of("bare"))
    assert "Twice as many clips: +" in page_of("usual")
    assert "## Would more labels help?\n\nMore labels may help" in model_card(make_inputs("usual").metrics)
    assert "Would more labels help?" not in model_card(make_inputs("bare").metrics)
