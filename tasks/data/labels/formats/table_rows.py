"""Read the tables of other tools, which a header tells apart."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from tasks.data.labels.formats import activitynet, boris, epic, kinetics, label_studio
from tasks.data.labels.formats.found import MAX_ITEMS, Items, Videos
from tasks.data.labels.tables import Cells

Lines = Iterator[tuple[int, Cells | str]]
ReadLines = Callable[[Lines, Videos], Items]


class TableFormat(NamedTuple):
    """A table's required columns, in lower case with `_` for spaces, its reader, and how many items that reads in time."""

    columns: tuple[str, ...]
    read: ReadLines
    max_items: int = MAX_ITEMS


TABLES: Mapping[str, TableFormat] = {
    "Label Studio CSV": TableFormat(("annotation_id", "annotator"), label_studio.read_table),
    "EPIC-KITCHENS-100": TableFormat(epic.EPIC_100, epic.read_100),
    "EPIC-KITCHENS-55": TableFormat(epic.EPIC_55, epic.read_55),
    "BORIS": TableFormat(boris.COLUMNS, boris.read),
    "HACS clips": TableFormat(activitynet.HACS_CLIPS, activitynet.read_hacs_clips),
    "Kinetics": TableFormat(kinetics.COLUMNS, kinetics.read_table, kinetics.MAX_LINES),
}
"""By the format's name; of two that fit, the first is taken."""
