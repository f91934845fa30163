"""Which labels are altered: a share that follows from the seed alone."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._utils import ExceptionWrapper

from tasks.errors import BadDataset, MissingObject
from tasks.learn.inputs import data
from tasks.learn.inputs.crops import Augmentation
from tasks.learn.inputs.data import (
    NO_LABEL,
    CachedClip,
    ClipDataset,
    ClipKey,
    EpochSampler,
    View,
    errors_of_workers,
    make_loader,
    with_label_noise,
)
from tasks.learn.training.fit import fit
from tests.learn.tiny import kept_job, scores, tiny


def dataset(clips: list[CachedClip], **choice) -> ClipDataset:
    return ClipDataset(clips, tiny(), partial(View.images, spec=tiny()), **choice)


def test_a_training_item_follows_from_seed_epoch_and_clip_alone(clips):
    ours, theirs = (dataset(clips, seed=1) for _ in range(2))
    theirs[ClipKey(0, 0)]  # whatever was drawn before
    key = ClipKey(epoch=3, clip=2)
    expected = ours[key].inputs
    assert torch.equal(expected, theirs[key].inputs)
    assert torch.equal(expected, dataset(clips[2:3], seed=1)[ClipKey(3, 0)].inputs), "whatever other clips there are"
    others = [ours[other].inputs for other in (ClipKey(4, 2), ClipKey(3, 1))]
    others.append(dataset(clips, seed=2)[key].inputs)
    assert len({inputs.numpy().tobytes() for inputs in (expected, *others)}) == 4
    sample, copy = ours[key], ours[ClipKey(3, 2, counts=False)]
    assert torch.equal(sample.inputs, copy.inputs), "also where it only fills a batch, and comes without its labels"
    assert (int(sample.verb), int(copy.verb), int(copy.noun)) == (2, NO_LABEL, NO_LABEL)


def test_epochs_take_turns_with_a_number_of_views(clips):
    turns, free = dataset(clips, seed=1, num_views=3), dataset(clips, seed=1)
    assert torch.equal(turns[ClipKey(7, 2)].inputs, free[ClipKey(1, 2)].inputs)
    assert [len(turns.views(epochs)) for epochs in (1, 2, 3, 60)] == [6, 12, 18, 18]
    assert dataset(clips).views(60) == [View(clip.frames) for clip in clips]
    assert len({view.name for view in turns.views(60)}) == 18
    reordered = dataset(clips, seed=2, num_views=3, views_seed=1)
    assert set(reordered.views(3)) == set(turns.views(3)), "another order of the same views"
    assert reordered.keys(0) == dataset(clips, seed=2).keys(0) != turns.keys(0)


def test_validation_takes_middle_snippets_and_the_centre_whatever_the_epoch(clips):
    shown = dataset(clips)
    images = shown[ClipKey(0, 1)].inputs
    assert torch.equal(images, shown[ClipKey(9, 1)].inputs)
    middle = np.load(clips[1].frames)[[5, 15], 16:240, 38:262]
    assert torch.equal(images, torch.from_numpy(middle).permute(0, 3, 1, 2))


def test_ten_crops_are_four_corners_and_the_centre_each_before_its_mirror_image(clips):
    frames = torch.from_numpy(np.load(clips[1].frames)[[5, 15]]).permute(0, 3, 1, 2)
    cuts = [frames[..., y : y + 224, x : x + 224] for x, y in ((0, 0), (76, 0), (0, 32), (76, 32), (38, 16))]
    expected = torch.stack([view for cut in cuts for view in (cut, cut.flip(-1))])
    assert torch.equal(dataset(clips, num_crops=10)[ClipKey(0, 1)].inputs, expected)


def test_middle_frames_are_cropped_anew_in_every_epoch_unless_all_is_fixed_as_in_a_test(clips):
    def images(augmentation: Augmentation) -> set[bytes]:
        shown = dataset(clips, seed=1, middle_frames=True, augmentation=augmentation)
        return {shown[ClipKey(epoch, 2)].inputs.numpy().tobytes() for epoch in range(4)}

    assert images(Augmentation("centre", mirror=False)) == {dataset(clips)[ClipKey(0, 2)].inputs.numpy().tobytes()}
    assert all(len(images(drawing)) > 1 for drawing in (Augmentation(), Augmentation("centre")))


@pytest.mark.slow
def test_worker_processes_give_the_same_batches(clips):
    def batches(num_workers: int) -> list[torch.Tensor]:
        loader = make_loader(EpochSampler(dataset(clips, seed=3)), batch_size=4, num_workers=num_workers, pin_memory=False)
        loader.sampler.set_epoch(2)
        return [tensor for batch in loader for tensor in batch]

    assert all(torch.equal(here, there) for here, there in zip(batches(0), batches(1), strict=True))


def test_workers_read_ahead_the_batches_that_shared_memory_is_reckoned_for(clips, monkeypatch):
    monkeypatch.setattr(data, "READ_AHEAD", 5)
    loader = make_loader(EpochSampler(dataset(clips)), batch_size=4, num_workers=1, pin_memory=False)
    assert loader.prefetch_factor == 5


def raised_by_a_worker(error: Exception) -> None:
    """Raise an error as a loader does that a worker raised it in."""
    try:
        raise error
    except Exception:  # noqa: BLE001 - as torch catches it
        ExceptionWrapper(where="in DataLoader worker process 0").reraise()


def test_an_error_of_a_worker_process_keeps_its_kind_and_its_message():
    message = "0003.npy: the clip's frames are missing; decode the clip again"
    with pytest.raises(MissingObject) as caught, errors_of_workers():
        raised_by_a_worker(MissingObject(message))
    assert str(caught.value) == message
    with pytest.raises(MissingObject, match=f"^{message}$"), errors_of_workers():
        raise MissingObject(message)


def numbered(num_clips: int, seed: int | None, actions: Sequence[int] = (0,), **choice) -> ClipDataset:
    """Clips that are never read; what they show follows from their number."""
    clips = [CachedClip(Path(f"{i}.npy"), actions[i % len(actions)] % 5, actions[i % len(actions)] // 5) for i in range(num_clips)]
    return dataset(clips, seed=seed, **choice)


def test_each_epoch_shows_every_clip_once_in_an_order_of_its_own():
    def order(seed: int | None, epoch: int) -> list[ClipKey]:
        sampler = EpochSampler(numbered(50, seed))
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(1, 4)) == [ClipKey(4, i) for i in range(50)]
    assert order(1, 4) == order(1, 4)
    assert [key.clip for key in order(1, 4)] != [key.clip for key in order(1, 5)]
    assert order(None, 4) == [ClipKey(4, i) for i in range(50)]


@pytest.mark.parametrize("seed", [1, None])
@pytest.mark.parametrize("num_clips", [1, 7, 8])
def test_processes_together_take_the_batches_of_one_in_equally_many_steps(seed, num_clips):
    shown = numbered(num_clips, seed)
    alone = list(EpochSampler(shown))
    shares = [EpochSampler(shown, rank, 4) for rank in range(4)]
    keys = [list(share) for share in shares]
    assert {len(own) for own in keys} == {len(shares[0])}
    for step in range(len(shares[0])):
        together = {key for own in keys for key in own[step : step + 1] if key.counts}
        assert together == set(alone[step * 4 : step * 4 + 4])


def test_views_of_other_augmentations_have_names_of_their_own():
    kinds = [Augmentation(crop, mirror) for crop, mirror in product(("resized", "multi-scale", "centre"), (True, False))]
    names = {View(Path("a.npy"), 0, 1, kind, middle).name for kind in kinds for middle in (False, True)}
    names |= {View(Path("a.npy"), number=number, num_crops=10).name for number in range(10)}
    assert len(names | {View(Path("a.npy")).name}) == 2 * len(kinds) + 11
    assert View(Path("a.npy"), 0, 1).name == "a-0-1"
    assert len({View(Path("a.npy"), augmentation=kind).name for kind in kinds}) == 1


def test_no_clips_and_foreign_class_ids_are_refused(clips):
    with pytest.raises(BadDataset, match="no labelled clip"):
        dataset([])
    with pytest.raises(BadDataset, match="verb 5 or noun 0"):
        dataset([CachedClip(clips[0].frames, 5, 0)])


@pytest.mark.parametrize(
    ("content", "error"), [(b"", BadDataset), (b"no array", BadDataset), (np.zeros((4, 256, 256)), BadDataset), (None, MissingObject)]
)
def test_frames_that_cannot_be_read_name_their_file(tmp_path: Path, content, error):
    path = tmp_path / "frames.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(error, match=r"frames\.npy"):
        dataset([CachedClip(path, 0, 0)])[ClipKey(0, 0)]


actions = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=60)


def clips_of(pairs):
    return [CachedClip(Path(f"{i}.npy"), verb, noun) for i, (verb, noun) in enumerate(pairs)]


def altered(before, after):
    return [clip.frames for clip, other in zip(before, after, strict=True) if clip != other]


@given(actions.filter(lambda pairs: len(set(pairs)) > 1), st.floats(0, 1), st.integers(0, 2**31 - 1), st.randoms())
def test_the_share_gets_another_action_of_train_in_whatever_order(pairs, share, seed, random):
    clips = clips_of(pairs)
    noisy = with_label_noise(clips, share, seed)
    assert len(altered(clips, noisy)) == round(share * len(clips))
    assert {(clip.verb, clip.noun) for clip in noisy} <= set(pairs)
    assert [clip.frames for clip in noisy] == [clip.frames for clip in clips]
    order = random.sample(range(len(clips)), len(clips))
    assert with_label_noise([clips[i] for i in order], share, seed) == [noisy[i] for i in order]


def test_another_seed_alters_other_clips_a_larger_share_more_of_them_and_one_action_alone_has_no_wrong_label():
    clips = clips_of([(i % 3, i % 2) for i in range(60)])
    some, others, more = (altered(clips, with_label_noise(clips, *how)) for how in ((0.2, 0), (0.2, 1), (0.5, 0)))
    assert set(some) != set(others)
    assert set(some) < set(more)
    clips = clips_of([(1, 1)] * 5)
    assert with_label_noise(clips, 0, 0) == clips
    with pytest.raises(BadDataset, match="two actions or more"):
        with_label_noise(clips, 0.2, 0)


def test_a_training_sees_the_altered_labels_in_every_epoch_and_val_as_it_is(clips, tmp_path):
    noisy, by_hand = (
        kept_job(tmp_path / str(label_noise), clips, label_noise=label_noise, class_weights="balanced", epochs=2)
        for label_noise in (0.5, 0)
    )
    altered_by_hand = replace(by_hand, train=with_label_noise(by_hand.train, 0.5, by_hand.options.seed))
    assert scores(fit(noisy)) == scores(fit(altered_by_hand))
