"""Files of one recording are grouped by names and times, doubtful ones stay apart, and a person's lines have the last word."""

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from unittest.mock import Mock

import pytest

from tasks.data.labels import video_names
from tasks.data.labels.camera_file_names import read_file_name
from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.label_clips import label_clips
from tasks.data.labels.recordings import MAX_PATTERNS, camera_groups, detect_recordings, recordings_csv
from tasks.data.labels.video_names import VideoIndex
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
        (("2026_0501_120000_001F.MP4", "2026_0501_120800_002F.MP4"), "2026_0501_120000_001F"),
        (("NO20260501-120000-000123B.MP4", "NO20260501-120800-000124B.MP4"), "NO20260501-120000-000123B"),
        (("2026-05-01_12-00-00-front.mp4", "2026-05-01_12-08-01-front.mp4"), "2026-05-01_12-00-00-front"),
        (("2026-05-01 12-55-00 PM.mp4", "2026-05-01 01-03-00 PM.mp4"), "2026-05-01 12-55-00 PM"),
        (("2026-05-01_11.55.00am.mp4", "2026-05-01_12.03.00pm.mp4"), "2026-05-01_11.55.00am"),
        (("clip0001_20260501_120000.mp4", "clip0002_20260501_120800.mp4"), "clip0001_20260501_120000"),
        (("0009-20260501120000Z-front.mp4", "0010-20260501120800Z-front.mp4"), "0009-20260501120000Z-front"),
    ],
)
def test_files_that_a_camera_cut_are_one_recording(names, name):
    assert grouped(*map(film, reversed(names))) == {name: names}


@pytest.mark.parametrize("prefixes", [("0001_", "0002_"), ("REC001_", "REC002_"), ("clip0001-", "clip0002-")])
def test_a_number_that_comes_with_several_times_is_a_camera_and_no_counter(prefixes):
    names = {prefix: (f"{prefix}20260501120000.mp4", f"{prefix}20260501120800.mp4") for prefix in prefixes}
    films = [film(name) for of_camera in names.values() for name in of_camera]
    assert grouped(*films) == {of_camera[0].removesuffix(".mp4"): of_camera for of_camera in names.values()}
    groups = camera_groups(films)
    assert [dict(groups[each.video])["camera"] for each in films] == [prefix[:-1] for prefix in prefixes for _ in range(2)]


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
        ("cam0001-20260501120000.mp4", "cam0002-20260501120800.mp4"),
        ("101_20260501120000.mp4", "102_20260501120800.mp4"),
        ("0002_20260501120000.mp4", "0001_20260501120800.mp4"),
        ("clip0001_20260501120000_front.mp4", "clip0002_20260501120800_back.mp4"),
        ("2026-05-01 11-55-00 AM.mp4", "2026-05-01 12-03-00 AM.mp4"),
        ("2026_0501_120000_001F.MP4", "2026_0501_120800_002R.MP4"),
        ("NO20260501-120000-000123F.MP4", "NO20260501-120800-000124B.MP4"),
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
    assert grouped(film("GX010123.MP4", fps=24), film("GX020123.MP4", fps=25)) == {}
    assert grouped(film("GX010123.MP4", at=0), film("GX020123.MP4", at=86_400)) == {}
    assert grouped(film("GX010123.MP4", at=0), film("GX030123.MP4", at=0)) == {"GoPro 0123": ("GX010123.MP4", "GX030123.MP4")}


@pytest.mark.parametrize(
    ("names", "rates"),
    [
        (("GX010123.MP4", "GX020123.MP4"), (25.01, 24.98)),
        (("2026-05-01/11/door/52.00.mp4", "2026-05-01/12/door/00.02.mp4"), (5.2, 4.7)),
        (("DJI_0001.MP4", "DJI_0002.MP4"), (29.97, 28.4)),
    ],
)
def test_average_frame_rates_that_vary_part_no_recording(names, rates):
    films = [film(name, at=MINUTES * i, fps=rate) for i, (name, rate) in enumerate(zip(names, rates, strict=True))]
    assert list(grouped(*films).values()) == [names]


