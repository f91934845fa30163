"""Load labelled training clips in batches, shared by processes.

Every random draw is a function of (seed, view, clip).
"""

# b: batch, t: segments, f: features, h, w: pixels, p: 8-bit planes of a snippet

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tasks.errors import BadDataset, RetakeError
from tasks.learn.inputs.crops import PLAIN, Augmentation, NumCrops, augmented, cut_views
from tasks.learn.inputs.snippets import read_snippets, read_sound_input
from tasks.learn.networks.spec import NetworkSpec

NO_LABEL = -100
"""Class id of a clip without a label, or one that only fills up a batch."""
READ_AHEAD = 2
"""Batches that each worker of a loader reads ahead."""


@dataclass(frozen=True)
class CachedClip:
    """A clip's decoded frames and class ids.

    `frames` is an .npy file of the sampling window: uint8 (num_frames, h, w, 3), or (num_frames, h, w, 2) for flow, short side 256. A file with
    exactly as many frames as all snippets together holds the test frames only, in order; for a video network it holds frames at the network's
    own rate. The file name identifies the content; it seeds the random draws and names the cached features. `source` is the source video, or
    None for the clip alone; a probe keeps a source's clips in one fold. Both classes are NO_LABEL if only a teacher says what the clip shows.
    """

    frames: Path
    verb: int
    noun: int
    source: str | None = None

    @property
    def has_label(self) -> bool:
        """Check whether the classes are known."""
        return self.verb != NO_LABEL


class Sample(NamedTuple):
    """A clip or a batch with its classes.

    Inputs are images uint8 (b, t, p, 224, 224) or features float32 (b, t, f); with ten crops (b, k, t, …). `verb` and `noun` (b,) are NO_LABEL
    if the clip has no label or does not count. `clip` (b,) is its index in the dataset, -1 if it does not count.
    """

    inputs: Tensor
    verb: Tensor
    noun: Tensor
    clip: Tensor


class ClipKey(NamedTuple):
    """Index of a dataset item. Without `counts` its labels are NO_LABEL."""

    epoch: int
    clip: int
    counts: bool = True


class View(NamedTuple):
    """One view of a clip: frames and augmentation, drawn with `seed` and `number`.

    With `middle_frames` only the augmentation is random. Without a seed, the view is the centre crop of the middle frames, or with
    `num_crops` 10 the crop `number`.
    """

    frames: Path
    seed: int | None = None
    number: int = 0
    augmentation: Augmentation = PLAIN
    middle_frames: bool = False
    num_crops: NumCrops = 1

    @property
    def name(self) -> str:
        """Return the unique name of this view of this clip."""
        if self.seed is None:
            return f"{self.frames.stem}-middle" if self.num_crops == 1 else f"{self.frames.stem}-middle-crop-{self.number}"
        drawn = [str(self.seed), str(self.number), self.augmentation.name, "middle" if self.middle_frames else ""]
        return "-".join(filter(None, [self.frames.stem, *drawn]))

    def images(self, spec: NetworkSpec) -> Tensor:
        """Read the input of a network, a pure function of `name` and the spec's snippets.

        It is uint8 (t, p, h, w), or features of sound float32 (t, f).

        Raises:
            MissingObject: the frames file does not exist.
            BadDataset: it does not hold frames.
        """
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.number, _hashed(self.frames.stem)])
        frames_rng = None if self.middle_frames else rng
        if spec.sound:
            return torch.from_numpy(read_sound_input(self.frames, spec, frames_rng))
        snippets = read_snippets(self.frames, spec, frames_rng)
        if rng is None:
            crop = cut_views(snippets, self.num_crops, spec.modality, spec.video)[self.number]
            return torch.from_numpy(np.ascontiguousarray(crop.transpose(0, 3, 1, 2)))
        return augmented(snippets, int(rng.integers(2**62)), spec.modality, self.augmentation, spec.video)


def _hashed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


Source = Callable[[View], Tensor]
"""Returns the inputs (t, …) of a network, or of its heads, for one view."""


