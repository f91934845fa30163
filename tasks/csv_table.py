"""Write tables as CSV."""

import csv
import io
from collections.abc import Collection, Iterable, Mapping


def csv_table(columns: Collection[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Write rows by column as UTF-8, with a header; a missing cell is empty.

    Raises:
        ValueError: a row has another column.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
