"""Read the JSON of ActivityNet and HACS, in seconds, and the table of HACS clips."""

from collections.abc import Iterator

from tasks.data.labels.formats.found import Document, Found, Items, Refused, Said, Videos, mapping, number, sequence, text
from tasks.data.labels.tables import Cells
from tasks.wording import printable, quoted

HACS_CLIPS = ("classname", "youtube_id", "subset", "start", "end", "label")


def is_json(parsed: object) -> bool:
    """Recognise the `database` of videos."""
    return isinstance(parsed, dict) and isinstance(parsed.get("database"), dict)


def is_results(parsed: object) -> bool:
    """Recognise `results`, which a network writes."""
    return isinstance(parsed, dict) and isinstance(parsed.get("results"), dict)


def read_json(document: Document, _: Videos) -> Items:
    """Read the segments of all videos; those without annotations, such as tests, have none."""
    line = 0
    for name, video in mapping(mapping(document.parsed, "file").get("database"), "database").items():
        try:
            annotations = sequence(mapping(video, "video").get("annotations", []), "annotations")
        except ValueError as error:
            line += 1
            yield Refused(line, f"video {printable(name[:80])}", str(error))
            continue
        for place, annotation in enumerate(annotations, start=1):
            line += 1
            where = f"video {printable(name[:80])}, annotation {place}"
            try:
                of_one = mapping(annotation, "annotation")
                segment = sequence(of_one.get("segment"), "segment")
                if len(segment) != 2:
                    raise ValueError("segment is not a start and an end")
                said = Said(text=text(of_one.get("label"), "label"))
                yield Found(line, where, names_of(name), number(segment[0], "start"), number(segment[1], "end"), said)
            except ValueError as error:
                yield Refused(line, where, str(error))


def read_hacs_clips(lines: Iterator[tuple[int, Cells | str]], _: Videos) -> Items:
    """Read HACS clips; those with the label -1 are examples of what is no such action."""
    for line, cells in lines:
        try:
            if isinstance(cells, str):
                raise ValueError(cells)
            if number(cells["label"], "label") != 1:
                raise ValueError(f"is an example of what is not {quoted(cells['classname'])}")
            said = Said(text=text(cells["classname"], "classname"))
            yield Found(line, "", names_of(cells["youtube_id"]), number(cells["start"], "start"), number(cells["end"], "end"), said)
        except ValueError as error:
            yield Refused(line, "", str(error))


def names_of(video: str) -> tuple[str, ...]:
    """List the names that a file of this video may have: the downloaders of both data sets put `v_` before the id."""
    return (video, f"v_{video}")
