"""Read and write `datasets/split.csv`, which keeps the split of each source and video for ever."""

from collections.abc import Collection, Mapping
from typing import TypeGuard

from tasks.data.labels.tables import read_table
from tasks.errors import BadDataset, BadLabels
from tasks.store.records.record import SPLITS, SplitName
from tasks.wording import csv_table, quoted

COLUMNS, DRAWN = ("source", "split"), "drawn"


def read_split_csv(content: bytes) -> dict[str, SplitName]:
    """Read the split of each source name and video hash, in the file's order.

    Raises:
        BadDataset: the file is damaged; the message names the line. Nothing is guessed, since that could move a test clip into train.
    """
    try:
        table = read_table(content, {"splits": COLUMNS})
    except BadLabels as error:
        raise BadDataset(f"split.csv {error}; restore it from the store's backup or an older dataset") from None
    for line, reason in table.refused:
        raise BadDataset(f"split.csv line {line} {reason}; correct that line")
    splits: dict[str, SplitName] = {}
    for line, cells in table.lines:
        source, split = cells["source"], cells["split"]
        if not source or not _is_split(split):
            raise BadDataset(f"split.csv line {line}: {quoted(source)} has the split {quoted(split)}; write one of {', '.join(SPLITS)}")
        if source in splits:
            raise BadDataset(f"split.csv line {line} repeats {quoted(source)}; keep only one line")
        splits[source] = split
    return splits


def read_drawn(content: bytes) -> frozenset[str]:
    """Read which test videos were drawn at random, by hash, of a file that `read_split_csv` reads."""
    return frozenset(cells["source"] for _, cells in read_table(content, {"splits": COLUMNS}).lines if cells.get(DRAWN))


def _is_split(text: str) -> TypeGuard[SplitName]:
    return text in SPLITS


def write_split_csv(kept: Mapping[str, SplitName], assigned: Mapping[str, SplitName], drawn: Collection[str] = ()) -> bytes:
    """Write the lines of `kept` in their order, then the new ones of `assigned`, sorted, and of each whether it was drawn, if any was."""
    new = {source: assigned[source] for source in sorted(assigned.keys() - kept.keys())}
    marks = {source: {DRAWN: "yes"} for source in drawn}
    rows = ({"source": source, "split": split, **marks.get(source, {})} for source, split in {**kept, **new}.items())
    return csv_table((*COLUMNS, DRAWN) if drawn else COLUMNS, rows)
