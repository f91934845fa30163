"""How often each class is labelled in each split."""

from collections import Counter
from collections.abc import Iterable, Sequence

from tasks.results.dataset import DatasetClip
from tasks.results.metrics import LabelCount
from tasks.results.record import SPLITS, Target


def label_counts(clips: Sequence[DatasetClip], targets: Iterable[Target]) -> tuple[LabelCount, ...]:
    """Clips of every class that a split has, by target and split, the commonest first.

    A class without clips in a split has no entry there.
    """
    return tuple(
        LabelCount(target=target, split=split, name=name, num_clips=number)
        for target in targets
        for split in SPLITS
        for name, number in _commonest_first(Counter(getattr(clip, target) for clip in clips if clip.split == split))
    )


def _commonest_first(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
