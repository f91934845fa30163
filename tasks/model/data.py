"""Clips for training: frames read from memory-mapped files, every random draw a function of (seed, view, clip)."""

# b: batch, t: segments, f: features, h, w: pixels, p: 8-bit planes of a snippet

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tasks.errors import BadDataset, MissingObject
from tasks.model.augmentation import PLAIN, Augmentation, augmented
from tasks.model.crops import Frames, NumCrops, cut_crops
from tasks.model.sampling import joined, middle_snippets, random_snippets
from tasks.model.spec import NetworkSpec

NO_LABEL = -100
"""The class id of a clip that stands in a batch a second time, only to fill it."""

MOST_EPOCHS = 1000
"""No training has more, so a clip's repeats within an epoch have the numbers of no other epoch's views."""


@dataclass(frozen=True)
class CachedClip:
    """A clip's decoded frames, an .npy file of uint8 (num_frames, h, w, 3), or (num_frames, h, w, 2) of flow, and its class ids.

    The short side is 256. A file of as many frames as all snippets have holds the test frames alone, in their order.
    The file is named for its content, as the frame cache does: what is drawn from a clip and what is kept of it go by that name.
    """

    frames: Path
    verb: int
    noun: int


class Sample(NamedTuple):
    """One clip, or a batch of them: images uint8 (b, t, p, 224, 224) or features float32 (b, t, f); verb and noun (b,).

    Of ten crops, the inputs are (b, k, t, …). Both classes are NO_LABEL where the clip does not count.
    """

    inputs: Tensor
    verb: Tensor
    noun: Tensor


class ClipKey(NamedTuple):
    """What an item is asked for by; without `counts` it comes without its labels. `repeat` counts how often the epoch had the clip before."""

    epoch: int
    clip: int
    counts: bool = True
    repeat: int = 0


class View(NamedTuple):
    """One look at a clip: draw number `number` of its frames and of the augmentation under `seed`, of the latter alone with `middle_frames`.

    Without a seed, its middle frames: their centre, or crop number `number` of the ten where `num_crops` says so.
    """

    frames: Path
    seed: int | None = None
    number: int = 0
    augmentation: Augmentation = PLAIN
    middle_frames: bool = False
    num_crops: NumCrops = 1

    @property
    def name(self) -> str:
        """What tells this view of this clip from every other."""
        if self.seed is None:
            return f"{self.frames.stem}-middle" if self.num_crops == 1 else f"{self.frames.stem}-middle-crop-{self.number}"
        drawn = [str(self.seed), str(self.number), self.augmentation.name, "middle" if self.middle_frames else ""]
        return "-".join(filter(None, [self.frames.stem, *drawn]))

    def images(self, spec: NetworkSpec) -> Tensor:
        """What the network sees: uint8 (t, p, 224, 224), a pure function of the name and of what `spec` says of snippets.

        Raises:
            MissingObject: the frames are not there.
            BadDataset: their file holds something else.
        """
        if self.seed is None:
            return cut_crops(read_snippets(self.frames, spec), self.num_crops, spec.modality, slice(self.number, self.number + 1))[0]
        clip = int.from_bytes(hashlib.sha256(self.frames.stem.encode()).digest()[:8], "big")
        rng = np.random.default_rng([self.seed, self.number, clip])
        snippets = read_snippets(self.frames, spec, None if self.middle_frames else rng)
        return augmented(snippets, int(rng.integers(2**62)), spec.modality, self.augmentation)


@dataclass(frozen=True)
class Share:
    """Which part of every batch is this process's: place `rank`, from 0, among `num_processes`."""

    rank: int = 0
    num_processes: int = 1