@pytest.mark.parametrize(
    ("name", "camera", "hour"),
    [
        ("2026-05-01T12-00-00Z", None, 12),
        ("2026-05-01T12-00-00.000Z", None, 12),
        ("20260501_120000Z_front", "front", 12),
        ("20260501_120000_Z", "Z", 12),
        ("20260501_120000_Zoom", "Zoom", 12),
        ("2026-05-01 12-00-00 AM", None, 0),
        ("2026-05-01 12-00-00\u202fPM", None, 12),
        ("2026-05-01_12.00.00 Pm", None, 12),
        ("2026-05-01_12.00.00 Am", None, 0),
        ("2026-05-01_12.00.00_Am_Herd", "Am-Herd", 12),
        ("2026-05-01 01-00-00 PM front", "front", 13),
        ("2026-05-01 13-00-00 PM", None, 13),
        ("2026-05-01_12-00-00_am_Herd", "am-Herd", 12),
        ("clip0001_20260501_120000", None, 12),
        ("VID_001-20260501_120000_front", "front", 12),
        ("cam0001_20260501_120000", "cam0001", 12),
        ("RecM01_20260501_120000", "RecM01", 12),
        ("Video2_20260501_120000", "Video2", 12),
        ("01_20260501_120000", "01", 12),
        ("NO20260501-120000-000123F", "NO-F", 12),
        ("20260501_120000_4K", None, 12),
        ("cam-20260501120000-1080p", "cam", 12),
    ],
)
def test_zone_half_of_the_day_counters_and_resolution_belong_to_no_camera(name, camera, hour):
    alone = film(f"{name}.mp4")
    groups = dict(camera_groups([alone])[alone.video])
    assert (groups.get("camera"), read_file_name(alone.names[0]).start.hour) == (camera, hour)


def taken_in_as(*names, at=None):
    return film(names[0], at=at).model_copy(update={"names": names})


def test_a_video_taken_in_once_more_under_another_folder_stays_in_its_recording():
    first, second = taken_in_as("b/GX010123.MP4", "new/GX010123.MP4"), taken_in_as("new/GX020123.MP4")
    assert grouped(first, second) == {"new/GoPro 0123": ("new/GX010123.MP4", "new/GX020123.MP4")}
    third = taken_in_as("b/GX020123.MP4", "new/GX030123.MP4")
    (whole,) = detect_recordings([third, second, first]).recordings
    assert sorted(whole.videos) == sorted(video.video for video in (first, second, third))
    assert whole.videos[0] == first.video


def test_names_of_several_kinds_join_one_recording_and_a_video_is_in_it_once():
    first, second = taken_in_as("DJI_0001.MP4", "DJI_0001 (1).MP4", at=0), taken_in_as("DJI_0002.MP4", "cam-20260501120800.mp4", at=MINUTES)
    third = taken_in_as("cam-20260501121600.mp4", "cam-20260501121600-1.mp4")
    (whole,) = detect_recordings([first, second, third]).recordings
    assert sorted(whole.videos) == sorted(video.video for video in (first, second, third))


def test_two_names_in_one_folder_put_no_video_in_doubt_and_a_second_folder_can_settle_it():
    twice = taken_in_as("cam-20260501120000.mp4", "cam-20260501120000-1.mp4")
    assert list(grouped(twice, film("cam-20260501120800.mp4")).values()) == [("cam-20260501120000-1.mp4", "cam-20260501120800.mp4")]
    monday, tuesday = taken_in_as("GX010123.MP4", "monday/GX010123.MP4"), film("GX010123.MP4", of="tuesday")
    second = taken_in_as("GX020123.MP4", "monday/GX020123.MP4")
    detected = detect_recordings([monday, tuesday, second])
    assert [recording.videos for recording in detected.recordings] == [(monday.video, second.video)]
    assert detected.hints == ()


def test_two_channels_of_equal_pictures_are_two_recordings():
    times = ("120000", "120100", "120200")
    films = [film(f"NO20260501-{time}-{123 + i:06}{side}.MP4", 60) for i, time in enumerate(times) for side in "FB"]
    detected = detect_recordings(films)
    assert sorted(recording.files[-1][-5] + str(len(recording.files)) for recording in detected.recordings) == ["B3", "F3"]
    assert detected.hints == ()


def test_timed_and_numbered_files_that_fit_several_recordings_are_named():
    timed = [film("cam-20260501120000.mp4", of=card) for card in "ab"] + [film("cam-20260501120800.mp4")]
    numbered = [film("DJI_0001.MP4", at=at, of=str(at)) for at in (0, 1)] + [film("DJI_0002.MP4", at=MINUTES)]
    for films, name in ((timed, "cam-20260501120800.mp4"), (numbered, "DJI_0002.MP4")):
        detected = detect_recordings(films)
        assert detected.recordings == ()
        (hint,) = detected.hints
        assert hint.startswith(f"'{name}' may")


def test_of_two_cards_with_equal_names_times_tell_the_recordings_and_without_them_chapters_stay_apart():
    names = ("GX010123.MP4", "GX020123.MP4")
    films = days(*names)
    known = detect_recordings(films)
    assert sorted(recording.videos for recording in known.recordings) == sorted((films[i].video, films[i + 1].video) for i in (0, 2))
    assert {recording.name for recording in known.recordings} == {f"GoPro 0123 ({films[i].video[:6]})" for i in (0, 2)}
    assert known.hints == ()
    unknown = detect_recordings([video.model_copy(update={"recorded_at": None}) for video in films])
    assert unknown.recordings == ()
    (hint,) = unknown.hints
    assert hint.startswith("'GX020123.MP4' may continue any of several recordings")


