"""The section that answers whether more labels would help."""

import pytest

from tasks.judge.report.card import model_card
from tasks.judge.report.learning_curve import answer_of, curve_section
from tasks.store.records.learning_curve import CurveGain
from tests.judge.report.labels import curve_of
from tests.judge.report.tree import plain, stays_within, words_of


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
        (
            (4, 1, 9),
            "More labels would help. Twice as many clips: +4 points [1, 9] and four times as many clips: +4 points [1, 9] of action top-1",
        ),
        ((4, 0.4, 9), "More labels may help. Twice as many clips: +4 points [0, 9]"),
        ((0.6, 0, 1.4), "More labels would hardly help. Twice as many clips: +1 point [0, 1]"),
        ((0, 0, 1.49), "More labels would hardly help. Twice as many clips: +0 points [0, 1]"),
        ((0, 0, 1.96), "More labels may help. Twice as many clips: +0 points [0, 2]"),
        ((9, 0, 30), "The data cannot tell whether more labels would help: anything from no gain to no error left is possible. Twice"),
    ],
)
def test_the_answer_begins_with_what_the_interval_of_twice_as_many_clips_allows(gain, said):
    assert answer_of(with_gain(*gain)).startswith(said)


def test_data_that_cannot_tell_have_a_reason_and_no_figures():
    result = curve_of(1)
    assert answer_of(result) == (
        "The data cannot tell whether more labels would help. All val clips are of one source video, which does not show how far a gain would "
        "vary with other videos."
    )
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
    assert "The epoch that each training kept was selected on these clips, too" in notes
    assert "the interval is for the average over training sets of this size" in notes
    for other in ("frozen backbone", "instead of", "all of one source video", "few enough"):
        assert (other in notes) == (other in told)


def test_a_curve_that_does_not_beat_guessing_says_so_and_the_table_begins_with_the_deciding_target():
    result = curve_of(6)
    rows = curve_section(result).rows
    assert [row.target for row in rows] == ["action", "action", "noun", "noun", "verb", "verb"]
    assert [row.clips for row in rows[:2]] == ["240 (twice)", "480 (four times)"]
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
