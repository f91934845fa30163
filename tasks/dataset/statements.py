"""Keep the statements of the labelling page that hold, and turn them into labels of clips.

The latest statement about a clip wins. Intervals of a video that hold label its clips together, by what covers most of a clip.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tasks.dataset.intervals import overlap_seconds
from tasks.results.dataset import NO_OBJECT, NOTHING
from tasks.results.labelling import AnyStatement, ClassMerge, ClipStatement, IntervalStatement, LogEntry, Statement, Withdrawal

ClipKey = tuple[str, float, float]
"""Video, start and end in seconds: a clip, however it was cut."""


class ClipSpan(Protocol):
    """A clip: a part of a video."""

    @property
    def uid(self) -> str:
        """Return the uid of the clip."""

    @property
    def video(self) -> str:
        """Return the hash of its video."""

    @property
    def start_seconds(self) -> float:
        """Return its start in the video."""

    @property
    def stop_seconds(self) -> float:
        """Return its end in the video."""


def key_of(clip: ClipSpan | ClipStatement) -> ClipKey:
    """Return the part of a video that a clip shows."""
    return clip.video, round(clip.start_seconds, 3), round(clip.stop_seconds, 3)


def words_of(statement: ClipStatement | IntervalStatement) -> tuple[str, str] | None:
    """Return verb and noun of a statement; None if the person was unsure."""
    if isinstance(statement, ClipStatement) and statement.answer != "action":
        return (NOTHING, NO_OBJECT) if statement.answer == "nothing" else None
    return str(statement.verb), str(statement.noun)


@dataclass
class Ledger:
    """All statements of the log so far, in order, and which of them hold."""

    num_entries: int = 0
    _number_by_token: dict[str, int] = field(default_factory=dict)
    _by_token: dict[str, AnyStatement] = field(default_factory=dict)
    _withdrawn: set[str] = field(default_factory=set)
    _by_clip: dict[ClipKey, list[ClipStatement]] = field(default_factory=lambda: defaultdict(list))
    _by_video: dict[str, list[IntervalStatement]] = field(default_factory=lambda: defaultdict(list))
    _merges: list[ClassMerge] = field(default_factory=list)

    @classmethod
    def of(cls, entries: Sequence[LogEntry]) -> "Ledger":
        """Read a whole log."""
        ledger = cls()
        ledger.add(entries)
        return ledger

    def add(self, entries: Sequence[LogEntry]) -> None:
        """Add the next entries of the log. A token that is known already adds nothing."""
        for entry in entries:
            self.num_entries += 1
            statement = entry.statement
            if statement.token in self._by_token:
                continue
            self._number_by_token[statement.token] = self.num_entries
            self._by_token[statement.token] = statement
            match statement:
                case ClipStatement():
                    self._by_clip[key_of(statement)].append(statement)
                case IntervalStatement():
                    self._by_video[statement.video].append(statement)
                    if statement.replaces:
                        self._withdrawn.add(statement.replaces)
                case Withdrawal():
                    self._withdrawn.add(statement.withdrawn)
                case ClassMerge():
                    self._merges.append(statement)

    def holds(self, statement: Statement) -> bool:
        """Check whether nobody has taken the statement back."""
        return statement.token not in self._withdrawn

    def find(self, token: str) -> AnyStatement | None:
        """Find a statement by its token."""
        return self._by_token.get(token)

    def number(self, statement: Statement) -> int:
        """Return the place of a statement in the log."""
        return self._number_by_token[statement.token]

    def about(self, key: ClipKey) -> list[ClipStatement]:
        """List the statements about a clip that hold, the latest last."""
        return [statement for statement in self._by_clip.get(key, ()) if self.holds(statement)]

    def clips(self) -> Iterator[tuple[ClipKey, list[ClipStatement]]]:
        """Yield each clip with its statements that hold."""
        for key in self._by_clip:
            if standing := self.about(key):
                yield key, standing

    @property
    def videos(self) -> list[str]:
        """List the videos with intervals, whether they hold or not."""
        return sorted(self._by_video)

    def intervals(self, video: str) -> list[IntervalStatement]:
        """List the intervals of a video that hold, by time."""
        found = [statement for statement in self._by_video.get(video, ()) if self.holds(statement)]
        return sorted(found, key=lambda one: (one.start_seconds, one.stop_seconds, self.number(one)))

    @property
    def merges(self) -> list[ClassMerge]:
        """List the names that were merged into others, in order."""
        return [merge for merge in self._merges if self.holds(merge)]


@dataclass(frozen=True)
class PageLabel:
    """The label of a clip by the page: who gave it, and when."""

    uid: str
    verb: str
    noun: str
    by: str
    at: str


def page_labels(ledger: Ledger, clips: Sequence[ClipSpan], min_overlap: float) -> list[PageLabel]:
    """Label each clip by the latest statement about it, if it covers the share `min_overlap` of the clip."""
    statements = _by_video(ledger)
    labels = []
    for clip in clips:
        demanded = min_overlap * (clip.stop_seconds - clip.start_seconds) - 1e-6
        about = [one for one in statements.get(clip.video, ()) if overlap_seconds(clip, one) >= max(demanded, 1e-6)]
        covering = _covering(clip, ledger, demanded)
        candidates: list[ClipStatement | IntervalStatement] = [*about, *covering]
        winner = max(candidates, key=ledger.number, default=None)
        words = words_of(winner) if winner else None
        if winner and words:
            labels.append(PageLabel(clip.uid, *words, winner.by, winner.at))
    return labels


def touched_clips(ledger: Ledger, clips: Sequence[ClipSpan]) -> set[str]:
    """List the clips that a statement overlaps at all, such as one that a person is unsure of."""
    statements = _by_video(ledger)
    return {
        clip.uid
        for clip in clips
        if any(overlap_seconds(clip, one) > 0 for one in (*statements.get(clip.video, ()), *ledger.intervals(clip.video)))
    }


def _by_video(ledger: Ledger) -> Mapping[str, list[ClipStatement]]:
    found: defaultdict[str, list[ClipStatement]] = defaultdict(list)
    for (video, _, _), standing in ledger.clips():
        found[video].append(standing[-1])
    return found


def _covering(clip: ClipSpan, ledger: Ledger, demanded: float) -> list[IntervalStatement]:
    """List the intervals of the action that covers most of the clip, none if it covers too little; ties go to the first."""
    found: defaultdict[tuple[str, str], list[IntervalStatement]] = defaultdict(list)
    for one in ledger.intervals(clip.video):
        if overlap_seconds(clip, one) > 0:
            found[one.verb, one.noun].append(one)
    seconds = {words: sum(overlap_seconds(clip, one) for one in intervals) for words, intervals in found.items()}
    best = max(seconds, key=lambda words: seconds[words], default=None)
    return found[best] if best and seconds[best] >= max(demanded, 1e-6) else []
