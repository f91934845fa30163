"""Join the regions of a Label Studio annotation to labels."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from tasks.data.labels.formats.found import Found, Items, Refused, frame, mapping, part_of
from tasks.data.labels.formats.tiers import Piece, joined, said_of
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
    timed = [one for one in regions if isinstance(one, Region) and one.ranges is not None]
    of_region = {one.identity for one in timed if one.identity}
    whole = [one for one in regions if isinstance(one, Region) and one.ranges is None and one.identity not in of_region]
    yield from (one for one in regions if isinstance(one, Refused))
    extra = _Parts("region")
    for one in timed:
        extra.keep(one.identity, part_of(one.control), one.names[0])
    for choice in (one for one in regions if isinstance(one, Region) and one.ranges is None and one.identity in of_region):
        yield from extra.add(choice.identity, choice)
    pieces: list[Piece] = []
    for one in timed:
        for start, stop, reason in _times(one.ranges or (), about.fps):
            if reason:
                yield Refused(one.line, one.where, reason)
                continue
            for name in one.names:
                said = {part_of(one.control) or "text": name, **extra.added[one.identity]}
                pieces.append(Piece(one.line, one.where, start, stop, said))
            if len(pieces) > MAX_PIECES:
                raise BadLabels(f"has an annotation of more than {MAX_PIECES} labels; split it into several tasks")
    for item in joined(pieces):
        yield (
            item
            if isinstance(item, Refused)
            else Found(item.line, item.where, about.videos, item.start_seconds, item.stop_seconds, item.said)
        )
    yield from _whole(whole, about, has_times=bool(timed))


def _times(ranges: Sequence[object], fps: float) -> Iterator[tuple[float, float, str]]:
    for one in ranges:
        try:
            of_range = mapping(one, "range")
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
    for one in regions:
        if has_times:
            yield Refused(one.line, one.where, f"{quoted(one.control)} is about the whole video, which has ranges of time")
        elif len(one.names) > 1:
            yield Refused(one.line, one.where, f"{quoted(one.control)} has {len(one.names)} choices for the whole video")
        else:
            yield from parts.add("", one)
    said = parts.added[""]
    if not said:
        return
    first = regions[0]
    if said.keys() == {"noun"}:
        yield Refused(first.line, first.where, "has a noun without a verb")
        return
    if {"verb", "text"} <= said.keys():
        text = next(one for one in regions if part_of(one.control) == "text" and len(one.names) == 1)
        yield Refused(text.line, text.where, f"{quoted(text.control)} is not used: the video has a verb of its own")
    yield Found(first.line, first.where, about.videos, None, None, said_of(said))


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
            unused = some([quoted(one) for one in choice.names])
            reason = f"{quoted(choice.control)} gives the {self._of} a second {part}; {quoted(kept[part])} is used, not {unused}"
            yield Refused(choice.line, choice.where, reason)
            return
        kept[part] = self.added[identity][part] = name
        if others:
            unused = some([quoted(one) for one in others])
            reason = f"{quoted(choice.control)} has {len(choice.names)} choices for one {self._of}; {quoted(name)} is used, not {unused}"
            yield Refused(choice.line, choice.where, reason)
