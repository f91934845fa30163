"""Order the clips to label, choose those that a second person reads, and lease clips to people who label at once."""

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from operator import attrgetter
from typing import Literal, TypeVar

from tasks.data.labels.intervals import place_of
from tasks.data.labels.ledger import Ledger
from tasks.errors import BadInput
from tasks.pages.label.clips import Cut, PageClip, SuggestedInterval, Suggestion
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import DoubtfulLabel
from tasks.store.records.labelling import ClipStatement, Lease, Reading, Statement
from tasks.store.stored import Stored

Show = Literal["unlabelled", "all", "labelled", "unsure", "people-differ", "conflicts", "model-differs", "suspicious"]

FOLDER = "folder "
"""Before the name of a folder that a label comes from."""
SECOND_READ_EVERY = 10
"""A clip for a second reading comes after this number of other clips."""


@dataclass(frozen=True)
class Words:
    """A label by words, its origin, and since when it is there, empty if that is unknown."""

    verb: str
    noun: str
    origin: str
    at: str = ""


W = TypeVar("W", Words, Suggestion, SuggestedInterval)


@dataclass(frozen=True, slots=True)
class Known:
    """The label of a clip by a folder or a file."""

    words: Words

    def wins_over(self, statement: Statement | None) -> bool:
        """Check whether the label came with a file that is later than the statement."""
        is_dated = self.words.at and not self.words.origin.startswith(FOLDER)
        return bool(statement and is_dated and datetime.fromisoformat(self.words.at) > statement.place)


@dataclass(frozen=True, slots=True)
class Covering:
    """The label of a clip by its intervals; `number` is the latest one's place in the log."""

    words: Words
    number: int
    token: str


@dataclass(frozen=True)
class Wanted:
    """Which clips a person wants to see. `name` is a verb, a noun or an action."""

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
        """Check whether this person is to read a clip that one other has answered: until then they see no answer to it."""
        readers = {statement.by for statement in about}
        return self.may_label and len(readers) == 1 and self.name not in readers and is_read_twice(uid, self.second_share)


def diverse(cut: Cut) -> list[str]:
    """Order clips so that each prefix is spread over all videos, and over the time of each video."""
    orders = [_spread(clips) for _, clips in sorted(cut.by_video.items(), key=lambda item: place_of(item[0]))]
    return [clip.uid for together in zip_longest(*orders) for clip in together if clip]


def _spread(clips: Sequence[PageClip]) -> list[PageClip]:
    """Order the clips of a video by bit reversal (van der Corput), so that each prefix is spread over its time."""
    num_bits = max(1, (len(clips) - 1).bit_length())
    places = (int(f"{number:0{num_bits}b}"[::-1], 2) for number in range(1 << num_bits))
    return [clips[place] for place in places if place < len(clips)]


def is_read_twice(uid: str, share: float) -> bool:
    """Check whether a second person should read the clip; `share` of all clips are, the same for everybody."""
    return place_of(f"second {uid}") < share


def people_differ(ledger: Ledger, statements: Sequence[ClipStatement]) -> bool:
    """Check whether the latest answers of two people about a clip differ."""
    latest = {statement.by: ledger.words(statement) for statement in statements}
    return len(set(latest.values())) > 1


def in_conflict(ledger: Ledger, about: Sequence[ClipStatement], covering: Covering | None, known: Known | None) -> bool:
    """Check whether the latest answer contradicts the clip's intervals, and nobody who knew both, and no later file, chose."""
    words = ledger.words(about[-1]) if about else None
    if not words or not covering or words == (covering.words.verb, covering.words.noun):
        return False
    if known and known.wins_over(about[-1]) and known.wins_over(ledger.find(covering.token)):
        return False
    over = ledger.find(about[-1].over) if about[-1].over else None
    return over is None or ledger.number(over) < covering.number


def first_readings(
    order: Iterable[str], cut: Cut, ledger: Ledger, known: Mapping[str, Known], covering: Callable[[PageClip], Covering | None]
) -> Iterator[str]:
    """Yield the clips of `order` that nobody has answered and neither a file nor an interval labels."""
    for uid in order:
        clip = cut.clips.get(uid)
        if clip and uid not in known and not ledger.about(clip.key) and not covering(clip):
            yield uid


def second_readings(cut: Cut, ledger: Ledger, reader: Reader) -> Iterator[str]:
    """Yield the clips that one other person has labelled and that this person should read, too."""
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
    """Yield first readings, with a second reading after each ninth; the rest of the second readings come last."""
    seconds = iter(second)
    for number, uid in enumerate(first, start=1):
        yield uid, "first"
        if number % (SECOND_READ_EVERY - 1) == 0 and (other := next(seconds, None)):
            yield other, "second"
    for uid in seconds:
        yield uid, "second"


