from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadDataset, MissingObject
from tasks.model.augmentation import Augmentation
from tasks.model.data import NO_LABEL, CachedClip, ClipDataset, ClipKey, View
from tasks.model.loading import EpochSampler, Share, make_loader
from tasks.model.spec import NetworkSpec
from tests.model.conftest import TINY


def dataset(clips: list[CachedClip], spec: NetworkSpec, **choice) -> ClipDataset:
    return ClipDataset(clips, spec, partial(View.images, spec=spec), **choice)


def test_a_training_item_follows_from_seed_epoch_and_clip(clips, tiny_spec):
    one, two = (dataset(clips, tiny_spec, seed=1) for _ in range(2))
    two[ClipKey(0, 0)]  # whatever was drawn before
    key = ClipKey(epoch=3, clip=2)
    assert torch.equal(one[key].inputs, two[key].inputs)
    others = [one[ClipKey(4, 2)], one[ClipKey(3, 1)], dataset(clips, tiny_spec, seed=2)[key]]
    assert not any(torch.equal(one[key].inputs, other.inputs) for other in others)


def test_a_clip_is_seen_the_same_way_whatever_others_there_are(clips, tiny_spec):
    alone = dataset(clips[2:3], tiny_spec, seed=1)
    assert torch.equal(alone[ClipKey(3, 0)].inputs, dataset(clips, tiny_spec, seed=1)[ClipKey(3, 2)].inputs)


def test_epochs_take_turns_with_a_number_of_views(clips, tiny_spec):
    turns, free = dataset(clips, tiny_spec, seed=1, num_views=3), dataset(clips, tiny_spec, seed=1)
    assert torch.equal(turns[ClipKey(7, 2)].inputs, free[ClipKey(1, 2)].inputs)
    assert [len(turns.views(epochs)) for epochs in (1, 2, 3, 60)] == [6, 12, 18, 18]
    assert dataset(clips, tiny_spec).views(60) == [View(clip.frames) for clip in clips]
    assert len({view.name for view in turns.views(60)}) == 18


def test_validation_takes_middle_snippets_and_the_centre_whatever_the_epoch(clips, tiny_spec):
    shown = dataset(clips, tiny_spec)
    images = shown[ClipKey(0, 1)].inputs
    assert torch.equal(images, shown[ClipKey(9, 1)].inputs)
    middle = np.load(clips[1].frames)[[5, 15], 16:240, 38:262]
    assert torch.equal(images, torch.from_numpy(middle).permute(0, 3, 1, 2))


def test_shorter_segments_show_frames_nearer_to_the_middle_ones(clips, tiny_spec):
    def distances(segment_length: float) -> list[int]:
        shown = dataset(
            numbered_frames, tiny_spec, seed=1, augmentation=Augmentation("centre", mirror=False), segment_length=segment_length
        )
        return [abs(int(shown[ClipKey(epoch, 0)].inputs[i, 0, 0, 0]) - (5, 15)[i]) for epoch in range(60) for i in range(2)]

    frames = np.zeros((20, 256, 256, 3), np.uint8) + np.arange(20, dtype=np.uint8)[:, None, None, None]
    path = clips[0].frames.with_name("numbered.npy")
    np.save(path, frames)
    numbered_frames = [CachedClip(path, 0, 0)]
    assert [max(distances(part)) for part in (1, 0.6, 0.01)] == [5, 3, 1]


def test_worker_processes_give_the_same_batches(clips, tiny_spec):
    def batches(num_workers: int) -> list[torch.Tensor]:
        loader = make_loader(dataset(clips, tiny_spec, seed=3), batch_size=4, num_workers=num_workers, pin_memory=False)
        loader.sampler.set_epoch(2)
        return [tensor for batch in loader for tensor in batch]

    assert all(torch.equal(here, there) for here, there in zip(batches(0), batches(1), strict=True))


def numbered(num_clips: int, seed: int | None, actions: Sequence[int] = (0,), **choice) -> ClipDataset:
    """Clips that are never read; what they show follows from their number."""
    clips = [CachedClip(Path(f"{i}.npy"), actions[i % len(actions)] % 5, actions[i % len(actions)] // 5) for i in range(num_clips)]
    return dataset(clips, TINY, seed=seed, **choice)


def test_each_epoch_shows_every_clip_once_in_an_order_of_its_own():
    def order(seed: int | None, epoch: int) -> list[ClipKey]:
        sampler = EpochSampler(numbered(50, seed))
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(1, 4)) == [ClipKey(4, i) for i in range(50)]
    assert order(1, 4) == order(1, 4)
    assert [key.clip for key in order(1, 4)] != [key.clip for key in order(1, 5)]
    assert order(None, 4) == [ClipKey(4, i) for i in range(50)]


@pytest.mark.parametrize(("seed", "balanced"), [(1, False), (None, False), (1, True)])
@pytest.mark.parametrize("num_clips", [1, 7, 8])
def test_processes_together_take_the_batches_of_one_in_equally_many_steps(seed, balanced, num_clips):
    shown = numbered(num_clips, seed, (0, 0, 0, 7), balanced=balanced)
    alone = list(EpochSampler(shown))
    shares = [EpochSampler(shown, Share(rank, 4)) for rank in range(4)]
    keys = [list(share) for share in shares]
    assert {len(own) for own in keys} == {len(shares[0])}
    for step in range(len(shares[0])):
        together = {key for own in keys for key in own[step : step + 1] if key.counts}
        assert together == set(alone[step * 4 : step * 4 + 4])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=40), st.integers(0, 5))
