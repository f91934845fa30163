"""CVAT's XML, with the traps that its users met."""

import io
import zipfile

import pytest

from tests.dataset.formats.told import actions, reasons

META = "<meta><job><size>900</size><start_frame>0</start_frame><stop_frame>899</stop_frame><source>a.mp4</source></job></meta>"


def box(number, outside=0, **attributes):
    inner = "".join(f'<attribute name="{name}">{value}</attribute>' for name, value in attributes.items())
    return (
        f'<box frame="{number}" keyframe="1" outside="{outside}" occluded="0" xtl="0" ytl="0" xbr="9" ybr="9" z_order="0">{inner}</box>\n'
    )


def track(label, *boxes, more=""):
    return f'<track id="0" label="{label}" source="manual"{more}>\n{"".join(boxes)}</track>\n'


def file(*parts, meta=META):
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}\n{"".join(parts)}</annotations>'


def image(number, *tags):
    return f'<image id="{number}" name="frame_{number:06d}" width="9" height="9">{"".join(tags)}</image>\n'


def tag(label, noun=""):
    return f'<tag label="{label}" source="manual">' + (f'<attribute name="noun">{noun}</attribute>' if noun else "") + "</tag>"


def zipped(**files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def test_a_track_lasts_from_its_first_visible_frame_to_the_one_outside_at_the_rate_of_the_video(label):
    xml = file(track("put", box(80, noun="meat"), box(120, noun="meat"), box(160, 1, noun="meat")))
    found = label({"a.mp4": 3}, {"annotations.xml": xml}, min_overlap=1, fps=10)
    assert actions(found) == [None, "put meat", None]
    assert found.clips[1].origin == "annotations.xml:4"
    assert actions(label({"a.mp4": 3}, {"annotations.xml": xml}, min_overlap=1, fps=25)) == [None] * 3


def test_a_track_that_never_ends_lasts_to_the_last_frame(label):
    assert actions(
        label({"a.mp4": 2}, {"a.xml": file(track("put meat", box(80)), meta=META.replace("899", "159"))}, min_overlap=1, fps=10)
    ) == [None, "put meat"]


def test_a_track_may_come_back_and_change_its_attribute(label):
    xml = file(track("put", box(0, noun="meat"), box(80, noun="bag"), box(160, 1, noun="bag"), box(240, noun="pot"), box(320, 1)))
    assert actions(label({"a.mp4": 4}, {"a.xml": xml}, min_overlap=1, fps=10)) == ["put meat", "put bag", None, "put pot"]


def test_attributes_that_are_no_part_of_a_label_do_not_cut_it(label):
    xml = file(track("put meat", box(0, quality="good"), box(40, quality="bad"), box(80, 1)))
    assert actions(label({"a.mp4": 1}, {"a.xml": xml}, min_overlap=1, fps=10)) == ["put meat"]


def test_a_frame_filter_leaves_frames_as_they_are_in_the_video(label):
    meta = META.replace("</stop_frame>", "</stop_frame><frame_filter>step=10</frame_filter>").replace("899", "159")
    tags = file(*(image(number, tag("put", "meat")) for number in range(80, 160, 10)), meta=meta)
    assert actions(label({"a.mp4": 3}, {"a.xml": tags}, min_overlap=1, fps=10)) == [None, "put meat", None]
    tracks = file(track("put meat", box(80), box(160, 1)), meta=meta)
    assert actions(label({"a.mp4": 3}, {"a.xml": tracks}, min_overlap=1, fps=10)) == [None, "put meat", None]


def test_a_run_of_equal_tags_is_an_interval(label):
    xml = file(*(image(number, tag("put", "meat")) for number in range(80)), *(image(number, tag("take bag")) for number in range(80, 160)))
    found = label({"a.mp4": 2}, {"a.xml": xml}, min_overlap=1, fps=10)
    assert actions(found) == ["put meat", "take bag"]
    assert found.problems == ()


def test_a_gap_ends_a_run(label):
    xml = file(*(image(number, tag("put meat")) for number in (*range(70), *range(71, 80))))
    assert actions(label({"a.mp4": 1}, {"a.xml": xml}, min_overlap=0.98, fps=10)) == ["put meat"]
    assert actions(label({"a.mp4": 1}, {"a.xml": xml}, min_overlap=1, fps=10)) == [None]


def test_a_tag_on_frame_0_alone_is_about_the_whole_video(label):
    xml = file(image(0, tag("put", "meat")), image(1), image(2))
    assert actions(label({"a.mp4": 3}, {"a.xml": xml})) == ["put meat"] * 3


def test_a_tag_on_another_frame_alone_is_one_frame_long(label):
    found = label({"a.mp4": 1}, {"a.xml": file(image(5, tag("put meat")))})
    assert (actions(found), found.problems) == ([None], ())


def test_a_project_has_several_videos(label):
    task = "<task><id>{0}</id><name>x</name><stop_frame>99</stop_frame><source>{1}</source></task>"
    meta = f"<meta><project><tasks>{task.format(1, 'a.mp4')}{task.format(2, 'b.mp4')}</tasks></project></meta>"
    tracks = [
        track("put meat", box(0), more=' task_id="1"'),
        track("take bag", box(0), more=' task_id="2"'),
        track("x y", box(0), more=' task_id="3"'),
    ]
    found = label({"a.mp4": 1, "b.mp4": 1}, {"a.xml": file(*tracks, meta=meta)}, fps=10)
    assert actions(found) == ["put meat", "take bag"]
    assert reasons(found) == ["a.xml line 9: the file names 2 videos, and this is of none of them"]


def test_what_cannot_be_used_is_named(label):
    xml = file(track("put", box(5, 1)), image(0, '<box label="x" xtl="1"/>', tag("take bag")), track("y", box("x1")))
    found = label({"a.mp4": 1}, {"a.xml": xml})
    assert actions(found) == ["take bag"]
    assert [reason.partition(": ")[2] for reason in reasons(found)] == [
        "track 'put' is visible in no frame",
        "is a box in a picture, which has no time; only tags label frames",
        "frame 'x1' is not a number",
    ]


def test_an_unknown_video_has_no_frame_rate(label):
    found = label({"b.mp4": 1}, {"a.xml": file(track("put meat", box(0)))})
    assert reasons(found) == ["a.xml line 3: 'a.mp4' matches no ingested video (near: 'b.mp4')"]


@pytest.mark.parametrize("name", ["annotations__xml", "job_1/annotations__xml", "../../etc/annotations__xml"])
def test_a_zip_archive_is_read_without_unpacking_it(label, name):
    content = zipped(**{name: file(track("put meat", box(0))), "images/frame__png": b"x"})
    assert actions(label({"a.mp4": 1}, {"export.zip": content}, fps=10)) == ["put meat"]
