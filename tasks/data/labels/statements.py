"""Keep the statements of the labelling page that hold, and turn them into labels of clips.

The latest statement about a clip wins. The intervals of a clip that hold label it together, by what covers most of it.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tasks.data.labels.intervals import ROUNDING_SECONDS, longest_first, overlap_finder, overlap_seconds
from tasks.data.labels.vocabulary import WordTarget, end_of_merges
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.labelling import (
    AnyEntry,
    AnyStatement,
    ClassMerge,
    ClipStatement,
    DamagedEntry,
    IntervalStatement,
    Statement,
    Withdrawal,
)
from tasks.store.records.video import ClipRecord

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
    _replaced: set[str] | None = None
    _by_clip: dict[ClipKey, list[ClipStatement]] = field(default_factory=lambda: defaultdict(list))
    _by_video: dict[str, list[IntervalStatement]] = field(default_factory=lambda: defaultdict(list))
    _merges: list[ClassMerge] = field(default_factory=list)
    _in_effect: dict[tuple[WordTarget, str], ClassMerge] | None = None
    _num_changes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    num_renames: int = 0
    """Statements that were ever made about names of classes."""
    problems: list[str] = field(default_factory=list)
    """Entries that cannot be read, and references to statements that nobody had made. They count for nothing."""

    @classmethod
    def of(cls, entries: Sequence[AnyEntry]) -> "Ledger":
        """Read a whole log."""
        ledger = cls()
        ledger.add(entries)
        return ledger

    def add(self, entries: Sequence[AnyEntry]) -> None:
        """Add the next entries of the log. A token that is known already adds nothing."""
        self._in_effect = self._replaced = None
        for entry in entries:
            self.num_entries += 1
            if isinstance(entry, DamagedEntry):
                self.problems.append(entry.reason)
                continue
            statement = entry.statement
            if statement.token in self._by_token:
                continue
            # A merge that cannot be has no effect.
            if not isinstance(statement, ClassMerge) and (problem := self.problem(statement)):
                self.problems.append(f"statement {self.num_entries} of the labelling page, by {statement.by}, {problem}")
                if not isinstance(statement, IntervalStatement):
                    continue
                statement = statement.model_copy(update={"replaces": None})
            self._number_by_token[statement.token] = self.num_entries
            self._by_token[statement.token] = statement
            match statement:
                case ClipStatement():
                    self._by_clip[key_of(statement)].append(statement)
                case IntervalStatement():
                    self._by_video[statement.video].append(statement)
                    self._num_changes[statement.video] += 1
                case Withdrawal():
                    self._withdraw(statement)
                case ClassMerge():
                    self._merges.append(statement)
                    self.num_renames += 1

    def _withdraw(self, withdrawal: Withdrawal) -> None:
        token: str | None = withdrawal.withdrawn
        while token and token not in self._withdrawn:
            self._withdrawn.add(token)
            before = self._by_token.get(token)
            if isinstance(before, IntervalStatement):
                self._num_changes[before.video] += 1
            self.num_renames += isinstance(before, ClassMerge)
            token = before.replaces if isinstance(before, IntervalStatement) and not withdrawal.undo else None

    def holds(self, statement: Statement) -> bool:
        """Check whether nobody has taken the statement back, and no interval that holds replaces it."""
        return statement.token not in self._withdrawn and statement.token not in self._replaced_by_others()

    def _replaced_by_others(self) -> set[str]:
        """List the tokens of intervals that others replace.

        An interval that was taken back replaces nothing. Those that a replaced interval had itself replaced are listed, too.
        """
        if self._replaced is None:
            self._replaced = set()
            for intervals in self._by_video.values():
                for interval in intervals:
                    token = interval.replaces if interval.token not in self._withdrawn else None
                    while token and token not in self._replaced:
                        self._replaced.add(token)
                        before = self._by_token.get(token)
                        token = before.replaces if isinstance(before, IntervalStatement) else None
        return self._replaced

    def problem(self, statement: AnyStatement) -> str | None:
        """Say why a statement cannot be made now; None if it can."""
        match statement:
            case Withdrawal() if statement.withdrawn not in self._by_token:
                return "takes back what nobody has said"
            case IntervalStatement() if statement.replaces:
                before = self._by_token.get(statement.replaces)
                if not isinstance(before, IntervalStatement) or before.video != statement.video:
                    return "replaces an interval that this video does not have"
            case ClassMerge():
                try:
                    self._end_of_merges(statement)
                except ValueError as error:
                    return f"merges into a name that cannot be: {error}"
        return None

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
        """List the intervals of a video that hold, by time, the longest first of those that begin together."""
        standing = [statement for statement in self._by_video.get(video, ()) if self.holds(statement)]
        return sorted(standing, key=lambda interval: (*longest_first(interval), self.number(interval)))

    def words(self, statement: ClipStatement | IntervalStatement) -> tuple[str, str] | None:
        """Return verb and noun of a statement by the names that they were merged into; None if the person was unsure."""
        words = words_of(statement)
        return (self.merged("verb", words[0]), self.merged("noun", words[1])) if words else None

    def merged(self, target: WordTarget, name: str) -> str:
        """Follow the merges of a name to the name that is left."""
        merges = self._merges_in_effect()
        while (merge := merges.get((target, name))) and merge.same_as != name:
            name = merge.same_as
        return name

    @property
    def merges(self) -> list[ClassMerge]:
        """List the merges in effect, in order: of those that hold, a later one overrides an earlier one of its name, or one that it reverses."""
        return list(self._merges_in_effect().values())

    def _merges_in_effect(self) -> dict[tuple[WordTarget, str], ClassMerge]:
        """Apply the merges in order, as `Lexicon.merge` does: there is no circle."""
        if self._in_effect is None:
            found = self._in_effect = {}
            for merge in filter(self.holds, self._merges):
                try:
                    last = self._end_of_merges(merge)
                except ValueError:
                    continue
                found.pop((merge.target, merge.name), None)
                if last == merge.name:
                    found.pop((merge.target, merge.same_as), None)
                found[merge.target, merge.name] = merge
        return self._in_effect

    def _end_of_merges(self, merge: ClassMerge) -> str:
        def merged_into(name: str) -> str | None:
            before = self._merges_in_effect().get((merge.target, name))
            return before.same_as if before and before.same_as != name else None

        return end_of_merges(merge.same_as, merge.name, merged_into)

    def num_changes(self, video: str) -> int:
        """Count what was ever said about the intervals of a video."""
        return self._num_changes.get(video, 0)


@dataclass(frozen=True)
class PageLabel:
    """Holds the label of a clip by its latest statement.

    `number` is the place of the statement in the log, `place` that among files.
    """

    uid: str
    verb: str
    noun: str
    place: datetime
    number: int


@dataclass(frozen=True)
class PagePart:
    """The part of an interval that lies in one clip.

    `place` and `number` are those of the latest interval in the clip, because all intervals of a clip label it together.
    """

    uid: str
    video: str
    start_seconds: float
    stop_seconds: float
    verb: str
    noun: str
    place: datetime
    number: int


def page_labels(ledger: Ledger, clips: Sequence[ClipRecord], min_overlap: float) -> list[PageLabel]:
    """Label each clip by the latest statement that covers `min_overlap` of it.

    A person who is unsure labels nothing. A clip around an interval is labelled by a statement about the whole of it alone.
    """
    statements = {video: overlap_finder(about) for video, about in _by_video(ledger).items()}
    labels = []
    for clip in clips:
        share = min_overlap if clip.around is None else 1
        demanded = max(share * (clip.stop_seconds - clip.start_seconds), 2 * ROUNDING_SECONDS) - ROUNDING_SECONDS
        near = statements[clip.video](clip) if clip.video in statements else ()
        about = [statement for statement in near if overlap_seconds(clip, statement) >= demanded]
        latest = max(about, key=ledger.number, default=None)
        words = words_of(latest) if latest else None
        if latest and words:
            labels.append(PageLabel(clip.uid, *words, latest.place, ledger.number(latest)))
    return labels


def page_parts(ledger: Ledger, clips: Sequence[ClipSpan]) -> list[PagePart]:
    """Cut the intervals that hold at the clips, so that each clip can be labelled on its own."""
    intervals = {video: overlap_finder(ledger.intervals(video)) for video in ledger.videos}
    parts = []
    for clip in clips:
        near = intervals[clip.video](clip) if clip.video in intervals else ()
        inside = [interval for interval in near if overlap_seconds(clip, interval) > ROUNDING_SECONDS]
        latest = max(inside, key=ledger.number, default=None)
        if latest:
            parts += [
                PagePart(
                    uid=clip.uid,
                    video=clip.video,
                    start_seconds=max(clip.start_seconds, one.start_seconds),
                    stop_seconds=min(clip.stop_seconds, one.stop_seconds),
                    verb=one.verb,
                    noun=one.noun,
                    place=latest.place,
                    number=ledger.number(latest),
                )
                for one in inside
            ]
    return parts


def touched_clips(ledger: Ledger, clips: Sequence[ClipSpan]) -> set[str]:
    """List the clips that a statement overlaps at all, such as one that a person is unsure of."""
    statements = _by_video(ledger)
    find = {video: overlap_finder([*statements.get(video, ()), *ledger.intervals(video)]) for video in {*statements, *ledger.videos}}
    return {clip.uid for clip in clips if clip.video in find and any(find[clip.video](clip))}


def _by_video(ledger: Ledger) -> Mapping[str, list[ClipStatement]]:
    found: defaultdict[str, list[ClipStatement]] = defaultdict(list)
    for (video, _, _), standing in ledger.clips():
        found[video].append(standing[-1])
    return found
