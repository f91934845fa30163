"""Names of videos: as other tools write them, and in what is handed out to other tools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.video_names import MAX_NEAR_MATCHES, VideoIndex, name_without_label, video_names, without_extension
from tests.data.labels.records import video_record


@pytest.fixture(scope="module")
def places(make):
    def of(*names):
        name_of = {make.clip(name).video: name for name in names}
        return VideoIndex([make.clip(name) for name in names], {video: (name,) for video, name in name_of.items()}), name_of

    return of


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("/home/x/films/kitchen/a.mp4", "kitchen/a.mp4"),
        ("s3://bucket/garden/a.mp4", "garden/a.mp4"),
        ("https://host/any/c%20d.mp4?token=%2Fa.mp4", "c d.mp4"),
        ("/elsewhere/c d", "c d.mp4"),
        ("D:\\films\\garden\\A.MP4", "garden/a.mp4"),
        ("/data/local-files/?d=films%2Fgarden%2Fa.mp4", "garden/a.mp4"),
        ("/data/upload/12/0123abcd-c%20d.mp4", "c d.mp4"),
        ("0123abcd-c d.mp4", "c d.mp4"),
        ("/data/upload/12/e.mp4", "e.mp4"),
        ("file:///home/anna/films/c d.mp4", "c d.mp4"),
        ("../videos/c d.mp4", "c d.mp4"),
        ("s3://bucket/films/take #1?.mp4", "take #1?.mp4"),
        ("file:///D:/films/take #1?.mp4", "take #1?.mp4"),
        ("https://host/c%20d.mp4#t=10", "c d.mp4"),
        ("s3://bucket/kitchen/a.mp4?versionId=3", "kitchen/a.mp4"),
        ("gs://bucket/films/c%20d.mp4?generation=5", "c d.mp4"),
        ("file:///films/c%20d.mp4#t=10.5,20", "c d.mp4"),
        ("/x/a.mp4", "matches 2 videos"),
        ("http://[::1/a.mp4", "matches 2 videos"),
        *((written, None) for written in ("s3://bucket/c d #2.mp4", "s3://bucket/c d.2#3.mp4", "cam:1.mp4", "/", "..", "")),
    ],
)
def test_a_path_of_another_machine(places, written, meant):
    known, name_of = places("kitchen/a.mp4", "garden/a.mp4", "c d.mp4", "c d.2.mp4", "1.mp4", "take #1?.mp4", "e.mp4", "12/e.mp4")
    if meant in name_of.values():
        assert name_of[known.video(written, loosely=True)] == meant
    else:
        with pytest.raises(ValueError, match=meant or "matches no ingested video"):
            known.video(written, loosely=True)


def test_retakes_own_files_need_a_name_that_fits_and_the_address_of_a_stored_video_has_its_hash(places):
    known, name_of = places("kitchen/a.mp4")
    with pytest.raises(ValueError, match="matches no ingested video"):
        known.video("/home/x/kitchen/a.mp4")
    (video,) = name_of
    assert known.video(f"s3://retake/videos/{video}/source.mp4", loosely=True) == video


def test_a_video_without_clips_is_told_so_however_often_they_are_listed(make):
    video = make.clip("a.mp4").video
    known = VideoIndex([], {video: ("a.mp4",)})
    for _ in range(2):
        assert known.clips(video) == []
        with pytest.raises(ValueError, match="has no clips"):
            known.video("a.mp4")


def test_few_names_are_compared_however_many_files_have_videos_of_their_own_beside_them(make):
    names = {make.clip(name).video: (name,) for name in map("kitchen{}.mp4".format, range(MAX_NEAR_MATCHES))}
    known, told = VideoIndex([], names), []
    for video in names:
        with pytest.raises(ValueError, match="matches no ingested video") as error:
            known.beside(frozenset([video])).named("kitchn.mp4")
        told.append("near: " in str(error.value))
    assert told == [True] * MAX_NEAR_MATCHES
    with pytest.raises(ValueError, match=r"video$"):
        known.beside(frozenset(names)).named("kitchn.mp4")


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(places, text):
    known, _ = places("kitchen/a.mp4", "a b.mp4")
    try:
        known.video(text, loosely=True)
    except ValueError as error:
        assert "video" in str(error)


def recorded(number, *names):
    return video_record(f"{number:064x}", names=tuple(sorted(names)))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["take/a.mp4", "b.mp4"], ["a.mp4", "b.mp4"]),
        (["küche.mp4"], ["küche.mp4"]),
        (["1/a.mp4", "2/a.mp4"], ["1/a.mp4", "2/a.mp4"]),
        (["1/a.mp4", "a.mp4"], ["1/a.mp4", "a.mp4"]),
        (["a.mp4", "a.mov"], [f"{0:064x}", f"{1:064x}"]),
        (["a.mp4", "A.mp4"], [f"{0:064x}", f"{1:064x}"]),
        (["1/a.mp4", "1/a.mp4"], [f"{0:064x}", f"{1:064x}"]),
    ],
)
def test_a_name_is_as_short_as_tells_videos_apart(names, expected):
    assert list(video_names([recorded(number, name) for number, name in enumerate(names)]).values()) == expected


def test_a_name_that_a_prediction_gave_stands_back():
    video = f"{0:064x}"
    given_by_prediction = name_without_label("take/bag/a.mp4", video)
    assert name_without_label("take\\bag\\a.mp4", video) == given_by_prediction
    assert video_names([recorded(0, given_by_prediction, "1/a.mp4")]) == {video: "a.mp4"}
    assert video_names([recorded(0, given_by_prediction)]) == {video: given_by_prediction}


@given(st.lists(st.sets(st.sampled_from(["a.mp4", "a.mov", "A.mp4", "x/a.mp4", "x\\a.mp4", "y/a.mp4", "b.mp4"]), min_size=1), max_size=5))
def test_names_stay_distinct_without_their_extensions(names):
    named = video_names([recorded(number, *own) for number, own in enumerate(names)])
    assert len({without_extension(name).casefold() for name in named.values()}) == len(names)
