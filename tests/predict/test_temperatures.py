from dataclasses import replace

import pytest

from tasks.judge.statistics.calibration import fit_temperature
from tasks.judge.statistics.scoring import with_nouns_given
from tasks.predict.temperatures import not_calibrated, served
from tasks.store.records.dataset import NO_OBJECT, ClassRef, Vocabulary
from tasks.store.records.record import TARGETS, VERB_ALONE


def test_temperatures_are_those_of_val(make_clips):
    clips = make_clips(200, skill=3.0)
    found = served(clips, 10, "pytorch float32", TARGETS)
    assert (found.verb, found.noun) == (
        fit_temperature(clips.verb_logits, clips.verb_classes),
        fit_temperature(clips.noun_logits, clips.noun_classes),
    )
    assert found.is_calibrated
    told = "fitted on 200 val clips (10 crops per frame, pytorch float32)"
    assert (found.words, found.crops) == (f"temperatures {found.verb:.2f} (verbs) and {found.noun:.2f} (nouns), {told}", 10)
    hotter = served(replace(clips, verb_logits=2 * clips.verb_logits), 10, "pytorch float32", TARGETS)
    assert hotter.verb == pytest.approx(2 * found.verb, rel=1e-3)


def test_without_temperatures_nothing_is_claimed():
    found = not_calibrated("no answers")
    assert (found.verb, found.noun, found.is_calibrated, found.words) == (1, 1, False, "not calibrated: no answers")


@pytest.mark.parametrize(
    ("num_clips", "skill", "reason"),
    [(3, 50.0, "on 3 val clips, so no temperature"), (200, -3.0, "at the limit of the search")],
    ids=["all right", "all wrong"],
)
def test_answers_that_no_temperature_suits_tell_none(make_clips, num_clips, skill, reason):
    found = served(make_clips(num_clips, skill=skill), 1, "pytorch float32", TARGETS)
    assert (found.verb, found.noun, found.is_calibrated) == (1, 1, False)
    assert reason in found.words


def test_given_nouns_have_no_temperature_and_leave_the_verbs_theirs(make_clips, vocabulary):
    clips = make_clips(200, skill=3.0)
    nouns = tuple(ClassRef(id=i, name=NO_OBJECT) for i in range(3))
    given = with_nouns_given(clips, Vocabulary(verbs=vocabulary.verbs, nouns=nouns))
    found = served(given, 10, "pytorch float32", VERB_ALONE)
    assert (found.verb, found.noun, found.is_calibrated) == (fit_temperature(clips.verb_logits, clips.verb_classes), 1, True)
    assert found.words == f"temperature {found.verb:.2f} (verbs), fitted on 200 val clips (10 crops per frame, pytorch float32)"
