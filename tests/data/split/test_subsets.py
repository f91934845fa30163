"""Shares of the training clips: whole videos, nested, drawn by the seed."""

from itertools import groupby

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.split.subsets import random_orders, subset_sizes

films = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60)


@given(films, st.integers(0, 2**31 - 1))
def test_each_order_has_every_clip_once_and_video_after_video(sources, seed):
    for order in random_orders(sources, 3, seed):
        assert sorted(order) == list(range(len(sources)))
        runs = [source for source, _ in groupby(sources[clip] for clip in order)]
        assert len(runs) == len(set(sources))


@given(films, st.integers(0, 2**31 - 1))
def test_draws_follow_from_the_seed_and_further_draws_change_none_before(sources, seed):
    assert random_orders(sources, 2, seed) == random_orders(sources, 5, seed)[:2]


def test_draws_differ_in_their_videos_and_in_the_clips_of_one():
    many = random_orders([video for video in "abcdefgh" for _ in range(3)], 5, 0)
    assert len({frozenset(order[:6]) for order in many}) > 1
    assert len({tuple(order) for order in random_orders(["a"] * 20, 5, 0)}) == 5


@given(st.integers(1, 100_000))
def test_sizes_rise_from_a_clip_or_more_to_all(num_clips):
    sizes = subset_sizes(num_clips)
    assert sizes == sorted(set(sizes))
    assert sizes[0] >= 1
    assert sizes[-1] == num_clips
    if num_clips >= 20:
        assert [round(size / num_clips, 1) for size in sizes] == [0.1, 0.2, 0.5, 1.0]


def test_half_a_clip_is_rounded_up():
    assert subset_sizes(45) == [5, 9, 23, 45]
