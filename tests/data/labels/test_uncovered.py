"""Uncovered time of fully labelled videos becomes clips in which nothing happens."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.labels.intervals import drawn_by, uncovered
from tasks.data.split.manifest import dataset_digest
from tasks.options import LabelOptions
from tasks.store.records.dataset import NOTHING, Manifest
from tasks.store.records.video import Interval
from tests.data.conftest import _clip
from tests.pipeline.shelf import manifest_of

INTERVALS = "video,start_seconds,stop_seconds,verb,noun\na.mp4,2,9,put,meat\na.mp4,39.5,41,take,bag\nb.mp4,0,8,put,meat\n"
MARKS = "video,fully_labelled\na.mp4,yes\nb.mp4,no\n"


def verbs(result):
    return [clip.verb for clip in result.clips]


def test_only_clips_of_marked_videos_that_no_label_touches_become_nothing(label):
    files = {"intervals.csv": INTERVALS, "done.csv": MARKS}
    result = label({"a.mp4": 7, "b.mp4": 3}, files, nothing_share=1)
    # The clip of 8 to 16 s is touched for a second, those of 32 to 40 s and 40 to 48 s by the second interval.
    assert verbs(result) == ["put", None, NOTHING, NOTHING, None, None, NOTHING, "put", None, None]
    assert {clip.origin for clip in result.clips if clip.verb == NOTHING} == {"done.csv:2"}
    assert result.problems == ()
    assert verbs(label({"a.mp4": 7, "b.mp4": 3}, files)) == ["put", *[None] * 6, "put", None, None]


def test_what_people_said_on_the_page_without_a_label_is_left_alone(label, make):
    unsure = make.clip("a.mp4", 2).uid
    result = label(
        {"a.mp4": 4}, {"intervals.csv": INTERVALS, "done.csv": MARKS.replace("b.mp4,no\n", "")}, nothing_share=1, touched={unsure}
    )
    assert verbs(result) == ["put", None, None, NOTHING]


def test_a_later_line_overrides_and_an_unknown_video_is_named(label):
    files = {"done.csv": MARKS, "later.csv": "fully_labelled,video\nNo,a\nTRUE,b.mp4\nyes,c.mp4\nmaybe,a.mp4\n"}
    result = label({"a.mp4": 1, "b.mp4": 1}, files, nothing_share=1)
    assert verbs(result) == [None, NOTHING]
    said = {problem.line: problem.reason for problem in result.problems}
    assert said.keys() == {4, 5}
    assert "matches no ingested video" in said[4]
    assert "write yes or no" in said[5]


@settings(max_examples=60)
@given(
    spans=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20)), max_size=8),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_a_larger_share_adds_clips_and_none_overlaps_an_interval(spans, shares):
    clips = [_clip("a.mp4", index) for index in range(14)]
    rows = [Interval(start_seconds=start, stop_seconds=start + length) for start, length in spans]
    fewer, more = (uncovered(clips, rows, set(), share) for share in shares)
    assert {clip.uid for clip in fewer} <= {clip.uid for clip in more}
    free = [clip for clip in clips if all(row.stop_seconds <= clip.start_seconds or row.start_seconds >= clip.stop_seconds for row in rows)]
    assert uncovered(clips, rows, set(), 1) == free


def test_the_share_is_met_on_many_clips():
    chosen = [drawn_by(f"{number:012x}_000000000-000008000") < 0.3 for number in range(5000)]
    assert sum(chosen) / 5000 == pytest.approx(0.3, abs=0.02)


def test_the_default_leaves_the_digest_of_a_dataset_as_it_was():
    manifest = manifest_of(())
    assert manifest.model_dump(mode="json")["label"] == {"min_overlap": 0.25}
    chosen = manifest.model_copy(update={"label": LabelOptions(nothing_share=0.5)})
    assert Manifest.model_validate_json(chosen.model_dump_json()) == chosen
    assert dataset_digest(chosen) != dataset_digest(manifest)
