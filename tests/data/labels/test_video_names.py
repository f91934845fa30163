"""Names of videos in what is handed out to other tools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.video_names import name_without_label, video_names, without_extension
from tests.data.labels.records import video_record


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
    assert video_names([recorded(0, given_by_prediction, "1/a.mp4")]) == {video: "a.mp4"}
    assert video_names([recorded(0, given_by_prediction)]) == {video: given_by_prediction}


@given(st.lists(st.sets(st.sampled_from(["a.mp4", "a.mov", "A.mp4", "x/a.mp4", "x\\a.mp4", "y/a.mp4", "b.mp4"]), min_size=1), max_size=5))
def test_names_stay_distinct_without_their_extensions(names):
    named = video_names([recorded(number, *own) for number, own in enumerate(names)])
    assert len({without_extension(name).casefold() for name in named.values()}) == len(names)
