"""Read the table of Kinetics, and lists of `path label` as mmaction2 and VideoMAE have them."""

import re
from collections.abc import Iterator
from itertools import islice

from tasks.data.labels.formats.found import Document, Found, Items, Refused, Said, Videos, number, text
from tasks.data.labels.formats.label_studio import VIDEO_SUFFIXES
from tasks.data.labels.tables import Cells, filled_lines

COLUMNS = ("label", "youtube_id", "time_start", "time_end")
# Possessive, for a line that has been stripped: spaces are never tried twice.
ENTRY = re.compile(rf"(\S.*?(?:{'|'.join(map(re.escape, VIDEO_SUFFIXES))}))(?:\s*+[,;]|\s)\s*+(\S.*)", re.IGNORECASE)
MAX_LINES = 800_000
"""Of a table: Kinetics-700 has 540,000 to train on."""
MAX_LINE_CHARACTERS = 4000
MAX_HEAD_LINES = 20


def read_table(lines: Iterator[tuple[int, Cells | str]], videos: Videos) -> Items:
    """Read a line as the whole of the file that its times were cut into, or else as a part of the video."""
    for line, cells in lines:
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            start, stop = number(cells["time_start"], "time_start"), number(cells["time_end"], "time_end")
            name, said = text(cells["youtube_id"], "youtube_id"), Said(text=text(cells["label"], "label"))
            cut = f"{name}_{int(start):06d}_{int(stop):06d}"
            yield Found(line, "", (cut,), None, None, said) if videos.finds(cut) else Found(line, "", (name,), start, stop, said)
        except ValueError as error:
            yield Refused(line, "", str(error))


def is_list(content: bytes) -> bool:
    """Recognise a list without a header: all of its first lines have a video and a label."""
    head = [line.strip() for _, line in islice(filled_lines(content), MAX_HEAD_LINES)]
    return bool(head) and all(len(line) <= MAX_LINE_CHARACTERS and ENTRY.fullmatch(line) for line in head)


def read_list(document: Document, _: Videos) -> Items:
    """Read a list; numbers stand for classes of another list and name nothing."""
    for line, padded in filled_lines(document.content):
        written = padded.strip()
        if len(written) > MAX_LINE_CHARACTERS:
            yield Refused(line, "", f"has more than {MAX_LINE_CHARACTERS} characters; write a video and a label")
            continue
        entry = ENTRY.fullmatch(written)
        if not entry:
            yield Refused(line, "", "is not a video and a label")
        elif re.fullmatch(r"[0-9\s,]+", entry[2]):
            yield Refused(line, "", f"has the number {entry[2]} for its class; write the name of the class")
        else:
            yield Found(line, "", (entry[1],), None, None, Said(text=entry[2].strip('"')))
