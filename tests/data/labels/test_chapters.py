"""Chapters follow one another where names and times say so, and an interval that goes on in the next one labels a clip across the border."""

import pytest

from tasks.data.clips.stored_clips import clip_uid
from tasks.data.labels.chapters import borders_of
from tasks.data.labels.csv_rows import RecordingLine
from tasks.store.records.video import Interval
from tests.data.labels.records import INTERVALS, actions, clip_record
from tests.data.labels.test_recordings import MINUTES, film, labelled

FIRST, SECOND = film("GX010123.MP4", 60), film("GX020123.MP4", 60)
ACROSS = clip_uid(FIRST.video, 56, 64)


@pytest.mark.parametrize(
    ("films", "follow"),
    [
        ((FIRST, SECOND), True),
        ((film("GOPR0123.MP4"), film("GP010123.MP4")), True),
        ((film("GX010123.MP4", at=0), film("GX020123.MP4", at=0)), True),
        ((film("GX010123.MP4", at=0), film("GX020123.MP4", at=MINUTES + 1)), True),
        ((film("GX010123.MP4", at=0), film("GX020123.MP4", at=MINUTES + 3)), False),
        ((film("GX010123.MP4"), film("GX030123.MP4")), False),
        ((film("GX010123.MP4"), film("GX020123.MP4", fps=60)), False),
        ((film("GX010123.MP4"), film("GL020123.LRV")), False),
        ((film("GL010123.LRV"), film("GL020123.LRV")), False),
        ((film("front-20260501120000.mp4"), film("front-20260501120800.mp4")), False),
        ((film("DJI_0001.MP4", at=0), film("DJI_0002.MP4", at=MINUTES)), False),
    ],
)
def test_a_chapter_follows_another_only_where_no_frame_can_be_missing(films, follow):
    borders = {films[0].video: (films[0].duration_seconds, films[1].video)} if follow else {}
    assert borders_of(films, {}) == borders


def test_a_line_that_parts_a_chapter_from_its_recording_ends_that_there():
    apart = RecordingLine(line=2, video="GX020123.MP4", recording="")
    assert borders_of([FIRST, SECOND], {SECOND.video: apart}) == {}


def test_lines_join_no_chapters_of_different_pictures():
    films = [film("GX010123.MP4"), film("GX020123.MP4", fps=60)]
    rows = {video.video: RecordingLine(line=2, video=video.names[0], recording="x") for video in films}
    assert borders_of(films, rows) == {}


def labelled_across(*files, videos=(FIRST, SECOND)):
    """Label the last clip of the first chapter, a clip across the border, and the first of the second."""
    interval = Interval(start_seconds=57, stop_seconds=63, next_video=SECOND.video)
    across = clip_record(FIRST.video, uid=ACROSS, start_seconds=56, stop_seconds=64, around=interval)
    clips = [clip_record(FIRST.video, 6), across, clip_record(SECOND.video)]
    labelling = labelled(videos, *files, clips=clips, nothing_share=1)
    return actions(labelling), labelling


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([f"{INTERVALS}GX010123.MP4,57,60,put,meat\nGX020123.MP4,0,3,put,meat\n"], [None, "put meat", "put meat"]),
        ([f"{INTERVALS}GX010123.MP4,57,58.5,put,meat\nGX020123.MP4,0.4,3,put,meat\n"], [None, "put meat", "put meat"]),
        ([f"{INTERVALS}GX020123.MP4,0,3,put,meat\n", f"{INTERVALS}GX010123.MP4,57,60,put,meat\n"], [None, "put meat", "put meat"]),
        ([f"{INTERVALS}GX010123.MP4,57,63,put,meat\n"], [None, "put meat", "put meat"]),
        ([f"{INTERVALS}GX010123.MP4,59,60,put,meat\nGX020123.MP4,0,1,take,bag\n"], [None, None, None]),
        ([f"{INTERVALS}GX020123.MP4,5,8,take,bag\n"], [None, None, "take bag"]),
        (["uid,verb,noun\nGX010123.MP4,put,meat\n"], ["put meat", None, None]),
        (["video,fully_labelled\nGX010123.MP4,yes\n"], ["nothing", None, None]),
    ],
    ids=["joined", "nearly touching", "two files", "past the end", "of two labels", "none", "whole video", "nothing"],
)
def test_the_clip_across_has_the_label_of_the_interval_that_goes_on(files, expected):
    assert labelled_across(*files)[0] == expected


def test_an_interval_past_the_end_of_a_chapter_is_no_mistake_of_its_file():
    _, labelling = labelled_across(f"{INTERVALS}GX010123.MP4,50,70,put,meat\nGX010123.MP4,57,70,take,bag\n")
    assert not labelling.problems
    assert not [hint for hint in labelling.hints if "after the video" in hint]


@pytest.mark.parametrize("parted", ["uid,verb,noun,source\nGX020123.MP4,move,pan,mine\n", "video,recording\nGX020123.MP4,\n"])
def test_a_clip_shows_no_two_sources(parted):
    label = f"uid,verb,noun\n{ACROSS},put,meat\n"
    assert labelled_across(label)[0][1] == "put meat"
    assert labelled_across(parted, label)[0][1] is None


def test_a_folder_labels_no_clip_across():
    videos = [video.model_copy(update={"names": (f"put meat/{video.names[0]}",)}) for video in (FIRST, SECOND)]
    assert labelled_across(videos=videos)[0] == ["put meat", None, "put meat"]
