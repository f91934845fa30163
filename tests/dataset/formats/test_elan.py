"""ELAN's tiers."""

import pytest

from tests.dataset.formats.told import actions, reasons

MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/a%20b.mp4" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./a%20b.mp4"{more}/>'
PLAIN = MEDIA.format(more="")
NAME = "a b.mp4"


def slot(number, value=None):
    time = "" if value is None else f' TIME_VALUE="{value}"'
    return f'<TIME_SLOT TIME_SLOT_ID="ts{number}"{time}/>'


def aligned(identity, start, stop, value):
    return f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{identity}" TIME_SLOT_REF1="ts{start}" TIME_SLOT_REF2="ts{stop}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>\n'


def child(identity, of, value):
    return f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{identity}" ANNOTATION_REF="{of}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>\n'


def tier(name, *annotations):
    return f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="default-lt">\n{"".join(annotations)}</TIER>\n'


def eaf(*tiers, media=PLAIN, slots=(0, 8000, 16000, None), units="milliseconds"):
    order = "".join(slot(number, value) for number, value in enumerate(slots))
    return {
        "a.eaf": f'<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT FORMAT="3.0"><HEADER TIME_UNITS="{units}">{media}</HEADER>\n<TIME_ORDER>{order}</TIME_ORDER>\n{"".join(tiers)}</ANNOTATION_DOCUMENT>'
    }


def test_verbs_take_the_nouns_of_their_time(label):
    tiers = [
        tier("verb", aligned("a1", 0, 1, "put"), aligned("a2", 1, 2, "take")),
        tier("noun", aligned("a3", 1, 2, "bag"), aligned("a4", 0, 1, "meat")),
    ]
    found = label({NAME: 2}, eaf(*tiers), min_overlap=1)
    assert actions(found) == ["put meat", "take bag"]
    assert found.clips[0].origin == "a.eaf:5"


def test_a_dependent_annotation_has_the_time_of_its_parent(label):
    tiers = [tier("verb", aligned("a1", 0, 1, "put")), tier("noun", child("a2", "a1", "meat"), child("a3", "gone", "bag"))]
    found = label({NAME: 1}, eaf(*tiers))
    assert actions(found) == ["put meat"]
    assert reasons(found) == ["a.eaf line 9: has neither times nor a parent with times"]


def test_annotations_that_are_their_own_parents_end(label):
    found = label({NAME: 1}, eaf(tier("verb", child("a1", "a2", "put"), child("a2", "a1", "take"))))
    assert all("more than 20 parents" in reason for reason in reasons(found))


def test_the_only_tier_may_have_any_name_and_others_are_told(label):
    assert actions(label({NAME: 1}, eaf(tier("default", aligned("a1", 0, 1, "put meat"))))) == ["put meat"]
    both = eaf(tier("speech", aligned("a1", 0, 1, "hello there")), tier("action", aligned("a2", 0, 1, "put meat")))
    found = label({NAME: 1}, both)
    assert actions(found) == ["put meat"]
    assert reasons(found) == ["a.eaf line 4: tier 'speech' is not called verb, noun, action or label: 1 annotation"]


@pytest.mark.parametrize(
    ("name", "better"), [("Verb_Anna", "verb@Anna"), ("Anna B. noun", "noun@Anna_B"), ("verb-1@Anna", "verb@1_Anna"), ("adverb_Anna", "")]
)
def test_a_tier_that_nearly_has_a_name_is_told_the_right_one(label, name, better):
    (reason,) = reasons(label({NAME: 1}, eaf(tier("action", aligned("a1", 0, 1, "wave")), tier(name, aligned("a2", 0, 1, "put")))))
    assert reason.endswith(f": 1 annotation; if it holds labels, call it '{better}'" if better else ": 1 annotation")


def test_a_slot_without_a_time_is_skipped(label):
    found = label({NAME: 2}, eaf(tier("action", aligned("a1", 0, 3, "put meat"), aligned("a2", 1, 2, "take bag"))))
    assert actions(found) == [None, "take bag"]
    assert reasons(found) == ["a.eaf line 5: has no time: its slot 'ts3' is not aligned"]


def test_the_origin_of_a_video_shifts_its_times(label):
    shifted = MEDIA.format(more=' TIME_ORIGIN="8000"')
    assert actions(label({NAME: 3}, eaf(tier("action", aligned("a1", 0, 1, "put meat")), media=shifted), min_overlap=1)) == [
        None,
        "put meat",
        None,
    ]


def test_all_cameras_that_the_store_has_are_labelled(label):
    media = MEDIA.format(more="") + MEDIA.format(more="").replace("a%20b", "second") + MEDIA.format(more="").replace("a%20b", "third")
    found = label({NAME: 1, "second.mp4": 1}, eaf(tier("action", aligned("a1", 0, 1, "put meat")), media=media))
    assert actions(found) == ["put meat"] * 2
    assert found.problems == ()


def test_people_have_tiers_of_their_own(label):
    tiers = [
        tier("verb@A", aligned("a1", 0, 1, "put")),
        tier("noun@B", aligned("a2", 0, 1, "bag")),
        tier("noun@A", aligned("a3", 0, 1, "meat")),
    ]
    found = label({NAME: 1}, eaf(*tiers))
    assert actions(found) == ["put meat"]
    assert "noun 'bag' has no verb at its time" in reasons(found)[0]


def test_other_units_and_files_without_a_video_are_named(label):
    some = tier("action", aligned("a1", 0, 1, "put meat"))
    for files, reason in ((eaf(some, units="NTSC-frames"), "NTSC-frames"), (eaf(some, media=""), "names no video")):
        (problem,) = label({NAME: 1}, files).problems
        assert reason in problem.reason
