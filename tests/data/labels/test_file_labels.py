"""Intervals that label no clip are named, in one line a file; an import says how a file is read before any clip is cut."""

import json
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.labels.csv_rows import AnnotationFile
from tasks.data.labels.file_labels import check_files
from tasks.data.labels.page_labels import PAGE
from tasks.data.labels.vocabulary import OwnClasses
from tasks.options import LabelOptions
from tasks.store.records.dataset import LabelsFile
from tests.data.labels.records import INTERVALS, video_of, video_record
from tests.records import some


def lines_of(rows):
    return INTERVALS + "".join(f"a.mp4,{start:.6f},{stop:.6f},{verb},{noun}\n" for start, stop, verb, noun in rows)


def test_a_short_interval_and_a_third_action_are_named_with_line_and_remedy(label):
    rows = [(3.5, 11, "take", "bag"), (10.2, 10.9, "open", "door"), (16, 24, "put", "meat"), (16, 20, "cut", "tofu"), (20, 23, "mix", "")]
    labelling = label({"a.mp4": 3}, {"labels.csv": lines_of(rows)})
    assert labelling.without_clip == (
        "labels.csv: 2 intervals label no clip: too short for min_overlap=0.25 of a clip, or less of it than other actions; "
        "cut=both cuts clips around them, or choose a smaller min_overlap: line 3 (open door at 10.2-10.9 s), line 6 (mix at 20-23 s)",
    )
    assert labelling.without_clip[0] in labelling.hints
    assert labelling.problems == ()


def test_an_interval_after_the_last_clip_is_rejected_alone(label):
    labelling = label({"a.mp4": 1}, {"labels.csv": lines_of([(30, 31, "take", "bag")])})
    assert (labelling.without_clip, len(labelling.problems)) == ((), 1)


def test_an_interval_of_the_page_is_used_if_any_of_its_parts_labels_a_clip(label):
    parts = [(2, 8, "take", "bag"), (8, 9, "take", "bag"), (20, 21.5, "open", "door")]
    assert label({"a.mp4": 3}, {PAGE: lines_of(parts)}).without_clip == (
        "the page Label: 1 interval labels no clip: too short for min_overlap=0.25 of a clip, or less of it than other actions; "
        "cut=both cuts clips around them, or choose a smaller min_overlap: 'a.mp4' (open door at 20-21.5 s)",
    )


def test_very_many_short_intervals_are_one_line_and_counted_in_time_that_grows_with_their_number(label):
    used = []
    for num_rows in (3_000, 12_000):
        rows = [(tick / num_rows * 100, tick / num_rows * 100 + 0.001, f"verb-{tick % 90}", "x") for tick in range(num_rows)]
        tries = []
        for _ in range(3):
            start = time.process_time()
            (line,) = label({"a.mp4": 13}, {"labels.csv": lines_of(rows)}).without_clip
            tries.append(time.process_time() - start)
        assert line.startswith(f"labels.csv: {num_rows} intervals label no clip")
        assert len(line) < 600
        used.append(min(tries))  # a collection of garbage may fall into a try
    assert used[1] < 8 * used[0]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 70), st.integers(1, 40), st.sampled_from(["take", "put", "cut"])).map(
            lambda row: (row[0] / 3, (row[0] + row[1]) / 3, row[2], "x")
        ),
        min_size=1,
        max_size=9,
    )
)
def test_each_interval_has_a_clip_of_its_label_or_is_counted(label, rows):
    labelling = label({"a.mp4": 3}, {"labels.csv": lines_of(rows)})
    clips = [(clip.clip.start_seconds, clip.clip.stop_seconds, {clip.action, clip.second_action}) for clip in labelling.clips]
    unused = [
        row
        for row in rows
        if not any(start + 1e-6 < row[1] and row[0] + 1e-6 < stop and f"{row[2]} x" in said for start, stop, said in clips)
    ]
    numbers = [int(line.split(": ")[1].split(" ")[0]) for line in labelling.without_clip]
    assert numbers == ([len(unused)] if unused else [])


def video(name):
    return video_record(video_of(name), names=(name,), fps=25, duration_seconds=24)


def check(*files, others=(), videos=("a.mp4", "x/b.mp4", "y/b.mp4")):
    made = [AnnotationFile(name, text.encode()) for name, text in files]
    return check_files(made, [AnnotationFile(name, text.encode()) for name, text in others], [video(name) for name in videos], OwnClasses())


