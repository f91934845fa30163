"""Lay out confusion matrices as HTML tables, networks side by side."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.judge.statistics.confusion import Confusion
from tasks.store.records.metrics import Cell as WrongCell
from tasks.store.records.metrics import ConfusionCounts
from tasks.store.records.record import TARGETS, ModelRole, Target
from tasks.wording import count

MAX_SMALL, MAX_MEDIUM = 8, 18
# Above these shares of a row a cell's text changes colour, to keep its contrast above 4.5 in the dark and the light scheme.
DARK_SCHEME_SWITCH, LIGHT_SCHEME_SWITCH = 0.61, 0.76


Size = Literal["small", "medium", "large"]


@dataclass(frozen=True)
class Cell:
    """Clips of one true class with one predicted class.

    Count, `text` that fits the cell, and share of the true class. `uids` are the first of the wrong ones, listed under the `anchor`.
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
    """One network's confusion matrix for one target. More columns make smaller cells; all networks of a target use one cell size.

    `role` is None if the rows are another network's predictions instead of the true classes.
    """

    role: ModelRole | None
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    size: Size

    @property
    def wrong(self) -> tuple[Cell, ...]:
        """List the cells whose clips are named."""
        return tuple(cell for row in self.rows for cell in row.cells if cell.uids)


def matrix_groups(confusions: Sequence[ConfusionCounts], roles: tuple[ModelRole, ...]) -> tuple[tuple[Target, tuple[Matrix, ...]], ...]:
    """Group the matrices of `roles`, in their order, by target; skip targets without any."""
    groups = []
    for target in TARGETS:
        of_target = [confusion for role in roles for confusion in confusions if (confusion.model, confusion.target) == (role, target)]
        if of_target:
            size = _size(max(len(confusion.columns) for confusion in of_target))
            matrices = (
                (confusion, _matrix(confusion.rows, confusion.columns, confusion.counts, size, confusion.model)) for confusion in of_target
            )
            shown = (_with_clips(matrix, confusion.wrong, f"cell-{target}-{confusion.model}") for confusion, matrix in matrices)
            groups.append((target, tuple(shown)))
    return tuple(groups)


def matrix_between(confusion: Confusion, target: Target, against: str, model: str) -> Matrix:
    """Lay out the predictions of the network `model` (columns) against those of `against` (rows)."""
    matrix = _matrix(confusion.rows, confusion.columns, confusion.counts.tolist(), _size(len(confusion.columns)), None, (against, model))
    return _with_clips(matrix, confusion.wrong, f"cell-{target}")


def _size(num_columns: int) -> Size:
    return "small" if num_columns <= MAX_SMALL else "medium" if num_columns <= MAX_MEDIUM else "large"


def _matrix(
    names: Sequence[str],
    columns: tuple[str, ...],
    table: Sequence[Sequence[int]],
    size: Size,
    role: ModelRole | None,
    between: tuple[str, str] | None = None,
) -> Matrix:
    rows = []
    for name, counts in zip(names, table, strict=True):
        support = sum(counts)
        cells = tuple(_cell(name, column, number, support, between) for column, number in zip(columns, counts, strict=True))
        rows.append(Row(name, support, cells))
    return Matrix(role, columns, tuple(rows), size)


def _with_clips(matrix: Matrix, cells: Iterable[WrongCell], place: str) -> Matrix:
    wrong = {(cell.row, cell.column): cell for cell in cells}

    def filled(cell: Cell, row: int, column: int) -> Cell:
        clips = wrong.get((row, column))
        return replace(cell, anchor=f"{place}-{row}-{column}", num_wrong=clips.num_clips, uids=clips.uids) if clips else cell

    rows = (replace(row, cells=tuple(filled(cell, i, j) for j, cell in enumerate(row.cells))) for i, row in enumerate(matrix.rows))
    return replace(matrix, rows=tuple(rows))


def _cell(true: str, predicted: str, number: int, support: int, between: tuple[str, str] | None) -> Cell:
    share = number / support if support else 0.0
    depth: Literal["pale", "mid", "deep"] = "pale" if share <= DARK_SCHEME_SWITCH else "mid" if share <= LIGHT_SCHEME_SWITCH else "deep"
    named = f"{true} by {between[0]}, {predicted} by {between[1]}" if between else f"{true} predicted as {predicted}"
    title = f"{named}: {count(number, 'clip')} of {support:,} ({100 * share:.0f} %)" if number else ""
    text = str(number) if number < 1000 else f"{number // 1000}k"
    return Cell(number, text, share, true == predicted, depth, title)
