"""Read BORIS's aggregated events, CSV or TSV: behaviours with modifiers, in seconds."""

from tasks.data.labels.formats import TableFormat
from tasks.data.labels.formats.items import Labelled, ToolLabel, Videos, line_by_line, number
from tasks.data.labels.tables import Cells
from tasks.wording import quoted

COLUMNS = ("behavior", "start_(s)", "stop_(s)")
MEDIA = ("media_file_name", "media_file")
NO_MODIFIERS = ("", "None", "none", "NA", "nan")


def read(line: int, cells: Cells, videos: Videos) -> Labelled:
    """Read behaviour as verb and first modifier as noun, else behaviour as both."""
    behavior = cells["behavior"]
    if not behavior:
        raise ValueError("has no behavior")
    start, stop = number(cells["start_(s)"], "Start (s)"), number(cells["stop_(s)"], "Stop (s)")
    if cells.get("behavior_type", "").upper() == "POINT" or start == stop:
        raise ValueError(f"{quoted(behavior)} is a point in time without a duration; code it as a state event")
    offset = cells.get("time_offset_(s)", "")
    if offset not in ("", "NA") and number(offset, "Time offset (s)"):
        raise ValueError(f"its observation has a time offset of {offset} s; set it to 0 and export again")
    modifier = _modifier(cells)
    label = ToolLabel(verb=behavior, noun=modifier) if modifier else ToolLabel(text=behavior)
    return Labelled(line, "", (_media(cells, videos),), start, stop, label)


def _modifier(cells: Cells) -> str:
    columns = sorted(name for name in cells if name.startswith("modifier"))
    parts = [part.strip() for name in columns for part in cells[name].split("|")]
    return next((part for part in parts if part not in NO_MODIFIERS), "")


def _media(cells: Cells, videos: Videos) -> str:
    """Find the video of an event; refuse several videos, over which times run on."""
    name = next((cells[column] for column in MEDIA if cells.get(column)), "")
    if not name:
        raise ValueError("names no media file")
    several = [part.strip() for part in name.split(";") if part.strip()]
    if len(several) > 1 and not videos.finds(name):
        raise ValueError(
            f"its observation has {len(several)} media files, over which its times run on; give each an observation of its own"
        )
    return name


FORMATS = (TableFormat("BORIS", COLUMNS, line_by_line(read)),)