def labelled(films, *files, clips=(), **options):
    """Label these clips, or the first of each film."""
    clips = clips or [clip_record(video.video) for video in films]
    names = {video.video: video.names for video in films}
    given = [AnnotationFile(f"{number}.csv", text if isinstance(text, bytes) else text.encode()) for number, text in enumerate(files)]
    return label_clips(clips, names, given, LabelOptions(**options), OwnClasses(), dict.fromkeys(names, 30.0), videos=films)


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


VISITS = [film(name) for name in ("cam1/a/1.mp4", "cam1/a/x/2.mp4", "cam1/b/3.mp4", "cam2/a/4.mp4", "[a?]/5.mp4", "[a?]/6.mp4")]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("cam1/**/*.mp4,visit", "111456"),
        ("cam1/*/*.mp4,visit", "121456"),
        ("cam*/a/,visit", "113156"),
        ("**,all", "111111"),
        ("**/*.mp4,visit *", "123455"),
        ("cam1/*/*,*\ncam1/a/**,*\ncam1/b/3.mp4,cam1/a", "121456"),
        ("[a?]/*,visit", "123455"),
        ("cam1/**,visit\ncam1/b/*,", "113456"),
        ("CAM1/**,visit", "123456"),
    ],
)
def test_a_pattern_of_a_line_is_all_videos_that_it_matches(lines, expected):
    labelling = labelled(VISITS, f"{HEADER}{lines}\n")
    number = {video.video: video.names[0][-5] for video in VISITS}
    assert "".join(number.get(clip.source, number[clip.clip.video]) for clip in labelling.clips) == expected
    assert [problem.reason for problem in labelling.problems] == (["no video has a name like 'CAM1/**'"] if "CAM" in lines else [])


def test_a_name_with_an_asterisk_is_that_video_and_a_pattern_means_the_videos_beside_its_file_first():
    films = [film("a*1.mp4"), film("ab1.mp4"), film("c2.mp4")]
    assert [recording.files for recording in labelled(films, f"{HEADER}a*1.mp4,x\nc2.mp4,x\n").recordings] == [("a*1.mp4", "c2.mp4")]
    names = {video.video: video.names for video in VISITS}
    near = VideoIndex([], names).beside(frozenset(video.video for video in VISITS[:2]))
    assert {name for _, name in near.matching("cam*/a/**")} == {"cam1/a/1.mp4", "cam1/a/x/2.mp4"}
    assert len(near.matching("cam2/**")) == 1
    assert VideoIndex([], {"deep": (f"{'a/' * 400}b.mp4",)}).matching(f"{'**/' * 340}b.mp4")


@pytest.mark.parametrize("repeated", ["**/", "**/*/"])
def test_the_work_of_a_pattern_does_not_grow_with_its_length(repeated, monkeypatch):
    near = VideoIndex([], {"other": ("a/b/c/1.mov",)})

    def num_comparisons(pattern):
        compare = Mock(side_effect=fnmatchcase)
        monkeypatch.setattr(video_names, "fnmatchcase", compare)
        near.matching(pattern)
        return compare.call_count

    few, many = (num_comparisons(f"{repeated * number}*.mp4") for number in (5, 25))
    assert 0 < many == few


def test_patterns_are_few_because_each_is_compared_with_all_names():
    (*_, last) = labelled(VISITS, HEADER + "**,all\n" * (MAX_PATTERNS + 1)).problems
    assert "only 50 patterns are read" in last.reason


@pytest.mark.parametrize("num_given", [1, 2, 3])
def test_a_source_that_parts_a_file_from_its_recording_is_named(num_given):
    rows = "".join(f"GX0{number}0123.MP4,put,meat,mine\n" for number in range(1, num_given + 1))
    hints = [hint for hint in labelled(FILMS, f"uid,verb,noun,source\n{rows}").hints if "GoPro 0123" in hint]
    assert [hint.partition(":")[0] for hint in hints] == (["GoPro 0123"] if num_given < 3 else [])


def test_a_recording_of_lines_is_in_the_order_of_its_file_names():
    for prefix in "abcdefgh":
        names = [f"{prefix} {word}.mp4" for word in ("one", "three", "two")]
        (recording,) = labelled(list(map(film, names)), HEADER + "".join(f"{name},x\n" for name in reversed(names))).recordings
        assert recording.files == tuple(names)


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
    assert camera_groups([video]) == {video.video: groups}
    assert labelled([video]).clips[0].groups == groups


def test_a_column_has_the_last_word_on_the_camera():
    (clip,) = labelled([film("a.mp4", at=0, camera="x")], "uid,verb,noun,camera\na.mp4,put,meat,left\n").clips
    assert dict(clip.groups) == {"camera": "left", "recorded_at": "2026-05-01"}
