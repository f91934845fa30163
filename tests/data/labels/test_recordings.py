"""Files of one recording are grouped by names and times, doubtful ones stay apart, and a person's lines have the last word."""

from datetime import UTC, datetime, timedelta

import pytest

from tasks.data.labels.labels import label_clips
from tasks.data.labels.recordings import camera_groups, detect_recordings, recordings_csv
from tasks.data.labels.rows import AnnotationFile
from tasks.data.labels.vocabulary import OwnClasses
from tasks.options import LabelOptions
from tests.data.labels.records import clip_record, video_of, video_record

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTES = 480


def film(name, seconds=MINUTES, at=None, of="", **given):
    """A file of this name; `of` tells files of equal names apart, and `at` is the container's time in seconds after noon."""
    time = None if at is None else NOON + timedelta(seconds=at)
    return video_record(video_of(f"{of}{name}"), names=(name,), duration_seconds=seconds, recorded_at=time, **given)


def grouped(*films):
    return {recording.name: recording.files for recording in detect_recordings(films).recordings}


def days(*names, seconds=MINUTES):
    """Files of two cards that were taken in one by one, with the containers' times of two days."""
    start = {"monday": 0, "tuesday": 86_400}
    return [film(name, seconds, start[day] + seconds * (int(name[2:4]) - 1), of=day) for day in start for name in names]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("d/GX010123.MP4", "d/GX020123.MP4", "d/GX030123.MP4"), "d/GoPro 0123"),
        (("gh010123.mp4", "gh030123.mp4"), "GoPro 0123"),
        (("GX010123.MP4", "GL010123.LRV"), "GoPro 0123"),
        (("GOPR0123.MP4", "GP010123.MP4", "GP020123.MP4"), "GOPR0123"),
        (("DJI_20260501120000_0001_D.MP4", "DJI_20260501120800_0002_D.MP4"), "DJI_20260501120000_0001_D"),
        (("DJI_20260501120000_0001_T.MP4", "DJI_20260501120001_0001_W.MP4"), "DJI_20260501120000_0001_T"),
        (("VID_20260501_120000_00_001.mp4", "VID_20260501_120000_00_002.mp4"), "VID_20260501_120000_00_001"),
        (("LRV_20260501_120000_11_001.mp4", "VID_20260501_120000_00_001.mp4"), "LRV_20260501_120000_11_001"),
        (("2026-05-01/11/door/52.00.mp4", "2026-05-01/12/door/00.02.mp4"), "2026-05-01/11/door/52.00"),
        (("DJI_20260501235200_0001_D.MP4", "DJI_20260502000000_0002_D.MP4"), "DJI_20260501235200_0001_D"),
        (
            ("RecM01_20260501_120000_120800_0_33F1B2.mp4", "RecM01_20260501_120803_121603_0_1A.mp4"),
            "RecM01_20260501_120000_120800_0_33F1B2",
        ),
        (("2026-05-01_12-00-00-front.mp4", "2026-05-01_12-08-01-front.mp4"), "2026-05-01_12-00-00-front"),
    ],
)
def test_files_that_a_camera_cut_are_one_recording(names, name):
    assert grouped(*map(film, reversed(names))) == {name: names}


@pytest.mark.parametrize(
    "names",
    [
        ("GX010123.MP4", "GX010124.MP4"),
        ("a/GX010123.MP4", "b/GX020123.MP4"),
        ("GX010123.MP4", "GH020123.MP4"),
        ("GX000123.MP4", "GX010123.MP4"),
        ("DJI_20260501120000_0001_D.MP4", "DJI_20260501120900_0002_D.MP4"),
        ("DJI_0001.MP4", "DJI_0002.MP4"),
        ("VID_20260501_120000.mp4", "VID_20260501_120000_1.mp4"),
        ("2026-05-01/12/door/00.00.mp4", "2026-05-01/12/yard/08.00.mp4"),
        ("front-20260501120000.mp4", "back-20260501120800.mp4"),
        ("cam-20260501235200.mp4", "cam-20260502000000.mp4"),
        ("cam-20261301120000.mp4", "cam-20261301120800.mp4"),
        ("ZUr3DxYyTqI_000010_000020.mp4", "ZUr3DxYyTqI_000020_000030.mp4"),
        ("P01_01.MP4", "P01_02.MP4"),
        ("put meat/a.mp4", "put meat/b.mp4"),
    ],
)
def test_files_that_only_look_alike_stay_apart(names):
    assert grouped(*map(film, names)) == {}


def test_numbered_files_are_one_recording_if_the_containers_times_leave_no_gap():
    first, second, third = film("DJI_0001.MP4", at=0), film("DJI_0002.MP4", at=MINUTES + 1), film("DJI_0003.MP4", at=3 * MINUTES)
    assert grouped(first, second, third) == {"DJI_0001": ("DJI_0001.MP4", "DJI_0002.MP4")}
    assert grouped(first, film("DJI_0002.MP4", at=MINUTES, width=640)) == {}
    assert grouped(film("C0001.MP4", 8, at=0), film("C0002.MP4", 8, at=8)) == {}


