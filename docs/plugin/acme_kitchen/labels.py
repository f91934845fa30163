"""Read Acme's logs of kitchens: a table `film,begin,end,doing`, with times in seconds."""

from tasks.data.labels.formats import TableFormat
from tasks.data.labels.formats.items import Labelled, ToolLabel, Videos, line_by_line, number, text
from tasks.data.labels.tables import Cells


def read(line: int, cells: Cells, _: Videos) -> Labelled:
    """Read a line; a ValueError refuses it."""
    label = ToolLabel(text=text(cells["doing"], "doing"))
    return Labelled(line, "", (cells["film"],), number(cells["begin"], "begin"), number(cells["end"], "end"), label)


ACME_LOG = TableFormat("Acme log", ("film", "begin", "end", "doing"), line_by_line(read))
