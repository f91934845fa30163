import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.model.sampling import joined, middle_snippets, random_snippets
from tasks.model.spec import NetworkSpec

NUM_FRAMES, NUM_SEGMENTS, LENGTHS = st.integers(1, 5000), st.integers(1, 32), st.integers(1, 6)


def test_a_full_clip_is_tested_at_the_middle_of_each_segment():
    assert middle_snippets(240, 8) == [[15], [45], [75], [105], [135], [165], [195], [225]]


def test_a_snippet_of_flow_begins_where_tsn_lets_it_begin():
    # tick = (239 - 5 + 1) / 8 = 29.375
    assert [snippet[0] for snippet in middle_snippets(239, 8, 5)] == [14, 44, 73, 102, 132, 161, 190, 220]
    assert middle_snippets(239, 8, 5)[-1] == [220, 221, 222, 223, 224]


@given(NUM_FRAMES, NUM_SEGMENTS, LENGTHS, st.integers(0, 2**32))
def test_one_snippet_begins_inside_each_segment_and_stays_in_the_clip(num_frames, num_segments, length, seed):
    num_places = max(1, num_frames - length + 1)
    tick = num_places / num_segments
    rng = np.random.default_rng(seed)
    for snippets in (middle_snippets(num_frames, num_segments, length), random_snippets(num_frames, num_segments, rng, length)):
        firsts = [snippet[0] for snippet in snippets]
        assert len(firsts) == num_segments
        assert firsts == sorted(firsts)
        assert all(int(tick * i) <= first <= tick * (i + 1) and first < num_places for i, first in enumerate(firsts))
        assert all(snippet == [min(snippet[0] + i, num_frames - 1) for i in range(length)] for snippet in snippets)


@pytest.mark.parametrize("length", [1, 5])
def test_training_reaches_every_frame(length):
    rng = np.random.default_rng(0)
    drawn = (frame for _ in range(300) for snippet in random_snippets(20, 4, rng, length) for frame in snippet)
    assert set(drawn) == set(range(20))


def test_no_frames_cannot_be_sampled():
    with pytest.raises(ValueError, match="without frames"):
        middle_snippets(0, 8)


def test_the_planes_of_a_snippet_are_those_of_its_frames_in_order():
    spec = NetworkSpec(backbone="none", num_segments=2, modality="flow")
    frames = np.arange(2 * 5 * 1 * 3 * 2, dtype=np.uint8).reshape(10, 1, 3, 2)
    snippets = joined(frames, spec)
    assert snippets.shape == (2, 1, 3, 10)
    assert snippets[1, 0, 2].tolist() == frames[5:, 0, 2].ravel().tolist()
