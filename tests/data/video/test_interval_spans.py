"""Which parts of a video are cut around labelled intervals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.video.interval_spans import FrameSpan, interval_spans
from tasks.options import SegmentOptions

OPTIONS = SegmentOptions(clip_seconds=8, fps=10)


def parts(*intervals, video_seconds=60.0):
    """Start and stop of each part in seconds."""
    return [
        (span.start_frame / 10, (span.start_frame + span.num_frames) / 10) for span in interval_spans(intervals, video_seconds, OPTIONS)
    ]


@pytest.mark.parametrize(
    ("interval", "expected"),
    [
        ((20, 28), [(20, 28)]),
        ((22, 24), [(19, 27)]),
        ((0, 2), [(0, 8)]),
        ((57, 60), [(52, 60)]),
        ((50, 90), [(50, 58), (52, 60)]),
        ((10, 34), [(10, 18), (18, 26), (26, 34)]),
        ((10, 27), [(10, 18), (14.5, 22.5), (19, 27)]),
        ((60, 70), []),
        ((5, 5), []),
    ],
)
def test_parts_of_one_interval(interval, expected):
    assert parts(interval) == expected


def test_a_short_video_is_one_part():
    assert parts((1, 2), (3, 4), video_seconds=5) == [(0, 5)]


def test_of_equal_parts_that_of_the_longest_interval_remains():
    assert interval_spans([(23, 25), (22, 26), (23.5, 24.5)], 60, OPTIONS) == [FrameSpan(200, 80, (22, 26))]


times = st.floats(0, 100, allow_nan=False)
many = st.lists(st.tuples(times, times).map(sorted).map(tuple), max_size=6)


@given(many, st.floats(0.5, 90), st.floats(1, 20), st.randoms())
def test_parts_lie_in_the_video_and_cover_their_intervals(intervals, video_seconds, clip_seconds, random):
    options = SegmentOptions(clip_seconds=clip_seconds, fps=10)
    spans = interval_spans(intervals, video_seconds, options)
    num_video_frames, num_frames = int(video_seconds * 10 + 1e-6), round(clip_seconds * 10)
    assert all(0 <= one.start_frame <= one.start_frame + one.num_frames <= num_video_frames for one in spans)
    assert {one.num_frames for one in spans} <= {min(num_frames, num_video_frames)}
    starts = [one.start_frame for one in spans]
    assert starts == sorted(set(starts))
    covered = {frame for one in spans for frame in range(one.start_frame, one.start_frame + one.num_frames)}
    for start, stop in intervals:
        # A frame belongs to an interval that covers its whole time; at the ends of a part, rounding may leave one out.
        inside = range(int(start * 10) + 2, min(int(stop * 10), num_video_frames) - 1)
        assert set(inside) <= covered
    shuffled = list(intervals)
    random.shuffle(shuffled)
    assert interval_spans(shuffled, video_seconds, options) == spans
