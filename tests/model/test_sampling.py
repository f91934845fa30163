import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.model.sampling import middle_frames, random_frames

NUM_FRAMES, NUM_SEGMENTS = st.integers(1, 5000), st.integers(1, 32)


def test_a_full_clip_is_tested_at_the_middle_of_each_segment():
    assert middle_frames(240, 8) == [15, 45, 75, 105, 135, 165, 195, 225]


@given(NUM_FRAMES, NUM_SEGMENTS, st.integers(0, 2**32))
def test_one_frame_inside_each_segment(num_frames, num_segments, seed):
    tick = num_frames / num_segments
    for frames in (middle_frames(num_frames, num_segments), random_frames(num_frames, num_segments, np.random.default_rng(seed))):
        assert len(frames) == num_segments
        assert frames == sorted(frames)
        assert all(int(tick * i) <= frame <= tick * (i + 1) and frame < num_frames for i, frame in enumerate(frames))


def test_training_reaches_every_frame():
    rng = np.random.default_rng(0)
    assert {frame for _ in range(300) for frame in random_frames(20, 4, rng)} == set(range(20))


def test_no_frames_cannot_be_sampled():
    with pytest.raises(ValueError, match="without frames"):
        middle_frames(0, 8)