def test_a_balanced_epoch_shows_every_action_and_each_of_its_clips_as_often_as_any_other(actions, epoch):
    keys = numbered(len(actions), 1, actions, balanced=True).keys(epoch)
    assert len(keys) == len(actions)
    times = Counter(key.clip for key in keys)
    of_action = {action: [times[clip] for clip, other in enumerate(actions) if other == action] for action in actions}
    sums = [sum(found) for found in of_action.values()]
    assert max(sums) - min(sums) <= 1
    assert all(max(found) - min(found) <= 1 for found in of_action.values())
    assert sorted((key.clip, key.repeat) for key in keys) == sorted((clip, n) for clip, number in times.items() for n in range(number))


def test_balanced_epochs_favour_other_actions_and_clips_each_in_an_order_of_its_own():
    shown, actions = numbered(10, 1, (0, 0, 0, 0, 1), balanced=True), (0, 0, 0, 0, 1) * 2
    orders = [[key.clip for key in shown.keys(epoch)] for epoch in range(20)]
    assert orders[3] == [key.clip for key in numbered(10, 1, (0, 0, 0, 0, 1), balanced=True).keys(3)]
    assert len(set(map(tuple, orders))) == 20
    assert {clip for order in orders for clip in order} == set(range(10))
    assert all(sum(actions[clip] for clip in order) == 5 for order in orders)
    assert [key.clip for key in numbered(10, 2, (0, 0, 0, 0, 1), balanced=True).keys(3)] != orders[3]


def test_a_clip_that_an_epoch_repeats_is_seen_in_another_view(clips, tiny_spec):
    seen = dataset(clips[:3], tiny_spec, seed=1)
    first, second, next_epoch = (seen[key].inputs for key in (ClipKey(3, 2), ClipKey(3, 2, repeat=1), ClipKey(4, 2)))
    assert not torch.equal(first, second)
    assert not torch.equal(second, next_epoch)


@pytest.mark.parametrize("num_views", [2, None])
def test_all_that_balanced_epochs_see_is_among_their_views(num_views):
    shown = numbered(9, 1, (0, 0, 1), balanced=True, num_views=num_views)
    asked: list[View] = []
    shown.source = lambda view: asked.append(view) or torch.empty(0)
    for epoch in range(4):
        for key in shown.keys(epoch):
            shown[key]
    assert set(asked) == set(shown.views(4))
    assert len({view.name for view in asked}) == len(shown.views(4)) <= 9 * (num_views or 99)


def test_views_of_other_augmentations_have_names_of_their_own():
    choices = product(("resized", "multi-scale", "centre"), (0, 0.1, 0.25, 1), (True, False))
    kinds = [Augmentation(crop, jitter, mirror) for crop, jitter, mirror in choices]
    names = {View(Path("a.npy"), 0, 1, kind, middle).name for kind in kinds for middle in (False, True)}
    names |= {View(Path("a.npy"), number=number, num_crops=10).name for number in range(10)}
    names |= {View(Path("a.npy"), 0, 1, segment_length=part).name for part in (0.1, 0.5)}
    assert len(names | {View(Path("a.npy")).name}) == 2 * len(kinds) + 13
    assert View(Path("a.npy"), 0, 1).name == "a-0-1"
    assert len({View(Path("a.npy"), augmentation=kind).name for kind in kinds}) == 1


def test_a_clip_that_fills_a_batch_comes_without_its_labels(clips, tiny_spec):
    shown = dataset(clips, tiny_spec, seed=1)
    sample, copy = shown[ClipKey(3, 2)], shown[ClipKey(3, 2, counts=False)]
    assert torch.equal(sample.inputs, copy.inputs)
    assert (int(sample.verb), int(copy.verb), int(copy.noun)) == (2, NO_LABEL, NO_LABEL)


def test_no_clips_and_foreign_class_ids_are_refused(clips, tiny_spec):
    with pytest.raises(BadDataset, match="no labelled clip"):
        dataset([], tiny_spec)
    with pytest.raises(BadDataset, match="verb 5 or noun 0"):
        dataset([CachedClip(clips[0].frames, 5, 0)], tiny_spec)


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_frames_that_cannot_be_read_name_their_file(tmp_path: Path, tiny_spec, content):
    path = tmp_path / "frames.npy"
    if content is None:
        np.save(path, np.zeros((4, 256, 256), dtype=np.float32))
    else:
        path.write_bytes(content)
    with pytest.raises(BadDataset, match=r"frames\.npy"):
        dataset([CachedClip(path, 0, 0)], tiny_spec)[ClipKey(0, 0)]


def test_missing_frames_name_their_file(tmp_path: Path, tiny_spec):
    with pytest.raises(MissingObject, match=r"gone\.npy"):
        dataset([CachedClip(tmp_path / "gone.npy", 0, 0)], tiny_spec)[ClipKey(0, 0)]
