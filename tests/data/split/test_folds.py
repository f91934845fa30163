"""Folds and shares of the training clips: whole source videos, drawn by the seed."""

from itertools import groupby

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.split.folds import folds_of, random_orders, subset_sizes
from tasks.errors import BadDataset
from tasks.options import SegmentOptions
from tasks.store.records.dataset import NOTHING, Manifest
from tasks.store.records.video import Interval
from tests.data.labels.records import dataset_clip
from tests.pipeline.shelf import manifest_of, words

films = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60)


def manifest(actions_of_source: list[list[int]]) -> Manifest:
    clips = [
        dataset_clip(f"{source}-{i}", "train", source=f"source {source}", video=str(source), verb=f"verb {verb}", verb_class=verb)
        for source, verbs in enumerate(actions_of_source)
        for i, verb in enumerate(verbs)
    ]
    held_out = [clips[0].model_copy(update={"uid": f"{split}-1", "source": split, "split": split}) for split in ("val", "test")]
    return manifest_of([*clips, *held_out], words({i: f"verb {i}" for i in range(4)}, {26: "meat"}))


SOURCES = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=5, max_size=12)


@given(sources=SOURCES, num_folds=st.sampled_from([3, 5]), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_each_training_clip_is_held_out_once_and_no_source_is_divided(sources, num_folds, seed):
    whole = manifest(sources)
    folds = folds_of(whole, num_folds, seed)
    trained_on = [clip.uid for clip in whole.clips if clip.split == "train"]
    held_out = [clip.uid for fold in folds for clip in fold.clips if clip.split == "val"]
    assert sorted(held_out) == sorted(trained_on)
    for fold in folds:
        assert [clip.uid for clip in fold.clips] == trained_on
        split_of = {clip.source: clip.split for clip in fold.clips}
        assert all(split_of[clip.source] == clip.split for clip in fold.clips)
    assert folds == folds_of(whole, num_folds, seed)


@pytest.mark.parametrize(("cut", "num_held_out"), [("both", 3), ("intervals", 6)])
def test_of_both_cuts_folds_are_validated_on_the_grid_alone(cut, num_held_out):
    whole = manifest([[0, 1]] * 3)
    around = Interval(start_seconds=1, stop_seconds=2)
    clips = [clip.model_copy(update={"around": around}) if clip.uid.endswith("-1") else clip for clip in whole.clips]
    folds = folds_of(whole.model_copy(update={"clips": tuple(clips), "segment": SegmentOptions(cut=cut)}), 3, 0)
    assert sum(clip.split == "val" for fold in folds for clip in fold.clips) == num_held_out
    assert all(sum(clip.split == "train" for clip in fold.clips) == 4 for fold in folds)


def test_folds_that_cannot_be_validated_are_refused():
    with pytest.raises(BadDataset, match="and it has 2; choose fewer, or folds=0"):
        folds_of(manifest([[0], [1]]), 3, 0)
    whole = manifest([[0], [0], [0]])
    idle = [clip.model_copy(update={"verb": NOTHING}) if clip.source == "source 1" else clip for clip in whole.clips]
    with pytest.raises(BadDataset, match=r"nothing happens in any validation clip of fold [123]; choose fewer folds"):
        folds_of(whole.model_copy(update={"clips": tuple(idle)}), 3, 0)


@given(films, st.integers(0, 2**31 - 1))
def test_each_order_has_every_clip_once_and_video_after_video_and_further_draws_change_none_before(sources, seed):
    orders = random_orders(sources, 5, seed)
    assert random_orders(sources, 2, seed) == orders[:2]
    for order in orders:
        assert sorted(order) == list(range(len(sources)))
        runs = [source for source, _ in groupby(sources[clip] for clip in order)]
        assert len(runs) == len(set(sources))


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
