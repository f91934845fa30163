from pathlib import Path

import numpy as np
import pytest
import torch

from tasks.errors import BadDataset, MissingObject
from tasks.model.data import ClipDataset, EpochSampler, LabelledClip, make_loader


def test_a_training_item_follows_from_seed_epoch_and_clip(clips, tiny_spec):
    one, two = (ClipDataset(clips, tiny_spec, augment_seed=1) for _ in range(2))
    two[0, 0]  # whatever was drawn before
    assert torch.equal(one[3, 2].images, two[3, 2].images)
    others = [one[4, 2], one[3, 1], ClipDataset(clips, tiny_spec, augment_seed=2)[3, 2]]
    assert not any(torch.equal(one[3, 2].images, other.images) for other in others)


def test_validation_takes_middle_frames_and_the_centre_whatever_the_epoch(clips, tiny_spec):
    dataset = ClipDataset(clips, tiny_spec)
    images = dataset[0, 1].images
    assert torch.equal(images, dataset[9, 1].images)
    middle = np.load(clips[1].frames)[[5, 15], 16:240, 38:262]
    assert torch.equal(images, torch.from_numpy(middle).permute(0, 3, 1, 2))


def test_worker_processes_give_the_same_batches(clips, tiny_spec):
    def batches(num_workers: int) -> list[torch.Tensor]:
        loader = make_loader(clips, tiny_spec, batch_size=4, seed=3, num_workers=num_workers, pin_memory=False)
        loader.sampler.set_epoch(2)
        return [tensor for batch in loader for tensor in batch]

    assert all(torch.equal(here, there) for here, there in zip(batches(0), batches(1), strict=True))


def test_each_epoch_shows_every_clip_once_in_an_order_of_its_own():
    def order(seed: int | None, epoch: int) -> list[tuple[int, int]]:
        sampler = EpochSampler(50, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(1, 4)) == [(4, i) for i in range(50)]
    assert order(1, 4) == order(1, 4)
    assert [i for _, i in order(1, 4)] != [i for _, i in order(1, 5)]
    assert order(None, 4) == [(4, i) for i in range(50)]


def test_no_clips_and_foreign_class_ids_are_refused(clips, tiny_spec):
    with pytest.raises(BadDataset, match="no labelled clip"):
        ClipDataset([], tiny_spec)
    with pytest.raises(BadDataset, match="verb 5 and noun 0"):
        ClipDataset([LabelledClip(clips[0].frames, 5, 0)], tiny_spec)


@pytest.mark.parametrize("content", [b"", b"no array", None])
def test_frames_that_cannot_be_read_name_their_file(tmp_path: Path, tiny_spec, content):
    path = tmp_path / "frames.npy"
    if content is None:
        np.save(path, np.zeros((4, 256, 256), dtype=np.float32))
    else:
        path.write_bytes(content)
    with pytest.raises(BadDataset, match=r"frames\.npy"):
        ClipDataset([LabelledClip(path, 0, 0)], tiny_spec)[0, 0]


def test_missing_frames_name_their_file(tmp_path: Path, tiny_spec):
    with pytest.raises(MissingObject, match=r"gone\.npy"):
        ClipDataset([LabelledClip(tmp_path / "gone.npy", 0, 0)], tiny_spec)[0, 0]
