from dataclasses import replace

import pytest

from tasks.evaluation.calibration import fit_temperature
from tasks.evaluation.prediction.temperatures import served


def test_temperatures_are_those_of_val(make_clips):
    clips = make_clips(200, skill=3.0)
    found = served(clips)
    assert (found.verb, found.noun) == (
        fit_temperature(clips.verb_logits, clips.verb_classes),
        fit_temperature(clips.noun_logits, clips.noun_classes),
    )
    assert found.is_calibrated
    assert found.words == f"temperatures {found.verb:.2f} (verbs) and {found.noun:.2f} (nouns), fitted on 200 val clips"
    hotter = served(replace(clips, verb_logits=2 * clips.verb_logits))
    assert hotter.verb == pytest.approx(2 * found.verb, rel=1e-3)


def test_without_answers_on_val_nothing_is_claimed():
    assert served(None).words.startswith("not calibrated: no answers")
    assert (served(None).verb, served(None).noun, served(None).is_calibrated) == (1, 1, False)


def test_answers_that_are_all_right_tell_no_temperature(make_clips):
    found = served(make_clips(3, skill=50.0))
    assert (found.verb, found.noun, found.is_calibrated) == (1, 1, False)
    assert "3 val clips without a mistake" in found.words


def test_nor_do_answers_that_no_temperature_suits(make_clips):
    found = served(make_clips(200, skill=-3.0))
    assert (found.verb, found.noun, found.is_calibrated) == (1, 1, False)
    assert "no temperature within reason" in found.words