def filtered(
    order: Iterable[str],
    cut: Cut,
    ledger: Ledger,
    known: Mapping[str, Known],
    suggested: Mapping[str, Sequence[Suggestion]],
    wanted: Wanted,
    reader: Reader,
    covering: Callable[[PageClip], Covering | None],
    closed: Callable[[PageClip], bool],
    doubtful: Mapping[str, DoubtfulLabel],
) -> Iterator[tuple[str, Reading]]:
    """Yield the clips that fit a filter, in order.

    For its second reader, a clip has neither label nor suggestion. Of a clip that is `closed`, only the reader's own answers count: its
    labels would reveal a clip to read.
    """
    for uid in order:
        clip = cut.clips.get(uid)
        if clip is None or (wanted.video and clip.video != wanted.video):
            continue
        about = ledger.about(clip.key)
        is_second = reader.is_second(uid, about)
        is_closed = is_second or closed(clip)
        if is_closed:
            about = [statement for statement in about if statement.by == reader.name]
        interval, of_file = (None, None) if is_closed else (covering(clip), known.get(uid))
        words = label_of(ledger, about, of_file, interval)
        best = None if is_second else next(iter(suggested_to(ledger, suggested.get(uid, ())[:1])), None)
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
                fits = people_differ(ledger, about)
            case "conflicts":
                fits = in_conflict(ledger, about, interval, of_file)
            case "model-differs":
                fits = words is not None and best is not None and (words.verb, words.noun) != (best.verb, best.noun)
            case "suspicious":
                fits = doubt_of(ledger, about, words, doubtful.get(uid)) is not None
        if fits and (not wanted.name or _is_named(wanted.name, words, best)):
            yield uid, "second" if is_second else "first"


def label_of(ledger: Ledger, about: Sequence[ClipStatement], known: Known | None, covering: Covering | None = None) -> Words | None:
    """Return the label of a clip.

    It is that of its latest statement or of the intervals in it, whichever is later, or that of the files. *Unsure* labels nothing. A later
    file wins over statements.
    """
    latest = about[-1] if about else None
    words = ledger.words(latest) if latest else None
    stated = Covering(Words(*words, latest.by, latest.at), ledger.number(latest), latest.token) if latest and words else None
    last = max(filter(None, (stated, covering)), key=attrgetter("number"), default=None)
    if last and not (known and known.wins_over(ledger.find(last.token))):
        return last.words
    return renamed(ledger, known.words) if known else None


def doubt_of(ledger: Ledger, about: Sequence[ClipStatement], words: Words | None, doubtful: DoubtfulLabel | None) -> Suggestion | None:
    """Return the label that is likely in place of a clip's; None if its label is not the doubtful one any more, or somebody has checked it."""
    if not doubtful or not words or (about and about[-1].checked):
        return None
    audited = renamed(ledger, Words(doubtful.verb, doubtful.noun, ""))
    likely = renamed(ledger, Suggestion(doubtful.likely_verb, doubtful.likely_noun, doubtful.likely_probability))
    is_same = (words.verb, words.noun) == (audited.verb, audited.noun) != (likely.verb, likely.noun)
    return likely if is_same else None


def renamed(ledger: Ledger, words: W) -> W:
    """Return a label or a suggestion by the names that its names were merged into."""
    return replace(words, verb=ledger.merged("verb", words.verb), noun=ledger.merged("noun", words.noun))


def suggested_to(ledger: Ledger, suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """List suggestions by today's names, best first. Of those that are the same by now, the best."""
    best: dict[tuple[str, str], Suggestion] = {}
    for suggestion in (renamed(ledger, suggestion) for suggestion in suggestions):
        best.setdefault((suggestion.verb, suggestion.noun), suggestion)
    return list(best.values())


def _is_named(name: str, words: Words | None, best: Suggestion | None) -> bool:
    return any(name in (action.verb, action.noun, f"{action.verb} {action.noun}") for action in (words, None if words else best) if action)


LEASE_SECONDS = 180
NUM_PEOPLE = 50
"""The leases that are read; more people at once may get the same clips."""


class Leases:
    """Reads and writes which clips are leased to whom. Hold `turn` from reading to writing."""

    def __init__(self, store: Store, store_uri: str) -> None:
        self.turn = threading.Lock()
        self._store = store
        self._log = Layout(store_uri).label_log

    def to_others(self, person: str) -> set[str]:
        """List the clips that others have had before them in the minutes before the latest lease."""
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
