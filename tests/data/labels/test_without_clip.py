"""Intervals that label no clip are named, in one line a file."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.labels.page_labels import PAGE

HEADER = "video,start_seconds,stop_seconds,verb,noun\n"


def lines_of(rows):
    return HEADER + "".join(f"a.mp4,{start:.6f},{stop:.6f},{verb},{noun}\n" for start, stop, verb, noun in rows)


def test_a_short_interval_and_a_third_action_are_named_with_line_and_remedy(label):
    rows = [(3.5, 11, "take", "bag"), (10.2, 10.9, "open", "door"), (16, 24, "put", "meat"), (16, 20, "cut", "tofu"), (20, 23, "mix", "")]
    labelling = label({"a.mp4": 3}, {"labels.csv": lines_of(rows)})
    assert labelling.without_clip == (
        "labels.csv: 2 intervals label no clip: too short for min_overlap=0.25 of a clip, or less of it than other actions; "
        "cut=both cuts clips around them, or choose a smaller min_overlap: line 3 (open door at 10.2-10.9 s), line 6 (mix at 20-23 s)",
    )
    assert labelling.without_clip[0] in labelling.hints
    assert labelling.problems == ()


def test_the_second_action_of_a_clip_and_parts_that_count_together_are_used(label):
    rows = [(0, 5, "take", "bag"), (5, 8, "open", "door"), (8, 9.1, "put", "meat"), (12, 13.1, "put", "meat")]
    assert label({"a.mp4": 2}, {"labels.csv": lines_of(rows)}).without_clip == ()


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
