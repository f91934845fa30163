"""Count a dataset's clips, source videos and classes."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import product

from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.metrics import LabelCount, SplitSize
from tasks.store.records.record import SPLITS, SplitName, Target


def num_clips(manifest: Manifest) -> dict[SplitName, int]:
    """Count clips per split."""
    found = Counter(clip.split for clip in manifest.clips)
    return {split: found[split] for split in SPLITS}


def num_sources(manifest: Manifest) -> dict[SplitName, int]:
    """Count source videos per split."""
    found = Counter(split for split, _ in {(clip.split, clip.source) for clip in manifest.clips})
    return {split: found[split] for split in SPLITS}


def class_counts(manifest: Manifest, target: Target) -> dict[str, dict[SplitName, int]]:
    """Count clips per class and split, largest class first."""
    total = Counter(str(getattr(clip, target)) for clip in manifest.clips)
    by_split = Counter((getattr(clip, target), clip.split) for clip in manifest.clips)
    return {name: {split: by_split[name, split] for split in SPLITS} for name, _ in _most_frequent_first(total)}


def num_classes(manifest: Manifest) -> dict[Target, int]:
    """Count classes of actions per target, over all splits."""
    acting = [clip for clip in manifest.clips if clip.has_action]
    return {target: len({getattr(clip, target) for clip in acting}) for target in manifest.vocabulary.targets}


def num_nothing(manifest: Manifest) -> dict[SplitName, int]:
    """Count the clips in which nothing happens per split; empty if there are none."""
    found = Counter(clip.split for clip in manifest.clips if not clip.has_action)
    return {split: found[split] for split in SPLITS} if found else {}


def split_sizes(clips: Sequence[DatasetClip]) -> tuple[SplitSize, ...]:
    """Count the clips, source videos and classes of actions of each non-empty split.

    In the order train, val, test.
    """
    clips_of_split = ((split, [clip for clip in clips if clip.split == split]) for split in SPLITS)
    return tuple(
        SplitSize(
            split=split,
            num_clips=len(own),
            num_sources=len({clip.source for clip in own}),
            num_verbs=len({clip.verb_class for clip in own if clip.has_action}),
            num_nouns=len({clip.noun_class for clip in own if clip.has_action}),
            num_actions=len({(clip.verb_class, clip.noun_class) for clip in own if clip.has_action}),
            num_nothing=sum(not clip.has_action for clip in own),
        )
        for split, own in clips_of_split
        if own
    )


def label_counts(clips: Sequence[DatasetClip], targets: Iterable[Target]) -> tuple[LabelCount, ...]:
    """Count the clips per class, target and split, most frequent first.

    Classes without clips in a split are left out.
    """
    found = []
    for target, split in product(targets, SPLITS):
        own = [(getattr(clip, target), clip.source) for clip in clips if clip.split == split]
        num_sources = Counter(name for name, _ in set(own))
        found += [
            LabelCount(target=target, split=split, name=name, num_clips=number, num_sources=num_sources[name])
            for name, number in _most_frequent_first(Counter(name for name, _ in own))
        ]
    return tuple(found)


def _most_frequent_first(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