def test_a_picture_or_a_time_that_does_not_fit_parts_chapters():
    assert grouped(film("GX010123.MP4"), film("GX020123.MP4", width=640)) == {}
    assert grouped(film("GX010123.MP4", camera="a"), film("GX020123.MP4", camera="b")) == {}
    assert grouped(film("GX010123.MP4", at=0), film("GX020123.MP4", at=86_400)) == {}
    assert grouped(film("GX010123.MP4", at=0), film("GX030123.MP4", at=0)) == {"GoPro 0123": ("GX010123.MP4", "GX030123.MP4")}


def test_of_two_cards_with_equal_names_times_tell_the_recordings_and_without_them_chapters_stay_apart():
    names = ("GX010123.MP4", "GX020123.MP4")
    films = days(*names)
    known = detect_recordings(films)
    assert sorted(recording.videos for recording in known.recordings) == sorted((films[i].video, films[i + 1].video) for i in (0, 2))
    assert {recording.name for recording in known.recordings} == {f"GoPro 0123 ({films[i].video[:6]})" for i in (0, 2)}
    assert known.hints == ()
    unknown = detect_recordings([video.model_copy(update={"recorded_at": None}) for video in films])
    assert unknown.recordings == ()
    assert len(unknown.hints) == 2
    assert all("'GX020123.MP4' may be a chapter of 'GoPro 0123'" in hint for hint in unknown.hints)


def labelled(films, *files):
    clips = [clip_record(video.video) for video in films]
    names = {video.video: video.names for video in films}
    given = [AnnotationFile(f"{number}.csv", text if isinstance(text, bytes) else text.encode()) for number, text in enumerate(files)]
    return label_clips(clips, names, given, LabelOptions(), OwnClasses(), dict.fromkeys(names, 30.0), videos=films)


def sources(labelling, films):
    names = {video.video: video.names[0][:4] for video in films}
    return {names[clip.clip.video]: names.get(clip.source, clip.source) for clip in labelling.clips}


FILMS = [film(f"GX0{number}0123.MP4") for number in (1, 2, 3)] + [film("other.mp4")]
HEADER = "video,recording\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ((), ("GX01", "GX01", "GX01", "othe")),
        ((f"{HEADER}GX020123.MP4,\n",), ("GX01", "GX02", "GX01", "othe")),
        ((f"{HEADER}other.mp4,GoPro 0123\n",), ("GX01", "GX01", "GX01", "GX01")),
        ((f"{HEADER}other.mp4,x\nGX030123.MP4,x\nGX010123.MP4,\n",), ("GX01", "GX02", "GX03", "GX03")),
        ((f"{HEADER}GX010123.MP4,x\nGX020123.MP4,x\n",), ("GX01", "GX01", "GX01", "othe")),
        ((f"{HEADER}GX020123.MP4,\n", f"{HEADER}GX020123.MP4,GoPro 0123\n"), ("GX01", "GX01", "GX01", "othe")),
        (("uid,verb,noun,source\nGX010123.MP4,put,meat,mine\n",), ("mine", "GX02", "GX02", "othe")),
    ],
    ids=["detected", "one apart", "one more", "another", "the rest follows", "the later file", "the column source"],
)
def test_clips_have_the_first_video_of_their_recording_as_source_unless_a_file_says_otherwise(files, expected):
    assert tuple(sources(labelled(FILMS, *files), FILMS).values()) == expected


def test_the_list_of_recordings_is_a_label_file_that_changes_nothing():
    films = [film("=GX/GX010123.MP4"), film("=GX/GX020123.MP4")]
    detected = labelled(films)
    listed = recordings_csv(detected.recordings)
    assert b"\nGX010123.MP4,'=GX/GoPro 0123," in listed
    again = labelled(films, listed)
    assert again.problems == ()
    assert again.clips == detected.clips
    assert [recording.reason for recording in again.recordings] == ["by a line video,recording"]


def test_a_line_about_a_video_that_is_not_there_is_refused():
    (problem,) = labelled(FILMS, f"{HEADER}gone.mp4,x\n").problems
    assert problem.line == 2
    assert "gone.mp4" in problem.reason


@pytest.mark.parametrize(
    ("video", "groups"),
    [
        (film("a.mp4"), ()),
        (film("a.mp4", at=0, camera="Sony A7"), (("camera", "Sony A7"), ("recorded_at", "2026-05-01"))),
        (film("2026-05-02/12/door/00.00.mp4", at=0), (("camera", "door"), ("recorded_at", "2026-05-02"))),
        (film("VID_20260502_120000.mp4"), (("recorded_at", "2026-05-02"),)),
    ],
)
def test_camera_and_day_are_groups_as_far_as_they_are_known(video, groups):
    assert camera_groups(video) == groups
    assert labelled([video]).clips[0].groups == groups


def test_a_column_has_the_last_word_on_the_camera():
    (clip,) = labelled([film("a.mp4", at=0, camera="x")], "uid,verb,noun,camera\na.mp4,put,meat,left\n").clips
    assert dict(clip.groups) == {"camera": "left", "recorded_at": "2026-05-01"}
