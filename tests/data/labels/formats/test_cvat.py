"""CVAT's XML, with the traps that its users met."""

import itertools

import pytest

from tests.data.labels.records import zipped

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


@pytest.fixture
def timed(read):
    """As `read`, of a video of 10 frames per second of which clips must be covered whole; nothing may be refused."""

    def run(xml, videos=1, **options):
        actions, refused = read({"a.xml": xml}, videos, **{"min_overlap": 1, "fps": 10} | options)
        assert refused == []
        return actions

    return run


def test_a_track_lasts_from_its_first_visible_frame_to_the_one_outside_at_the_rate_of_the_video(label, timed):
    xml = file(track("put", box(80, noun="meat"), box(120, noun="meat"), box(160, 1, noun="meat")))
    assert timed(xml, 3) == [None, "put meat", None]
    assert timed(xml, 3, fps=25) == [None] * 3
    assert label({"a.mp4": 3}, {"annotations.xml": xml}, fps=10).clips[1].origin == "annotations.xml:4"


def test_a_track_that_never_ends_lasts_to_the_last_frame_which_is_as_long_as_the_others(timed):
    assert timed(file(track("put meat", box(80)), meta=META.replace("899", "159")), 2) == [None, "put meat"]
    meta = "<meta><task><frame_filter>step=10</frame_filter><stop_frame>70</stop_frame><source>a.mp4</source></task></meta>"
    assert timed(file(track("put meat", box(0), box(70)), meta=meta)) == ["put meat"]


def test_a_track_may_come_back_and_change_its_attribute_if_that_is_part_of_a_label(timed):
    xml = file(track("put", box(0, noun="meat"), box(80, noun="bag"), box(160, 1, noun="bag"), box(240, noun="pot"), box(320, 1)))
    assert timed(xml, 4) == ["put meat", "put bag", None, "put pot"]
    assert timed(file(track("put meat", box(0, quality="good"), box(40, quality="bad"), box(80, 1)))) == ["put meat"]


def test_a_frame_filter_leaves_frames_as_they_are_in_the_video(timed):
    meta = META.replace("</stop_frame>", "</stop_frame><frame_filter>step=10</frame_filter>").replace("899", "159")
    for parts in ([image(number, tag("put", "meat")) for number in range(80, 160, 10)], [track("put meat", box(80), box(160, 1))]):
        assert timed(file(*parts, meta=meta), 3) == [None, "put meat", None]


def test_a_run_of_equal_tags_is_an_interval_that_a_gap_ends(timed):
    tags = {number: tag("put", "meat") if number < 80 else tag("take bag") for number in range(160)}
    assert timed(file(*itertools.starmap(image, tags.items())), 2) == ["put meat", "take bag"]
    xml = file(*(image(number, tag("put meat")) for number in (*range(70), *range(71, 80))))
    assert (timed(xml, min_overlap=0.98), timed(xml)) == (["put meat"], [None])


def test_a_tag_on_frame_0_alone_is_about_the_whole_video_and_on_another_one_frame_long(timed):
    assert timed(file(image(0, tag("put", "meat")), image(1), image(2)), 3) == ["put meat"] * 3
    assert timed(file(image(5, tag("put meat"))), min_overlap=0.25) == [None]


def project(*tasks):
    fields = ("id", "source", "size", "stop_frame", "start_frame", "frame_filter", "subset")
    made = ("".join(f"<{name}>{value}</{name}>" for name, value in zip(fields, task, strict=False)) for task in tasks)
    return f"<meta><project><tasks>{''.join(f'<task>{task}</task>' for task in made)}</tasks></project></meta>"


def of_task(number):
    return f' task_id="{number}"'


def test_a_project_counts_the_frames_of_a_subset_on_over_its_videos(timed):
    # CVAT counts by id within a subset, whatever the order of the file.
    meta = project(
        (12, "b.mp4", 160, 159, 0, "", "train"),
        (11, "c.mp4", 50, 49, 0, "", "test"),
        (9, "a.mp4", 20, 115, 20, "step=5", "train"),
        (13, "d.mp4", 80, 79, 0, "", "train"),
    )
    tracks = file(
        track("put meat", box(20), box(80, 1), more=of_task(9)),
        track("take bag", box(120), box(200, 1), more=of_task(12)),
        track("put bag", box(0), box(50, 1), more=of_task(11)),
        track("take meat", box(280), more=of_task(13)),
        meta=meta,
    )
    labelled = timed(tracks, {"a.mp4": 2, "b.mp4": 2, "c.mp4": 1, "d.mp4": 1}, min_overlap=0.6)
    assert labelled == ["put meat", None, "take bag", None, "put bag", "take meat"]
    tags = file(
        *(image(number, tag("take bag")).replace("<image", f"<image{of_task(12)}") for number in range(200, 280)),
        image(280, tag("take meat")).replace("<image", f"<image{of_task(13)}"),
        meta=meta,
    )
    assert timed(tags, {"a.mp4": 2, "b.mp4": 2, "d.mp4": 2}) == [None, None, None, "take bag", "take meat", "take meat"]


