"""Build the tables per class: scores under both networks, and clips per split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from tasks.store.records.metrics import ClassChange, LabelCount
from tasks.store.records.record import SPLITS, TARGETS, SplitName, Target

Row = TypeVar("Row")
NUM_SHOWN = 12
# Below this the fold's own line would take more space than the rows it hides.
FOLD_FROM = 15


@dataclass(frozen=True)
class ChangeTable:
    """The classes of one target, most frequent first.

    Shown rows, folded rows, and names of the classes that got worse.
    """

    target: Target
    shown: tuple[ClassChange, ...]
    folded: tuple[ClassChange, ...]
    worse: tuple[str, ...]
    num_better: int


@dataclass(frozen=True)
class LabelRow:
    """One class and its clips per split.

    Each count is also a share of that split's largest class.
    """

    name: str
    counts: tuple[int, ...]
    lengths: tuple[float, ...]
    is_untaught: bool


@dataclass(frozen=True)
class Histogram:
    """Clips per class and split, for one target."""

    target: Target
    splits: tuple[SplitName, ...]
    totals: tuple[int, ...]
    shown: tuple[LabelRow, ...]
    folded: tuple[LabelRow, ...]


def change_tables(changes: Sequence[ClassChange]) -> tuple[ChangeTable, ...]:
    """Build one table per target; skip targets without classes."""
    tables = []
    for target in TARGETS:
        of_target = sorted((c for c in changes if c.target == target), key=lambda c: (-c.support, c.name))
        if of_target:
            shown, folded = _fold(of_target)
            worse = tuple(c.name for c in of_target if c.is_worse)
            tables.append(ChangeTable(target, shown, folded, worse, sum(c.f1_after > c.f1_before for c in of_target)))
    return tuple(tables)


def histograms(label_counts: Sequence[LabelCount]) -> tuple[Histogram, ...]:
    """Build one histogram per target, largest class first.

    Targets without labels and splits without clips are skipped.
    """
    found = []
    for target in TARGETS:
        of_split = {split: {c.name: c.num_clips for c in label_counts if (c.target, c.split) == (target, split)} for split in SPLITS}
        splits = tuple(split for split in SPLITS if of_split[split])
        if not splits:
            continue
        totals = {split: sum(of_split[split].values()) for split in splits}
        largest = {split: max(of_split[split].values()) for split in splits}
        number = {
            name: tuple(of_split[split].get(name, 0) for split in splits) for name in {name for split in splits for name in of_split[split]}
        }
        rows = [
            LabelRow(
                name=name,
                counts=number[name],
                lengths=tuple(n / (largest[split] or 1) for n, split in zip(number[name], splits, strict=True)),
                is_untaught="train" in splits and not of_split["train"].get(name, 0),
            )
            for name in sorted(number, key=lambda name: (-sum(number[name]), name))
        ]
        shown, folded = _fold(rows)
        found.append(Histogram(target, splits, tuple(totals[split] for split in splits), shown, folded))
    return tuple(found)


def _fold(rows: Sequence[Row]) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    shown = len(rows) if len(rows) < FOLD_FROM else NUM_SHOWN
    return tuple(rows[:shown]), tuple(rows[shown:])
