"""Filter the clips of a view, mix in second readings, and lease clips to people.

They come in the order of `View.order`, which `page_data` makes: the list to label first, then `clips.diverse`.
"""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from tasks.data.labels.intervals import drawn_by
from tasks.data.labels.ledger import Ledger
from tasks.errors import BadInput
from tasks.pages.label.clips import Cut, PageClip, Suggestion
from tasks.pages.label.labels import ClipLabels, CoveringOf, suggested_to
from tasks.pages.label.page_data import View
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import DoubtfulLabel
from tasks.store.records.labelling import ClipStatement, Lease, Reading
from tasks.store.stored import Stored

Show = Literal["unlabelled", "all", "labelled", "unsure", "people-differ", "conflicts", "model-differs", "suspicious"]

FIRST_READINGS_BETWEEN = 9
"""First readings before each second reading, so that every tenth clip is one."""

LEASE_SECONDS = 180
NUM_PEOPLE = 50
"""The leases that are read; more people at once may get the same clips."""


@dataclass(frozen=True)
class Wanted:
    """The clips that a person wants; `name` is a verb, a noun or an action."""

    show: Show = "unlabelled"
    video: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Reader:
    """A person, and the share of clips that a second person reads."""

    name: str
    may_label: bool
    second_share: float

    def is_second(self, uid: str, about: Sequence[ClipStatement]) -> bool:
        """Check whether this person is to read a clip that one other has answered."""
        readers = {statement.by for statement in about}
        return self.may_label and len(readers) == 1 and self.name not in readers and is_read_twice(uid, self.second_share)


def is_read_twice(uid: str, share: float) -> bool:
    """Check whether a second person should read the clip.

    They read a `share` of all clips, the same for everybody.
    """
    return drawn_by(f"second {uid}") < share


def first_readings(view: View, ledger: Ledger, covering: CoveringOf) -> Iterator[str]:
    """Yield the view's clips, in order, without an answer, a file's label or an interval."""
    for uid in view.order:
        clip = view.cut.clips.get(uid)
        if clip and uid not in view.known and not ledger.about(clip.key) and not covering(clip):
            yield uid


def second_readings(cut: Cut, ledger: Ledger, reader: Reader) -> Iterator[str]:
    """Yield the clips that this person should read as the second."""
    return (uid for uid, clip in cut.clips.items() if reader.is_second(uid, ledger.about(clip.key)))


def others_last(uids: Iterable[str], leased: Collection[str]) -> Iterator[str]:
    """Yield clips, those that are leased to others last."""
    others = []
    for uid in uids:
        if uid in leased:
            others.append(uid)
        else:
            yield uid
    yield from others


def mixed(first: Iterable[str], second: Iterable[str]) -> Iterator[tuple[str, Reading]]:
    """Yield first readings, a second one after every `FIRST_READINGS_BETWEEN`, the other second ones last."""
    seconds = iter(second)
    for number, uid in enumerate(first, start=1):
        yield uid, "first"
        if number % FIRST_READINGS_BETWEEN == 0 and (other := next(seconds, None)):
            yield other, "second"
    for uid in seconds:
        yield uid, "second"


def filtered(
    order: Iterable[str],
    view: View,
    ledger: Ledger,
    wanted: Wanted,
    reader: Reader,
    covering: CoveringOf,
    closed: Callable[[PageClip], bool] = lambda _: False,
) -> Iterator[tuple[str, Reading]]:
    """Yield the clips that fit a filter, in order.

    For its second reader, a clip has neither label nor suggestion. `closed` checks whether a clip's labels would reveal another that the
    reader is still to read; of such a clip, only the reader's own answers count.
    """
    for uid in order:
        clip = view.cut.clips.get(uid)
        if clip is None or (wanted.video and clip.video != wanted.video):
            continue
        labels = view.labels_of(clip, ledger, covering)
        is_second = reader.is_second(uid, labels.about)
        if is_second or closed(clip):
            labels = labels.by(reader.name)
        best = None if is_second else next(iter(suggested_to(ledger, view.suggestions.by_clip.get(uid, ())[:1])), None)
        if _fits(wanted, labels, best, view.doubtful.get(uid)):
            yield uid, "second" if is_second else "first"


def _fits(wanted: Wanted, labels: ClipLabels, best: Suggestion | None, doubtful: DoubtfulLabel | None) -> bool:
    """Check whether a clip with these labels, and the suggestion `best`, is wanted."""
    words, about = labels.words, labels.about
    match wanted.show:
        case "all":
            fits = True
        case "unlabelled":
            fits = words is None and not about
        case "labelled":
            fits = words is not None
        case "unsure":
            fits = bool(about) and about[-1].answer == "unsure"
        case "people-differ":
            fits = labels.people_differ
        case "conflicts":
            fits = labels.are_in_conflict
        case "model-differs":
            fits = words is not None and best is not None and (words.verb, words.noun) != (best.verb, best.noun)
        case "suspicious":
            fits = labels.doubt(doubtful) is not None
    named = words or best
    return fits and (not wanted.name or (named is not None and wanted.name in (named.verb, named.noun, f"{named.verb} {named.noun}")))


class Leases:
    """A reader and writer of leases; hold `turn` while a person is given clips."""

    def __init__(self, store: Store, store_uri: str) -> None:
        self.turn = threading.Lock()
        self._store = store
        self._log = Layout(store_uri).label_log

    def to_others(self, person: str) -> set[str]:
        """List the clips that others had in the minutes before the latest lease."""
        written = {lease.uri: datetime.fromisoformat(lease.modified) for lease in self._store.list(self._log.leases)}
        latest = max(written.values(), default=datetime.max.replace(tzinfo=UTC))
        # A listing may come without a lease that was written just now.
        written.pop(self._lease(person).uri, None)
        leases = [uri for uri, modified in written.items() if latest - modified < timedelta(seconds=LEASE_SECONDS)]
        uids = set[str]()
        for uri in leases[:NUM_PEOPLE]:
            with suppress(BadInput):
                uids.update(self._store.read(uri, Lease).uids)
        return uids

    def lease(self, uids: Iterable[str], person: str) -> None:
        """Lease clips to a person, in place of those that they had."""
        self._store.write(self._lease(person), Lease(by=person, uids=tuple(uids)))

    def _lease(self, person: str) -> Stored[Lease]:
        # A name may have any letters, an address may not.
        return self._log.lease(hashlib.sha256(person.encode()).hexdigest()[:16])