def test_tracks_of_no_video_of_a_project_are_named(read):
    meta = project((1, "a.mp4", 80), (2, "b.mp4"), (3, "c.mp4", 80), (4, ""))
    tracks = [track("put meat", box(0), box(80, 1), more=of_task(number)) for number in (1, 2, 3, 4, 5)]
    actions, told = read({"a.xml": file(*tracks, meta=meta)}, {"a.mp4": 1, "b.mp4": 1, "c.mp4": 1}, fps=10)
    assert actions == ["put meat", None, None]
    assert [reason.partition(": ")[2] for reason in told] == [
        "frame 0 is before frame 80, at which 'b.mp4' begins in this project",
        "an earlier task of the project has no <size>, so that its frames cannot be counted; export the task alone",
        "its task names no video in <source>",
        "the file names 4 videos, and this is of none of them",
    ]


JOB = "<meta><job><id>7</id><size>80</size><start_frame>0</start_frame><stop_frame>79</stop_frame><frame_filter/></job></meta>"
OF_JOB = file(track("put meat", box(0)), meta=JOB)


@pytest.mark.parametrize("name", ["a.xml", "a.mp4.xml", "a.mp4.zip", "a-0123abcd.xml", "a.mp4-0123abcd.zip"])
def test_the_export_of_a_job_is_about_the_video_it_is_named_after(read, name):
    content = zipped({"annotations.xml": OF_JOB}) if name.endswith(".zip") else OF_JOB
    assert read({name: content}, {"a.mp4": 2, "b.mp4": 1}, min_overlap=1, fps=10) == (["put meat", None, None], [])


def test_a_date_in_the_name_of_an_export_of_a_job_is_no_mark_of_the_store(read):
    assert read({"P01-20260101.xml": OF_JOB}, {"P01.mp4": 1, "P01-20260101.mp4": 1}, fps=10) == ([None, "put meat"], [])


def test_the_export_of_a_job_without_such_a_name_is_refused_once(read):
    xml = file(track("put meat", box(0)), track("take bag", box(0)), meta=JOB)
    assert read({"annotations.xml": xml})[1] == [
        "annotations.xml: names no video in <source>, as a job's export does: export the task, or name the file after its video"
    ]
    _, (reason,) = read({"a.xml": xml}, {"x/a.mp4": 1, "y/a.mp4": 1})
    assert "by the name of the file 'a' matches 2 videos" in reason


def test_a_source_beside_the_task_is_the_tasks(timed):
    frames = "<size>32</size><start_frame>0</start_frame><stop_frame>159</stop_frame><frame_filter>step=5</frame_filter>"
    meta = f"<meta><task><id>5</id>{frames}</task><source>a.mp4</source></meta>"
    for parts in ([image(number, tag("put meat")) for number in range(80, 160, 5)], [track("put meat", box(80))]):
        assert timed(file(*parts, meta=meta), 3) == [None, "put meat", None]


def test_unusable_tracks_and_images_are_named(read):
    actions, told = read(
        {"a.xml": file(track("put", box(5, 1)), image(0, '<box label="x" xtl="1"/>', tag("take bag")), track("y", box("x1")))}
    )
    assert actions == ["take bag"]
    assert [reason.partition(": ")[2] for reason in told] == [
        "track 'put' is visible in no frame",
        "is a box in a picture, which has no time; only tags label frames",
        "frame 'x1' is not a number",
    ]


def test_an_unknown_video_has_no_frame_rate(read):
    refused = ["a.xml line 3: 'a.mp4' matches no ingested video (near: 'b.mp4')"]
    assert read({"a.xml": file(track("put meat", box(0)))}, {"b.mp4": 1}) == ([None], refused)


@pytest.mark.parametrize("name", ["annotations.xml", "job_1/annotations.xml", "../../etc/annotations.xml"])
def test_a_zip_archive_is_read_without_unpacking_it(read, name):
    content = zipped({name: file(track("put meat", box(0))), "images/frame.png": b"x"})
    assert read({"export.zip": content}, fps=10) == (["put meat"], [])
