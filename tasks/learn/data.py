"""Load training clips from memory-mapped frames.

Every random draw is a function of (seed, view, clip).
"""

# b: batch, t: segments, f: features, h, w: pixels, p: 8-bit planes of a snippet

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from tasks.errors import BadDataset
from tasks.learn.augmentation import PLAIN, Augmentation, augmented
from tasks.learn.crops import NumCrops, cut_crops
from tasks.learn.hearing import read_heard
from tasks.learn.snippets import read_snippets
from tasks.learn.spec import NetworkSpec
from tasks.options.recipe import MAX_EPOCHS

NO_LABEL = -100
"""Class id of a clip that only fills up a batch."""


@dataclass(frozen=True)
class CachedClip:
    """A clip's decoded frames and class ids.

    The frames are those of the sampling window, in an .npy file of uint8 (num_frames, h, w, 3), or (num_frames, h, w, 2) for flow, short side
    256. A file with exactly as many frames as all snippets together holds the test frames only, in order; that of a video network always
    holds frames at the network's own rate. The file name identifies the content, as in the frame cache; it seeds the random draws and names
    the cached features. `source` is the source video, of which a probe keeps all clips in one fold; None stands for the clip alone.
    """

    frames: Path
    verb: int
    noun: int
    source: str | None = None


class Sample(NamedTuple):
    """One clip or a batch, with its inputs and its labels.

    Images uint8 (b, t, p, 224, 224) or features float32 (b, t, f); verb and noun (b,). With ten crops the inputs are (b, k, t, …). Both
    classes are NO_LABEL if the clip does not count.
    """

    inputs: Tensor
    verb: Tensor
    noun: Tensor


class ClipKey(NamedTuple):
    """Index of a dataset item.

    Without `counts` its labels are NO_LABEL; `repeat` counts earlier uses of the clip in this epoch.
    """

    epoch: int
    clip: int
    counts: bool = True
    repeat: int = 0


class View(NamedTuple):
    """One view of a clip: frames and augmentation, drawn with `seed` and `number`.

    Snippets are drawn from the middle part of their segments that `segment_length` gives as a share; with `middle_frames` only the
    augmentation is random. Without a seed, the view is the centre crop of the middle frames, or with `num_crops` 10 the crop `number`.
    """

    frames: Path
    seed: int | None = None
    number: int = 0
    augmentation: Augmentation = PLAIN
    middle_frames: bool = False
    num_crops: NumCrops = 1
    segment_length: float = 1

    @property
    def name(self) -> str:
        """Build the unique name of this view of this clip."""
        if self.seed is None:
            return f"{self.frames.stem}-middle" if self.num_crops == 1 else f"{self.frames.stem}-middle-crop-{self.number}"
        part = "middle" if self.middle_frames else "" if self.segment_length == 1 else f"within-{self.segment_length!r}"
        drawn = [str(self.seed), str(self.number), self.augmentation.name, part]
        return "-".join(filter(None, [self.frames.stem, *drawn]))

    def images(self, spec: NetworkSpec) -> Tensor:
        """Read the network's input uint8 (t, p, 224, 224), or features of sound float32 (t, f).

        It is a pure function of the view's name and the spec's snippets.

        Raises:
            MissingObject: the frames file does not exist.
            BadDataset: it does not hold frames.
        """
        rng = self._rng()
        if spec.modality.is_heard:
            inputs = torch.from_numpy(read_heard(self.frames, spec, None if self.middle_frames else rng, self.segment_length))
            return inputs if spec.sound else inputs.permute(0, 3, 1, 2)
        if rng is None:
            only = slice(self.number, self.number + 1)
            return cut_crops(read_snippets(self.frames, spec), self.num_crops, spec.modality, only, spec.video)[0]
        snippets = read_snippets(self.frames, spec, None if self.middle_frames else rng, self.segment_length)
        return augmented(snippets, int(rng.integers(2**62)), spec.modality, self.augmentation, spec.video)

    def _rng(self) -> np.random.Generator | None:
        if self.seed is None:
            return None
        clip = int.from_bytes(hashlib.sha256(self.frames.stem.encode()).digest()[:8], "big")
        return np.random.default_rng([self.seed, self.number, clip])