def test_labels_of_videos_that_the_store_lacks_are_told_apart_from_refused_ones():
    rows = (
        "a.mp4,0,8,put,meat\ngone.mp4,0,8,put,meat\ngone.mp4,8,9,put,meat\nb.mp4,0,1,put,meat\na.mp4,9,8,put,meat\na.mp4,99,100,put,meat\n"
    )
    (checked,) = check(("x.csv", INTERVALS + rows))
    assert (checked.layout, checked.num_labels) == ("intervals", 1)
    assert checked.without_video == {"gone.mp4": 2}
    assert [problem.line for problem in checked.problems] == [5, 6, 7]
    assert "matches 2 videos" in checked.problems[0].reason
    assert checked.num_refused == 3


def test_two_files_of_one_name_have_their_own_problems():
    first, second = check(("x.csv", INTERVALS + "a,0,8,put,meat\n"), ("x.csv", "nothing\n"))
    assert (first.num_labels, first.problems) == (1, ())
    assert (second.layout, second.num_labels, second.num_refused) == ("", 0, 1)
    assert second.problems[0].file == "x.csv"


def test_a_line_about_a_clip_counts_however_the_video_is_cut():
    uid = f"{video('a.mp4').video[:12]}_0-8000"
    (checked,) = check(("to_label.csv", f"uid,verb,noun\n{uid},put,meat\n{'0' * 12}_0-8000,put,meat\n"))
    assert (checked.num_labels, checked.without_video) == (1, {f"{'0' * 12}_0-8000": 1})


def test_earlier_files_give_words_their_meaning():
    (checked,) = check(("x.csv", INTERVALS + "a,0,8,holiday,meat\n"), others=[("classes.csv", "target,name,same_as\nverb,holiday,-\n")])
    assert (checked.num_labels, checked.num_refused) == (0, 1)
    assert "is left out (classes.csv line 2)" in checked.problems[0].reason


def test_an_item_of_json_has_its_place():
    tasks = [{"id": 9, "data": {"video": "a.mp4"}, "annotations": [{"was_cancelled": True, "result": []}]}]
    (checked,) = check(("x.json", json.dumps(tasks)))
    assert (checked.layout, checked.problems[0].item) == ("Label Studio JSON", "task 9")


def test_an_interval_that_ends_after_its_video_is_remarked(label):
    rows = INTERVALS + "a.mp4,20,24.9,put,meat\na.mp4,16,26,put,meat\na.mp4,20,99,put,meat\n"
    (checked,) = check(("x.csv", rows))
    assert (checked.num_labels, checked.num_refused) == (3, 0)
    assert checked.remarks == (
        "2 intervals end after the video; is the frame rate or the video another? "
        "line 3 at 26 s, of 'a.mp4' with 24 s, line 4 at 99 s, of 'a.mp4' with 24 s",
    )
    # A rest of less than a clip may have become none.
    assert label({"a.mp4": 3}, {"x.csv": rows}).hints == (
        "x.csv: 1 interval ends after the video; is the frame rate or the video another? line 4 at 99 s, of 'a.mp4' with 24 s",
    )


def test_items_of_a_tool_are_remarked_by_their_place():
    timeline = {"ranges": [{"start": 1, "end": 2400}], "timelinelabels": ["put meat"]}
    tasks = [{"id": 9, "data": {"video": "a.mp4"}, "annotations": [{"result": [{"value": timeline}]}]}]
    (checked,) = check(("x.json", json.dumps(tasks)))
    assert checked.remarks == (
        "no frame rate for 1 label: 24 assumed; `labels import --frame-rate` states another",
        "1 interval ends after the video; is the frame rate or the video another? task 9, result 1 at 100 s, of 'a.mp4' with 24 s",
    )


def test_intervals_that_would_label_none_of_the_clips_labelled_last_are_remarked(make):
    content = INTERVALS + "a.mp4,0,8,put,meat\na.mp4,9,9.7,open,door\nx/b.mp4,1,1.5,open,door\n"
    clips = tuple(make.labelled("a.mp4", None, index) for index in range(2))
    last = some(LabelsFile, options=LabelOptions(min_overlap=0.25), clips=clips)
    (checked,) = check_files([AnnotationFile("x.csv", content.encode())], [], [video("a.mp4"), video("x/b.mp4")], OwnClasses(), last)
    (remark,) = checked.remarks
    assert (checked.num_labels, checked.num_refused) == (3, 0)
    assert remark.startswith("1 interval labels no clip: too short for min_overlap=0.25")
    assert remark.endswith("line 3 (open door at 9-9.7 s)")
