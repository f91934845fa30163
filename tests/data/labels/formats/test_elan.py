import pytest

MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///v/a%20b.mp4" MIME_TYPE="video/mp4" RELATIVE_MEDIA_URL="./a%20b.mp4"/>'
ONE_CLIP, TWO_CLIPS, THREE_CLIPS = ({"a b.mp4": number} for number in (1, 2, 3))


def aligned(identity, start, stop, value):
    return f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{identity}" TIME_SLOT_REF1="ts{start}" TIME_SLOT_REF2="ts{stop}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>\n'


def child(identity, of, value):
    return f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{identity}" ANNOTATION_REF="{of}"><ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>\n'


def tier(name, *annotations):
    return f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="default-lt">\n{"".join(annotations)}</TIER>\n'


def eaf(*tiers, media=MEDIA, units="milliseconds"):
    """With slots at 0, 8 and 16 s, and one that is not aligned."""
    times = ((0, ' TIME_VALUE="0"'), (1, ' TIME_VALUE="8000"'), (2, ' TIME_VALUE="16000"'), (3, ""))
    order = "".join(f'<TIME_SLOT TIME_SLOT_ID="ts{number}"{time}/>' for number, time in times)
    return {
        "a.eaf": f'<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT FORMAT="3.0"><HEADER TIME_UNITS="{units}">{media}</HEADER>\n<TIME_ORDER>{order}</TIME_ORDER>\n{"".join(tiers)}</ANNOTATION_DOCUMENT>'
    }


PUT_MEAT = tier("action", aligned("a1", 0, 1, "put meat"))


def test_verbs_take_the_nouns_of_their_time(label, read):
    verbs = tier("verb", aligned("a1", 0, 1, "put"), aligned("a2", 1, 2, "take"))
    files = eaf(verbs, tier("noun", aligned("a3", 1, 2, "bag"), aligned("a4", 0, 1, "meat")))
    assert read(files, TWO_CLIPS, min_overlap=1) == (["put meat", "take bag"], [])
    assert label(TWO_CLIPS, files).clips[0].origin == "a.eaf:5"


def test_intervals_that_label_no_clip_are_told_also_where_all_are_on_one_line(label):
    (text,) = eaf(tier("action", aligned("a1", 0, 1, "put meat")), tier("action@2", aligned("a2", 0, 1, "take bag"))).values()
    (told,) = label(ONE_CLIP, {"a.eaf": text.replace("\n", "").replace("8000", "400")}).without_clip
    assert "2 intervals label no clip" in told


def test_a_dependent_annotation_has_the_time_of_its_parent(read):
    files = eaf(tier("verb", aligned("a1", 0, 1, "put")), tier("noun", child("a2", "a1", "meat"), child("a3", "gone", "bag")))
    assert read(files, ONE_CLIP) == (["put meat"], ["a.eaf line 9: has neither times nor a parent with times"])
    _, circle = read(eaf(tier("verb", child("a1", "a2", "put"), child("a2", "a1", "take"))), ONE_CLIP)
    assert all("more than 20 parents" in reason for reason in circle)


def test_the_only_tier_may_have_any_name_and_others_are_told(read):
    assert read(eaf(tier("default", aligned("a1", 0, 1, "put meat"))), ONE_CLIP) == (["put meat"], [])
    assert read(eaf(tier("speech", aligned("a2", 0, 1, "hello there")), PUT_MEAT), ONE_CLIP) == (
        ["put meat"],
        ["a.eaf line 4: tier 'speech' is not called verb, noun, action or label: 1 annotation"],
    )


@pytest.mark.parametrize(
    ("name", "better"), [("Verb_Anna", "verb@Anna"), ("Anna B. noun", "noun@Anna_B"), ("verb-1@Anna", "verb@1_Anna"), ("adverb_Anna", "")]
)
def test_a_tier_that_nearly_has_a_name_is_told_the_right_one(read, name, better):
    _, (reason,) = read(eaf(PUT_MEAT, tier(name, aligned("a2", 0, 1, "put"))), ONE_CLIP)
    assert reason.endswith(f": 1 annotation; if it holds labels, call it '{better}'" if better else ": 1 annotation")


def test_a_slot_without_a_time_is_skipped(read):
    files = eaf(tier("action", aligned("a1", 0, 3, "put meat"), aligned("a2", 1, 2, "take bag")))
    assert read(files, TWO_CLIPS) == ([None, "take bag"], ["a.eaf line 5: has no time: its slot 'ts3' is not aligned"])


def test_the_origin_of_a_video_shifts_its_times(read):
    shifted = eaf(PUT_MEAT, media=MEDIA.replace("/>", ' TIME_ORIGIN="8000"/>'))
    assert read(shifted, THREE_CLIPS, min_overlap=1) == ([None, "put meat", None], [])


def test_all_cameras_that_the_store_has_are_labelled(read):
    media = "".join(MEDIA.replace("a%20b", name) for name in ("a%20b", "second", "third"))
    assert read(eaf(PUT_MEAT, media=media), {"a b.mp4": 1, "second.mp4": 1}) == (["put meat"] * 2, [])


def test_people_have_tiers_of_their_own(read):
    tiers = (tier(name, aligned(name, 0, 1, word)) for name, word in (("verb@A", "put"), ("noun@B", "bag"), ("noun@A", "meat")))
    actions, (reason,) = read(eaf(*tiers), ONE_CLIP)
    assert actions == ["put meat"]
    assert "noun 'bag' has no verb at its time" in reason


def test_other_units_and_files_without_a_video_are_named(read):
    for files, part in ((eaf(PUT_MEAT, units="NTSC-frames"), "NTSC-frames"), (eaf(PUT_MEAT, media=""), "names no video")):
        _, (reason,) = read(files, ONE_CLIP)
        assert part in reason
