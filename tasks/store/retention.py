"""Decide which objects of a store may go: after a time, all that nothing needs.

A unit is a folder that goes as a whole, or that holds others. If it is kept, so is every training and prediction whose key its records
mention: keys are hashes, so a mention is a reference. Which trainings are needed: `pipeline/clean_up/clean_up.py`.
"""

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal

from tasks.store.objects import StoredObject
from tasks.store.stored import last_name

_KEY = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")
_FILE_ORDER = (re.compile(r"/result\.json$"), re.compile(r"\.json$"), re.compile(r"\.ckpt$"))
"""A commit mark goes before its files, and the checkpoint that a training resumes from before those beside it."""

GOES_WHOLE: Final = r"(?!)"
NEVER_GOES: Final = None


@dataclass(frozen=True)
class Kind:
    """A kind of unit.

    Args:
        folder: matches the unit at the beginning of a key.
        holds: matches the records in the unit that mention units that it needs; None if it needs none.
        needed: when the unit is kept: always, while it is new, or also because another one mentions it.
        stays: matches the objects that stay when the unit goes; or `GOES_WHOLE`, or `NEVER_GOES`.
        why: why a unit of this kind goes.
    """

    name: str
    folder: str
    holds: str | None
    needed: Literal["always", "while new", "by mention"]
    stays: str | None = NEVER_GOES
    why: str = ""


_RESULT = r"result\.json"
_WORK = r".*(\.json|claims/[^/]+)"
_AGAIN = "it is made again where it is asked for"
_TRAINING = Kind(
    "training",
    r"runs/[^/]+/",
    r"(decisions|comparisons)/[^/]+/plan/result\.json",
    "by mention",
    r"decisions/",
    "no alias, no decision that is kept and no recent work needs it",
)
_REPORT_OR_DECISION = re.compile(r"decisions/(?P<decision>[^/]+)/(?P<step>report|decide)/result\.json")
KINDS = (
    Kind("plan", r"plans/(?!latest/)[^/]+/", _RESULT, "while new", GOES_WHOLE, _AGAIN),
    Kind("plan of a prediction", r"predictions/choices/[^/]+/", _RESULT, "while new", GOES_WHOLE, _AGAIN),
    Kind("start of a search", r"searches/[^/]+/", _WORK, "while new", r"(?![^/]+/weights/)", _AGAIN),
    Kind("record of an ingest", r"ingests/[^/]+/", None, "while new", r"inventory\.json", "only its own run reads it"),
    Kind("prediction", r"predictions/[^/]+/", r"plan/result\.json", "by mention", GOES_WHOLE, "nothing that is kept mentions it"),
    _TRAINING,
    Kind("comparison", r"comparisons/(versions/[^/]+|[^/]+/tables/[^/]+|[^/]+)/", _WORK, "while new"),
    Kind("choice of weights", r"pretrained/choices/[^/]+/", _RESULT, "while new"),
    Kind("summary, recipe or latest plan", r"(status|recipes|plans/latest)/", r".*\.json", "always"),
)
"""In the order in which they go: a unit that leads to another goes before it. Of two that match, the first counts."""


@dataclass
class Unit:
    """A unit as a listing shows it; number and size are of objects that go."""

    uri: str
    kind: Kind
    newest: datetime
    num_objects: int = 0
    size_bytes: int = 0
    records: list[str] = field(default_factory=list)
    reported: set[str] = field(default_factory=set)
    """The decisions on a training that have a report."""
    decided: set[str] = field(default_factory=set)
    """The decisions on a training that were made."""

    @property
    def key(self) -> str:
        """Return the key by which others mention it."""
        return last_name(self.uri)


@dataclass
class Use:
    """Objects and bytes below one folder."""

    num_objects: int = 0
    size_bytes: int = 0


@dataclass(frozen=True)
class Survey:
    """The units of a store by their addresses, and its use by folder."""

    folder_uri: str
    units: dict[str, Unit] = field(default_factory=dict)
    folders: dict[str, Use] = field(default_factory=dict)

    def without(self, going: Iterable[Unit]) -> dict[str, Use]:
        """Count the objects that are left by folder once these units are gone."""
        left = {name: replace(use) for name, use in self.folders.items()}
        for unit in going:
            use = left[_top(unit.uri.removeprefix(self.folder_uri))]
            use.num_objects -= unit.num_objects
            use.size_bytes -= unit.size_bytes
        return left