def read_snippets(path: Path, spec: NetworkSpec, rng: np.random.Generator | None = None) -> Frames:
    """What a network sees of one clip, and nothing else of it: uint8 (t, h, w, p).

    Args:
        path: .npy file as `CachedClip` has it.
        spec: t and what a snippet is.
        rng: draws one snippet a segment; None takes the middle ones, as in a test.

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
    planes, length = spec.snippet.frame_planes, spec.snippet.num_frames
    if clip.dtype != np.uint8 or clip.ndim != 4 or clip.shape[-1] != planes or not len(clip):
        raise BadDataset(f"{path}: holds {clip.dtype} {clip.shape} where uint8 (frames, h, w, {planes}) is read; decode the clip again")
    if rng is not None:
        snippets = random_snippets(len(clip), spec.num_segments, rng, length)
    elif len(clip) == spec.num_segments * length:
        return joined(clip, spec)
    else:
        snippets = middle_snippets(len(clip), spec.num_segments, length)
    return joined(np.stack([clip[i] for snippet in snippets for i in snippet]), spec)


Source = Callable[[View], Tensor]
"""Gives the inputs (t, …) of a network, or of its heads, for one view."""


class ClipDataset(Dataset[Sample]):
    """Items are asked for by ClipKey; `seed` None gives every epoch the clips' middle views, in their own order.

    Args:
        clips: what is shown.
        spec: the network that must have a place for their class ids.
        source: gives the inputs of a view.
        seed: of the random views and orders.
        num_views: epochs take turns with so many views of a clip; None gives each epoch views of its own.
        augmentation: of the random views.
        balanced: an epoch shows each action equally often, and as many clips as there are.
        middle_frames: random views are of a clip's middle frames. Where the augmentation draws nothing either, all are the middle view.
        num_crops: of the middle views; an item of ten has one more dimension before the others.

    Raises:
        BadDataset: there is no clip, or a class id has no place in the network.
    """

    def __init__(
        self,
        clips: Sequence[CachedClip],
        spec: NetworkSpec,
        source: Source,
        seed: int | None = None,
        num_views: int | None = None,
        augmentation: Augmentation = PLAIN,
        *,
        balanced: bool = False,
        middle_frames: bool = False,
        num_crops: NumCrops = 1,
    ) -> None:
        if not clips:
            raise BadDataset("there is no labelled clip to train or validate on; label some and build the dataset again")
        for clip in clips:
            if not (0 <= clip.verb < spec.num_verbs and 0 <= clip.noun < spec.num_nouns):
                raise BadDataset(f"{clip.frames}: verb {clip.verb} and noun {clip.noun} have no place among {spec}")
        self.clips = clips
        self.source = source
        self.seed = seed
        self.num_views = num_views
        self.augmentation = augmentation
        self.middle_frames = middle_frames
        self.num_crops = num_crops
        self.draws_views = seed is not None and not (middle_frames and augmentation.draws_nothing)
        self.actions = [(clip.verb, clip.noun) for clip in clips] if balanced else None

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, key: ClipKey) -> Sample:
        clip = self.clips[key.clip]
        views = self._views(clip.frames, key)
        inputs = torch.stack(list(map(self.source, views))) if self.num_crops > 1 else self.source(views[0])
        return Sample(inputs, torch.tensor(clip.verb if key.counts else NO_LABEL), torch.tensor(clip.noun if key.counts else NO_LABEL))

    def keys(self, epoch: int) -> list[ClipKey]:
        """What an epoch shows, in its order: a function of (seed, epoch)."""
        if self.seed is None:
            return [ClipKey(epoch, clip) for clip in range(len(self))]
        rng = np.random.default_rng([self.seed, epoch])
        if self.actions is None:
            return [ClipKey(epoch, int(clip)) for clip in rng.permutation(len(self))]
        seen: Counter[int] = Counter()
        keys = []
        for clip in balanced_order(self.actions, rng):
            keys.append(ClipKey(epoch, clip, repeat=seen[clip]))
            seen[clip] += 1
        return keys

    def views(self, num_epochs: int) -> list[View]:
        """All that so many epochs see, each once."""
        # Without repeats, the views of a clip begin again after so many epochs.
        num_others = num_epochs if self.actions else min(num_epochs, self.num_views or num_epochs)
        frames = [clip.frames for clip in self.clips]
        return list(
            dict.fromkeys(view for epoch in range(num_others) for key in self.keys(epoch) for view in self._views(frames[key.clip], key))
        )

    def _views(self, frames: Path, key: ClipKey) -> list[View]:
        """The one view of an item, or its crops."""
        if not self.draws_views:
            return [View(frames, number=number, num_crops=self.num_crops) for number in range(self.num_crops)]
        number = (key.epoch + key.repeat) % self.num_views if self.num_views else key.epoch + MOST_EPOCHS * key.repeat
        return [View(frames, self.seed, number, self.augmentation, self.middle_frames)]


def balanced_order(actions: Sequence[Hashable], rng: np.random.Generator) -> list[int]:
    """As many clip numbers as there are clips, every action as often as any other or once more, its clips as often as each other or once more."""
    clips_of: dict[Hashable, list[int]] = {}
    for clip, action in enumerate(actions):
        clips_of.setdefault(action, []).append(clip)
    times, rest = divmod(len(actions), len(clips_of))
    favoured = set(rng.permutation(len(clips_of))[:rest].tolist())
    drawn = [np.resize(rng.permutation(clips), times + (place in favoured)) for place, clips in enumerate(clips_of.values())]
    order: list[int] = rng.permutation(np.concatenate(drawn)).tolist()
    return order


class EpochSampler(Sampler[ClipKey]):
    """One process's keys of an epoch; Lightning tells the epoch, also after a resume.

    Processes take turns, so that their batches together are those of one process that takes larger ones. The last clip fills a short last
    round, without counting: every process does equally many steps.
    """

    def __init__(self, dataset: ClipDataset, share: Share = Share()) -> None:
        self.dataset = dataset
        self.share = share
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.share.num_processes)

    def __iter__(self) -> Iterator[ClipKey]:
        keys = self.dataset.keys(self.epoch)
        keys += [keys[-1]._replace(counts=False)] * (-len(keys) % self.share.num_processes)
        return iter(keys[self.share.rank :: self.share.num_processes])


def make_loader(dataset: ClipDataset, *, batch_size: int, num_workers: int, pin_memory: bool, share: Share = Share()) -> DataLoader[Sample]:
    """Batches of a dataset, in an order of each epoch's own where it has a seed.

    `batch_size` counts the clips of this process's share alone.
    """
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=EpochSampler(dataset, share),
        num_workers=num_workers,
        pin_memory=pin_memory,
        persistent_workers=num_workers > 0,
        generator=torch.Generator(),  # its own, so that making an iterator draws nothing from torch's
    )
