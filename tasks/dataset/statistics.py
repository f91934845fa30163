"""Count a dataset's clips, sources and classes."""

from collections import Counter

from tasks.results.dataset import Manifest
from tasks.results.record import SPLITS, SplitName, Target


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
    return {name: {split: by_split[name, split] for split in SPLITS} for name in sorted(total, key=lambda name: (-total[name], name))}


def num_classes(manifest: Manifest) -> dict[Target, int]:
    """Count classes per target, over all splits."""
    return {target: len(class_counts(manifest, target)) for target in manifest.vocabulary.targets}