def survey(listing: Iterable[StoredObject], folder_uri: str, now: datetime) -> Survey:
    """Sort the objects of a store into units; one without a time is written now."""
    surveyed = Survey(folder_uri)
    for listed in listing:
        key = listed.uri.removeprefix(folder_uri)
        use = surveyed.folders.setdefault(_top(key), Use())
        use.num_objects += 1
        use.size_bytes += listed.size_bytes
        if (place := _place(key)) is None:
            continue
        kind, folder, rest = place
        time = datetime.fromisoformat(listed.modified) if listed.modified else now
        unit = surveyed.units.setdefault(f"{folder_uri}{folder}", Unit(f"{folder_uri}{folder}", kind, time))
        unit.newest = max(unit.newest, time)
        if kind.holds is not None and re.fullmatch(kind.holds, rest):
            unit.records.append(listed.uri)
        if kind is _TRAINING and (match := _REPORT_OR_DECISION.fullmatch(rest)):
            (unit.reported if match["step"] == "report" else unit.decided).add(match["decision"])
        if _goes(kind, rest):
            unit.num_objects += 1
            unit.size_bytes += listed.size_bytes
    return surveyed


def keys_in(text: str) -> frozenset[str]:
    """Find the keys that a record mentions, in its text or its address."""
    return frozenset(_KEY.findall(text))


def expired(surveyed: Survey, needed: Collection[str], mentions: Callable[[Unit], Iterable[str]], before: datetime) -> tuple[Unit, ...]:
    """Select the units that may go, in the order in which they go.

    Args:
        surveyed: all units.
        needed: keys of trainings and predictions that are needed in any case.
        mentions: finds the keys that a kept unit needs.
        before: units that changed since then are kept, with all that they mention. So is a training with a report but without a decision.
    """
    by_key: dict[str, list[Unit]] = {}
    for unit in surveyed.units.values():
        if unit.kind.needed == "by mention":
            by_key.setdefault(unit.key, []).append(unit)
    waiting = [unit for unit in surveyed.units.values() if unit.kind.needed == "always" or unit.newest >= before]
    waiting += [unit for unit in surveyed.units.values() if unit.reported - unit.decided]
    waiting += [unit for key in needed for unit in by_key.get(key, ())]
    kept: set[str] = set()
    while waiting:
        unit = waiting.pop()
        if unit.uri not in kept:
            kept.add(unit.uri)
            waiting += [other for key in mentions(unit) for other in by_key.get(key, ())]
    going = [unit for unit in surveyed.units.values() if unit.num_objects and unit.uri not in kept]
    return tuple(sorted(going, key=lambda unit: (KINDS.index(unit.kind), unit.uri)))


def in_order(unit: Unit, listing: Iterable[StoredObject], folder_uri: str) -> tuple[list[str], ...]:
    """Group a unit's objects that go, in order of deletion: commit marks go first."""
    groups: tuple[list[str], ...] = tuple([] for _ in range(len(_FILE_ORDER) + 1))
    for listed in listing:
        place = _place(listed.uri.removeprefix(folder_uri))
        if place and f"{folder_uri}{place[1]}" == unit.uri and _goes(unit.kind, place[2]):
            groups[next((number for number, ending in enumerate(_FILE_ORDER) if ending.search(listed.uri)), -1)].append(listed.uri)
    return groups


def _top(key: str) -> str:
    return key.partition("/")[0]


def _place(key: str) -> tuple[Kind, str, str] | None:
    """Split a key into its unit's kind, its unit's folder, and the rest."""
    for kind in KINDS:
        if match := re.match(kind.folder, key):
            return kind, match[0], key[match.end() :]
    return None


def _goes(kind: Kind, rest: str) -> bool:
    return kind.stays is not NEVER_GOES and not re.match(kind.stays, rest)


def needs_of(kind: Kind, record: Any, is_new: bool) -> Any:  # noqa: ANN401 - JSON
    """Select the part of a record that mentions the units that its own unit needs.

    A finished training needs the networks that it began from, its teacher and its further seeds, but no opponents, which were scored. The
    history in a summary needs nothing.
    """
    if not isinstance(record, dict):
        return record
    if kind.needed == "always":
        return {name: value for name, value in record.items() if name != "versions"}
    return record if is_new or kind is not _TRAINING else {name: record.get(name) for name in ("weights", "repeats", "teacher")}
