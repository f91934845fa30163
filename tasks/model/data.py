"""Clips for training: frames read from memory-mapped files, every random draw a function of (seed, epoch, clip)."""

# b: batch, t: segments, h, w: pixels

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tasks.errors import BadDataset, MissingObject
from tasks.model.crops import Frames, augmented, cut_crops
from tasks.model.sampling import middle_frames, random_frames
from tasks.model.spec import NetworkSpec

NO_LABEL = -100
"""The class id of a clip that stands in a batch a second time, only to fill it."""


@dataclass(frozen=True)
class LabelledClip:
    """A clip's decoded frames, an .npy file of uint8 RGB (num_frames, h, w, 3) at short side 256, and its class ids."""

    frames: Path
    verb: int
    noun: int


class Sample(NamedTuple):
    """One clip, or a batch of them: images uint8 (b, t, 3, 224, 224), verb and noun (b,), both NO_LABEL where the clip does not count."""

    images: Tensor
    verb: Tensor
    noun: Tensor


class ClipKey(NamedTuple):
    """What an item is asked for by; without `counts` it comes without its labels."""

    epoch: int
    clip: int
    counts: bool = True


@dataclass(frozen=True)
class Share:
    """Which part of every batch is this process's: place `rank`, from 0, among `num_processes`."""

    rank: int = 0
    num_processes: int = 1


def read_frames(path: Path, num_segments: int, rng: np.random.Generator | None = None) -> Frames:
    """The frames that a network sees of one clip, and no others: uint8 (t, h, w, 3).

    Args:
        path: .npy file, uint8 (num_frames, h, w, 3).
        num_segments: t.
        rng: draws one frame a segment; None takes the middle ones, as in a test.

    Raises:
        MissingObject: there is no such file.
        BadDataset: it holds something else.
    """
    try:
        clip = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise MissingObject(f"{path}: the clip's frames are not there; decode it again") from None
    except (EOFError, ValueError) as error:
        raise BadDataset(f"{path}: not an array of frames ({error}); delete it and decode the clip again") from None
    if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[-1] != 3 or not len(clip):
        raise BadDataset(f"{path}: holds {clip.dtype} {clip.shape} where uint8 (frames, h, w, 3) is read; decode the clip again")
    indices = middle_frames(len(clip), num_segments) if rng is None else random_frames(len(clip), num_segments, rng)
    return np.stack([clip[i] for i in indices])


class ClipDataset(Dataset[Sample]):
    """Items are asked for by ClipKey; without `augment_seed` every epoch gives middle frames and centre crops.

    Raises:
        BadDataset: there is no clip, or a class id has no place in the network.
    """

    def __init__(self, clips: Sequence[LabelledClip], spec: NetworkSpec, augment_seed: int | None = None) -> None:
        if not clips:
            raise BadDataset("there is no labelled clip to train or validate on; label some and build the dataset again")
        for clip in clips:
            if not (0 <= clip.verb < spec.num_verbs and 0 <= clip.noun < spec.num_nouns):
                raise BadDataset(f"{clip.frames}: verb {clip.verb} and noun {clip.noun} have no place among {spec}")
        self.clips = clips
        self.num_segments = spec.num_segments
        self.augment_seed = augment_seed

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: ClipKey) -> Sample:
        epoch, index, counts = key
        clip = self.clips[index]
        if self.augment_seed is None:
            images = cut_crops(read_frames(clip.frames, self.num_segments), 1)[0]
        else:
            rng = np.random.default_rng([self.augment_seed, epoch, index])
            images = augmented(read_frames(clip.frames, self.num_segments, rng), seed=int(rng.integers(2**62)))
        return Sample(images, torch.tensor(clip.verb if counts else NO_LABEL), torch.tensor(clip.noun if counts else NO_LABEL))


class EpochSampler(Sampler[ClipKey]):
    """One process's keys of an epoch; Lightning tells the epoch, also after a resume.

    The order is a function of (seed, epoch); no seed, no shuffling. Processes take turns, so that their batches together are those of one
    process that takes larger ones. The last clip fills a short last round, without counting: every process does equally many steps.
    """

    def __init__(self, num_clips: int, seed: int | None = None, share: Share = Share()) -> None:
        self.num_clips = num_clips
        self.seed = seed
        self.share = share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.num_clips // self.share.num_processes)

    def __iter__(self) -> Iterator[ClipKey]:
        order = (
            np.arange(self.num_clips) if self.seed is None else np.random.default_rng([self.seed, self.epoch]).permutation(self.num_clips)
        )
        keys = [ClipKey(self.epoch, int(index)) for index in order]
        keys += [keys[-1]._replace(counts=False)] * (-len(keys) % self.share.num_processes)
        return iter(keys[self.share.rank :: self.share.num_processes])


def make_loader(
    clips: Sequence[LabelledClip],
    spec: NetworkSpec,
    *,
    batch_size: int,
    seed: int | None,
    num_workers: int,
    pin_memory: bool,
    share: Share = Share(),
) -> DataLoader[Sample]:
    """Batches of `clips`: shuffled and augmented under `seed`, or, without one, in order, by middle frames and centre crops.

    `batch_size` counts the clips of this process's share alone.
    """
    return DataLoader(
        ClipDataset(clips, spec, seed),
        batch_size=batch_size,
        sampler=EpochSampler(len(clips), seed, share),
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # its own, so that making an iterator draws nothing from torch's
    )
