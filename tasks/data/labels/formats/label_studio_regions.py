"""Join the regions of a Label Studio annotation to labels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.data.labels.formats.items import Items, Labelled, Piece, Refused, frame, joined, label_of, mapping, part_of
from tasks.errors import BadLabels
from tasks.wording import quoted, some

MAX_PIECES = 200_000


@dataclass(frozen=True)
class About:
    """The names of a task's video, and the rate at which its frames count."""

    videos: tuple[str, ...]
    fps: float


@dataclass(frozen=True)
class Region:
    """Names that one control gives: for ranges of frames, or for the whole video if there are none."""

    line: int
    where: str
    control: str
    names: tuple[str, ...]
    ranges: tuple[object, ...] | None
    identity: str = field(compare=False)


def labels_of_regions(regions: "Sequence[Region | Refused]", about: About) -> Items:
    """Join the regions of one annotation: a verb and a noun of the same region, or of the same time, are one label."""
    timed = [region for region in regions if isinstance(region, Region) and region.ranges is not None]
    of_region = {region.identity for region in timed if region.identity}
    whole = [region for region in regions if isinstance(region, Region) and region.ranges is None and region.identity not in of_region]
    yield from (region for region in regions if isinstance(region, Refused))
    extra = _Parts("region")
    for region in timed:
        extra.keep(region.identity, part_of(region.control), region.names[0])
    for choice in (region for region in regions if isinstance(region, Region) and region.ranges is None and region.identity in of_region):
        yield from extra.add(choice.identity, choice)
    pieces: list[Piece] = []
    for region in timed:
        for start, stop, reason in _times(region.ranges or (), about.fps):
            if reason:
                yield Refused(region.line, region.where, reason)
                continue
            for name in region.names:
                parts = {part_of(region.control) or "text": name, **extra.added[region.identity]}
                pieces.append(Piece(region.line, region.where, start, stop, parts))
            if len(pieces) > MAX_PIECES:
                raise BadLabels(f"has an annotation of more than {MAX_PIECES} labels; split it into several tasks")
    yield from joined(pieces, [(about.videos, 0.0)])
    yield from _whole(whole, about, has_times=bool(timed))


def _times(ranges: Sequence[object], fps: float) -> Iterator[tuple[float, float, str]]:
    for given in ranges:
        try:
            of_range = mapping(given, "range")
            if of_range.get("start") is None or of_range.get("end") is None:
                raise ValueError("has a range without a start or an end")
            start, end = frame(of_range["start"], "start"), frame(of_range["end"], "end")
            if start < 1:
                raise ValueError(f"begins at frame {start}, but frames count from 1")
            if end < start:
                raise ValueError(f"ends at frame {end}, before its start at frame {start}")
            yield (start - 1) / fps, end / fps, ""
        except ValueError as error:
            yield 0, 0, str(error)


def _whole(regions: Sequence[Region], about: About, *, has_times: bool) -> Items:
    parts = _Parts("video")
    for region in regions:
        if has_times:
            yield Refused(region.line, region.where, f"{quoted(region.control)} is about the whole video, which has ranges of time")
        elif len(region.names) > 1:
            yield Refused(region.line, region.where, f"{quoted(region.control)} has {len(region.names)} choices for the whole video")
        else:
            yield from parts.add("", region)
    given = parts.added[""]
    if not given:
        return
    first = regions[0]
    if given.keys() == {"noun"}:
        yield Refused(first.line, first.where, "has a noun without a verb")
        return
    if {"verb", "text"} <= given.keys():
        text = next(region for region in regions if part_of(region.control) == "text" and len(region.names) == 1)
        yield Refused(text.line, text.where, f"{quoted(text.control)} is not used: the video has a verb of its own")
    yield Labelled(first.line, first.where, about.videos, None, None, label_of(given))


class _Parts:
    """The parts of labels that choices give, the first of each part."""

    def __init__(self, of: str) -> None:
        self._of = of
        self._kept: defaultdict[str, dict[str, str]] = defaultdict(dict)
        self.added: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def keep(self, identity: str, part: str, name: str) -> None:
        """Note a part that a region has by itself."""
        if part:
            self._kept[identity].setdefault(part, name)

    def add(self, identity: str, choice: Region) -> Iterator[Refused]:
        """Add the first name of a choice, and refuse what is left over."""
        part, (name, *others) = part_of(choice.control), choice.names
        kept = self._kept[identity]
        if part in kept:
            unused = some([quoted(unused_name) for unused_name in choice.names])
            reason = f"{quoted(choice.control)} gives the {self._of} a second {part}; {quoted(kept[part])} is used, not {unused}"
            yield Refused(choice.line, choice.where, reason)
            return
        kept[part] = self.added[identity][part] = name
        if others:
            unused = some([quoted(unused_name) for unused_name in others])
            reason = f"{quoted(choice.control)} has {len(choice.names)} choices for one {self._of}; {quoted(name)} is used, not {unused}"
            yield Refused(choice.line, choice.where, reason)