Source = Callable[[View], Tensor]
"""Returns the inputs (t, …) of a network, or of its heads, for one view."""


class ClipDataset(Dataset[Sample]):
    """Labelled clips, indexed by ClipKey.

    Without a seed, every epoch has the clips' middle views in the given order.

    Args:
        clips: the clips.
        spec: the network, which must have outputs for their classes.
        source: returns the inputs of a view.
        seed: of the random views and orders.
        num_views: number of views per clip that epochs cycle through; None draws new views for each epoch.
        augmentation: of the random views.
        balanced: show each action equally often in an epoch, which keeps its number of clips.
        middle_frames: use the middle frames in random views. If the augmentation is deterministic too, every view is the middle view.
        num_crops: of the middle views; ten crops add a dimension in front. Video networks have one.
        segment_length: middle share of each segment that random views are drawn from.
        views_seed: of the random views, instead of `seed`.

    Raises:
        BadDataset: there are no clips, or the network has no output for a class.
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
        segment_length: float = 1,
        views_seed: int | None = None,
    ) -> None:
        if not clips:
            raise BadDataset("there are no labelled clips to train or validate on; label some and build the dataset again")
        for clip in clips:
            if not (0 <= clip.verb < spec.num_verbs and 0 <= clip.noun < spec.num_nouns):
                raise BadDataset(f"{clip.frames}: verb {clip.verb} or noun {clip.noun} has no output in {spec}")
        self.clips = clips
        self.source = source
        self.seed = seed
        self.views_seed = seed if views_seed is None else views_seed
        self.num_views = num_views
        self.augmentation = augmentation
        self.middle_frames = middle_frames
        self.num_crops = spec.num_crops(num_crops)
        self.segment_length = segment_length
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
        """List an epoch's items in order: a function of (seed, epoch)."""
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
        """List the distinct views of `num_epochs` epochs."""
        # Without repeats, a clip's views cycle after `num_views` epochs.
        num_distinct = num_epochs if self.actions else min(num_epochs, self.num_views or num_epochs)
        frames = [clip.frames for clip in self.clips]
        num_per_clip = self.num_views if self.draws_views else self.num_crops
        found: dict[View, None] = {}
        for epoch in range(num_distinct):
            found.update(dict.fromkeys(view for key in self.keys(epoch) for view in self._views(frames[key.clip], key)))
            if num_per_clip and len(found) == num_per_clip * len(set(frames)):
                break
        return list(found)

    def _views(self, frames: Path, key: ClipKey) -> list[View]:
        """List an item's only view, or one view per crop."""
        if not self.draws_views:
            return [View(frames, number=number, num_crops=self.num_crops) for number in range(self.num_crops)]
        # Trainings without `num_views` have at most MAX_EPOCHS epochs, so repeats never collide with views of other epochs.
        number = (key.epoch + key.repeat) % self.num_views if self.num_views else key.epoch + MAX_EPOCHS * key.repeat
        return [View(frames, self.views_seed, number, self.augmentation, self.middle_frames, segment_length=self.segment_length)]


def balanced_order(actions: Sequence[Hashable], rng: np.random.Generator) -> list[int]:
    """Draw `len(actions)` clip indices, balanced over actions and over the clips of an action.

    Counts differ by at most one.
    """
    clips_of: dict[Hashable, list[int]] = {}
    for clip, action in enumerate(actions):
        clips_of.setdefault(action, []).append(clip)
    times, rest = divmod(len(actions), len(clips_of))
    favoured = set(rng.permutation(len(clips_of))[:rest].tolist())
    drawn = [np.resize(rng.permutation(clips), times + (place in favoured)) for place, clips in enumerate(clips_of.values())]
    order: list[int] = rng.permutation(np.concatenate(drawn)).tolist()
    return order