@dataclass(eq=False, repr=False)
class ClipDataset(Dataset[Sample]):
    """Labelled clips, indexed by ClipKey.

    Without a seed, every epoch has their middle views in the given order.

    Args:
        clips, spec, source: the clips, the network, and a function that returns a view's inputs.
        seed: of the random views and orders.
        num_views: number of views per clip that epochs cycle through; None draws new views for each epoch.
        augmentation: of the random views.
        middle_frames: use the middle frames in random views; they are the middle views if the augmentation is deterministic, too.
        num_crops: of the middle views; ten crops add a dimension in front.
        views_seed: of the random views, instead of `seed`.

    Raises:
        BadDataset: there are no clips, or the network has no output for a class.
    """

    clips: Sequence[CachedClip]
    spec: NetworkSpec
    source: Source
    seed: int | None = None
    num_views: int | None = None
    augmentation: Augmentation = PLAIN
    middle_frames: bool = False
    num_crops: NumCrops = 1
    views_seed: int | None = None

    def __post_init__(self) -> None:
        if not self.clips:
            raise BadDataset("there are no labelled clips to train or validate on; label some and build the dataset again")
        for clip in self.clips:
            if clip.has_label and not (0 <= clip.verb < self.spec.num_verbs and 0 <= clip.noun < self.spec.num_nouns):
                raise BadDataset(f"{clip.frames}: verb {clip.verb} or noun {clip.noun} has no output in {self.spec}")
        self.num_crops = self.spec.num_crops(self.num_crops)
        self.draws_views = self.seed is not None and not (self.middle_frames and self.augmentation.draws_nothing)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: ClipKey) -> Sample:
        clip = self.clips[key.clip]
        views = self._views(clip.frames, key)
        inputs = torch.stack(list(map(self.source, views))) if self.num_crops > 1 else self.source(views[0])
        verb, noun, index = (clip.verb, clip.noun, key.clip) if key.counts else (NO_LABEL, NO_LABEL, -1)
        return Sample(inputs, torch.tensor(verb), torch.tensor(noun), torch.tensor(index))

    def keys(self, epoch: int) -> list[ClipKey]:
        """List an epoch's items in order: a function of (seed, epoch)."""
        if self.seed is None:
            return [ClipKey(epoch, clip) for clip in range(len(self))]
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return [ClipKey(epoch, int(clip)) for clip in order]

    def views(self, num_epochs: int) -> list[View]:
        """List the distinct views of `num_epochs` epochs."""
        frames = [clip.frames for clip in self.clips]
        # Views that are not drawn are alike in all epochs.
        num_distinct = min(num_epochs, self.num_views or num_epochs) if self.draws_views else 1
        keys = (key for epoch in range(num_distinct) for key in self.keys(epoch))
        return list(dict.fromkeys(view for key in keys for view in self._views(frames[key.clip], key)))

    def _views(self, frames: Path, key: ClipKey) -> list[View]:
        if not self.draws_views:
            return [View(frames, number=number, num_crops=self.num_crops) for number in range(self.num_crops)]
        number = key.epoch % self.num_views if self.num_views else key.epoch
        seed = self.seed if self.views_seed is None else self.views_seed
        return [View(frames, seed, number, self.augmentation, self.middle_frames)]


class EpochSampler(Sampler[ClipKey]):
    """Keys of an epoch for one process; Lightning sets the epoch.

    Keys are assigned to processes in turn, so that their batches together equal the larger batches of a single process. A short last round is
    filled with the last clip, which does not count there, so that every process has the same number of steps.
    """

    def __init__(self, dataset: ClipDataset, rank: int = 0, num_processes: int = 1) -> None:
        self.dataset = dataset
        self.rank = rank
        self.num_processes = num_processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; called by Lightning before each, also after a resume."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.num_processes)

    def __iter__(self) -> Iterator[ClipKey]:
        keys = self.dataset.keys(self.epoch)
        keys += [keys[-1]._replace(counts=False)] * (-len(keys) % self.num_processes)
        return iter(keys[self.rank :: self.num_processes])


def make_loader(sampler: EpochSampler, *, batch_size: int, num_workers: int, pin_memory: bool) -> DataLoader[Sample]:
    """Make a loader of the batches of one process; `batch_size` counts only its clips."""
    return DataLoader(
        sampler.dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        prefetch_factor=READ_AHEAD if num_workers else None,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # creating an iterator must not draw from torch's global generator
    )


@contextmanager
def errors_of_workers() -> Iterator[None]:
    """Raise the error of a loader's worker with its own message alone."""
    # torch puts the worker's traceback before the message.
    try:
        yield
    except RetakeError as error:
        kind = type(error)
        _, is_of_worker, message = str(error).rpartition(f"\n{kind.__module__}.{kind.__qualname__}: ")
        if not is_of_worker:
            raise
        raise kind(message.strip()) from None


def with_label_noise(clips: Sequence[CachedClip], share: float, seed: int) -> list[CachedClip]:
    """Give a share of the clips, rounded to whole clips, the classes of another action.

    The other action is drawn with equal chances from those of `clips`: symmetric noise, as in Nakkiran et al. 2019, arXiv 1912.02292. The
    result follows from the seed, the names of the frames files and the set of actions alone.

    Raises:
        BadDataset: all clips have one action, so there is no wrong action.
    """
    actions = sorted({(clip.verb, clip.noun) for clip in clips})
    num_altered = round(share * len(clips))
    if num_altered and len(actions) < 2:
        raise BadDataset("label_noise needs clips of two actions or more in train; label more clips, or set it to 0")
    noisy = list(clips)
    for i in sorted(range(len(clips)), key=lambda i: _hashed(f"clip {seed} {clips[i].frames.stem}"))[:num_altered]:
        others = [action for action in actions if action != (clips[i].verb, clips[i].noun)]
        verb, noun = others[_hashed(f"action {seed} {clips[i].frames.stem}") % len(others)]
        noisy[i] = replace(clips[i], verb=verb, noun=noun)
    return noisy
