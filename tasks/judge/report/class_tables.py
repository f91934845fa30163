"""Build the tables per class: confusion matrices, scores under two networks, and clips per split."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from tasks.judge.statistics.mistakes import Confusion
from tasks.store.records.metrics import Cell as WrongCell
from tasks.store.records.metrics import ClassChange, ConfusionCounts, LabelCount
from tasks.store.records.record import SPLITS, TARGETS, ModelRole, SplitName, Target
from tasks.wording import count, percent

MAX_SMALL, MAX_MEDIUM = 8, 18
# Above these shares of a row a cell's text changes colour, to keep its contrast above 4.5 in the dark and the light scheme.
DARK_SCHEME_SWITCH, LIGHT_SCHEME_SWITCH = 0.61, 0.76
T = TypeVar("T")
NUM_SHOWN = 12
# Below this the fold's own line would take more space than the rows it hides.
FOLD_FROM = 15

Size = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class Cell:
    """Clips of one true class with one predicted class.

    `share` is of the true class's clips; `text` fits the cell; `uids` are the first of the wrong clips, listed under the `anchor`.
    """

    count: int
    text: str
    share: float
    is_right: bool
    depth: Literal["pale", "mid", "deep"]
    title: str
    anchor: str = ""
    num_wrong: int = 0
    uids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One true class."""

    name: str
    support: int
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Matrix:
    """A network's confusion matrix for one target.

    `role` is None if the rows are another network's predictions instead of the true classes. `size` is that of a cell: smaller with more
    columns, and one for all networks of a target.
    """

    role: ModelRole | None
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    size: Size

    @property
    def wrong(self) -> tuple[Cell, ...]:
        """List the cells whose clips are named."""
        return tuple(cell for row in self.rows for cell in row.cells if cell.uids)


@dataclass(frozen=True)
class ChangeTable:
    """One target's classes, most frequent first; `worse` names those that got worse."""

    target: Target
    shown: tuple[ClassChange, ...]
    folded: tuple[ClassChange, ...]
    worse: tuple[str, ...]
    num_better: int


@dataclass(frozen=True)
class LabelRow:
    """A class's clips per split, also as shares of the split's largest class."""

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


def matrix_groups(confusions: Sequence[ConfusionCounts], roles: tuple[ModelRole, ...]) -> tuple[tuple[Target, tuple[Matrix, ...]], ...]:
    """Group the matrices of `roles`, in their order, by target; skip targets without any."""
    groups = []
    for target in TARGETS:
        of_target = [counts for role in roles for counts in confusions if (counts.model, counts.target) == (role, target)]
        if of_target:
            size = _size(max(len(counts.columns) for counts in of_target))
            matrices = (
                _matrix(own.rows, own.columns, own.counts, size, own.model, own.wrong, f"cell-{target}-{own.model}") for own in of_target
            )
            groups.append((target, tuple(matrices)))
    return tuple(groups)


def matrix_between(confusion: Confusion, target: Target, against: str, model: str) -> Matrix:
    """Lay out the predictions of the network `model` (columns) against those of `against` (rows)."""
    rows, columns, size = confusion.rows, confusion.columns, _size(len(confusion.columns))
    return _matrix(rows, columns, confusion.counts.tolist(), size, None, confusion.wrong, f"cell-{target}", (against, model))


def _size(num_columns: int) -> Size:
    return "small" if num_columns <= MAX_SMALL else "medium" if num_columns <= MAX_MEDIUM else "large"


def _matrix(
    names: Sequence[str],
    columns: tuple[str, ...],
    table: Sequence[Sequence[int]],
    size: Size,
    role: ModelRole | None,
    wrong: Iterable[WrongCell],
    place: str,
    between: tuple[str, str] | None = None,
) -> Matrix:
    listed = {(cell.row, cell.column): cell for cell in wrong}
    rows = []
    for i, (name, counts) in enumerate(zip(names, table, strict=True)):
        support = sum(counts)
        cells = [_cell(name, column, number, support, between) for column, number in zip(columns, counts, strict=True)]
        for j in range(len(cells)):
            if clips := listed.get((i, j)):
                cells[j] = replace(cells[j], anchor=f"{place}-{i}-{j}", num_wrong=clips.num_clips, uids=clips.uids)
        rows.append(Row(name, support, tuple(cells)))
    return Matrix(role, columns, tuple(rows), size)


def _cell(true: str, predicted: str, number: int, support: int, between: tuple[str, str] | None) -> Cell:
    share = number / support if support else 0.0
    depth: Literal["pale", "mid", "deep"] = "pale" if share <= DARK_SCHEME_SWITCH else "mid" if share <= LIGHT_SCHEME_SWITCH else "deep"
    named = f"{true} by {between[0]}, {predicted} by {between[1]}" if between else f"{true} predicted as {predicted}"
    title = f"{named}: {count(number, 'clip')} of {support:,} ({percent(share)})" if number else ""
    text = str(number) if number < 1000 else f"{number // 1000}k"
    return Cell(number, text, share, true == predicted, depth, title)


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
    """Build one histogram per target with labels, of the splits with clips."""
    per_target = []
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
        per_target.append(Histogram(target, splits, tuple(totals[split] for split in splits), shown, folded))
    return tuple(per_target)


def _fold(rows: Sequence[T]) -> tuple[tuple[T, ...], tuple[T, ...]]:
    shown = len(rows) if len(rows) < FOLD_FROM else NUM_SHOWN
    return tuple(rows[:shown]), tuple(rows[shown:])
