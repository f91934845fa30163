"""Keep the page's statements that hold, compare two readers, and count new labels."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from tasks.data.labels.intervals import Span, longest_first
from tasks.data.labels.vocabulary import WordTarget, end_of_merges
from tasks.store.records.dataset import NO_OBJECT, NOTHING, Disagreement, action_name
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

ClipKey = tuple[str, float, float]
"""Video, start and end in seconds of a clip, however it was cut."""

Words = tuple[str, str]
"""Verb and noun."""


class ClipSpan(Span, Protocol):
    """A clip: a part of a video."""

    @property
    def uid(self) -> str:
        """Return the uid of the clip."""

    @property
    def video(self) -> str:
        """Return the hash of its video."""


def key_of(clip: ClipSpan | ClipStatement) -> ClipKey:
    """Return the part of a video that a clip shows."""
    return clip.video, round(clip.start_seconds, 3), round(clip.stop_seconds, 3)


def words_of(statement: ClipStatement | IntervalStatement) -> Words | None:
    """Return verb and noun of a statement; None if the person was unsure."""
    if isinstance(statement, ClipStatement) and statement.answer != "action":
        return (NOTHING, NO_OBJECT) if statement.answer == "nothing" else None
    return str(statement.verb), str(statement.noun)


MergeByName = dict[tuple[WordTarget, str], ClassMerge]
"""The merge of each name, in order."""


@dataclass
class Ledger:
    """All statements of the log so far, in order.

    A statement holds until somebody takes it back. An interval also stops holding when another replaces it, unless the other was taken back.
    """

    num_entries: int = 0
    _number_by_token: dict[str, int] = field(default_factory=dict)
    _by_token: dict[str, AnyStatement] = field(default_factory=dict)
    _withdrawn: dict[str, int] = field(default_factory=dict)
    """Numbers of the entries that took statements back, by token."""
    _replaced: set[str] | None = None
    """Computed when asked for; None after `add`."""
    _by_clip: dict[ClipKey, list[ClipStatement]] = field(default_factory=lambda: defaultdict(list))
    _by_video: dict[str, list[IntervalStatement]] = field(default_factory=lambda: defaultdict(list))
    _class_statements: list[ClassMerge] = field(default_factory=list)
    _in_effect: MergeByName | None = None
    """Computed when asked for; None after `add`."""
    _num_changes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    num_renames: int = 0
    """Merges of classes that were ever made or taken back."""
    problems: list[str] = field(default_factory=list)
    """Entries that cannot be read, and references to statements that nobody had made."""

    @classmethod
    def of(cls, entries: Sequence[AnyEntry]) -> "Ledger":
        """Read a whole log."""
        ledger = cls()
        ledger.add(entries)
        return ledger

    def add(self, entries: Sequence[AnyEntry]) -> None:
        """Add the next entries of the log, except known tokens."""
        self._in_effect = self._replaced = None
        for entry in entries:
            self.num_entries += 1
            if isinstance(entry, DamagedEntry):
                self.problems.append(entry.reason)
                continue
            statement = entry.statement
            if statement.token in self._by_token:
                continue
            # An impossible merge is kept: it may become possible when an earlier merge is taken back. The page asks for its `problem` before.
            if not isinstance(statement, ClassMerge) and (problem := self.problem(statement)):
                self.problems.append(f"statement {self.num_entries} of the labelling page, by {statement.by}, {problem}")
                if not isinstance(statement, IntervalStatement):
                    continue
                # An interval counts even if it replaces nothing.
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
                    self._class_statements.append(statement)
                    self.num_renames += 1

    def _withdraw(self, withdrawal: Withdrawal) -> None:
        """Take back a statement; without `undo`, also the intervals that it replaced."""
        token: str | None = withdrawal.withdrawn
        while token and token not in self._withdrawn:
            self._withdrawn[token] = self.num_entries
            before = self._by_token.get(token)
            if isinstance(before, IntervalStatement):
                self._num_changes[before.video] += 1
            if isinstance(before, ClassMerge):
                self.num_renames += 1
            token = before.replaces if isinstance(before, IntervalStatement) and not withdrawal.undo else None

    def holds(self, statement: Statement) -> bool:
        """Check whether a statement is neither taken back nor replaced."""
        return statement.token not in self._withdrawn and statement.token not in self._replaced_by_others()

    def _replaced_by_others(self) -> set[str]:
        """List the tokens of intervals that intervals not taken back replace, directly or not."""
        if self._replaced is None:
            said = (own for intervals in self._by_video.values() for own in intervals if own.token not in self._withdrawn)
            self._replaced = self._replaced_by(said)
        return self._replaced

    def _replaced_by(self, intervals: Iterable[IntervalStatement]) -> set[str]:
        replaced: set[str] = set()
        for interval in intervals:
            token = interval.replaces
            while token and token not in replaced:
                replaced.add(token)
                before = self._by_token.get(token)
                token = before.replaces if isinstance(before, IntervalStatement) else None
        return replaced

    def problem(self, statement: AnyStatement) -> str | None:
        """Say why a statement cannot be made now; None if it can."""
        match statement:
            case Withdrawal() if statement.withdrawn not in self._by_token:
                return "takes back what nobody has said"
            case Withdrawal() if isinstance(self._by_token[statement.withdrawn], Withdrawal):
                return "takes back a withdrawal; say again what was withdrawn"
            case IntervalStatement() if statement.replaces:
                before = self._by_token.get(statement.replaces)
                if not isinstance(before, IntervalStatement) or before.video != statement.video:
                    return "replaces an interval that this video does not have"
            case ClassMerge():
                try:
                    _last_name(statement, self._merge_by_name())
                except ValueError as error:
                    return f"merges into a name that cannot be: {error}"
        return None

    def find(self, token: str) -> AnyStatement | None:
        """Find a statement by its token."""
        return self._by_token.get(token)

    def number(self, statement: Statement) -> int:
        """Return the place of a statement in the log."""
        return self._number_by_token[statement.token]

    def first_number(self, key: ClipKey) -> int:
        """Return the place of the first statement about a clip, whether it holds or not."""
        return self.number(self._by_clip[key][0])

    def about(self, key: ClipKey) -> list[ClipStatement]:
        """List the statements about a clip that hold, in order."""
        return [statement for statement in self._by_clip.get(key, ()) if self.holds(statement)]

    def clips(self) -> Iterator[tuple[ClipKey, list[ClipStatement]]]:
        """Yield each clip with its statements that hold."""
        for key in self._by_clip:
            if statements := self.about(key):
                yield key, statements

    @property
    def unsure(self) -> set[str]:
        """List the uids of the clips whose latest answer is *unsure*."""
        return {statements[-1].uid for _, statements in self.clips() if statements[-1].answer == "unsure"}

    @property
    def chosen_videos(self) -> tuple[str, ...]:
        """List the videos where a model chose a clip that is answered."""
        return tuple(sorted({key[0] for key, statements in self.clips() if any(statement.chosen for statement in statements)}))

    @property
    def videos(self) -> list[str]:
        """List the videos with intervals, whether they hold or not."""
        return sorted(self._by_video)

    def intervals(self, video: str) -> list[IntervalStatement]:
        """List the intervals of a video that hold, in the order of `longest_first`."""
        intervals = [statement for statement in self._by_video.get(video, ()) if self.holds(statement)]
        return sorted(intervals, key=lambda interval: (*longest_first(interval), self.number(interval)))

    def changed_since(self, number: int) -> tuple[set[ClipKey], set[str]]:
        """List clips, and videos with intervals, that entries after this number are about."""
        clips: set[ClipKey] = set()
        videos: set[str] = set()
        for token, own_number in reversed(self._number_by_token.items()):
            if own_number <= number:
                break
            statement: AnyStatement | None = self._by_token[token]
            if isinstance(statement, Withdrawal):
                statement = self._by_token.get(statement.withdrawn)
            if isinstance(statement, ClipStatement):
                clips.add(key_of(statement))
            elif isinstance(statement, IntervalStatement):
                videos.add(statement.video)
        return clips, videos

    def answer_at(self, key: ClipKey, number: int) -> ClipStatement | None:
        """Return the last statement about a clip that held after so many entries."""
        return next((said for said in reversed(self._by_clip.get(key, ())) if self._is_said(said, number)), None)

    def intervals_at(self, video: str, number: int) -> list[IntervalStatement]:
        """List the intervals of a video that held after so many entries."""
        said = [interval for interval in self._by_video.get(video, ()) if self._is_said(interval, number)]
        replaced = self._replaced_by(said)
        return [interval for interval in said if interval.token not in replaced]

    def _is_said(self, statement: Statement, number: int) -> bool:
        return self.number(statement) <= number < self._withdrawn.get(statement.token, number + 1)

    def words(self, statement: ClipStatement | IntervalStatement) -> Words | None:
        """Return a statement's verb and noun after all merges; None for `unsure`."""
        words = words_of(statement)
        return (self.current_name("verb", words[0]), self.current_name("noun", words[1])) if words else None

    def current_name(self, target: WordTarget, name: str) -> str:
        """Follow the merges of a name to the name that is left."""
        merges = self._merge_by_name()
        # A name that is merged into itself is free again.
        while (merge := merges.get((target, name))) and merge.same_as != name:
            name = merge.same_as
        return name

    @property
    def merges(self) -> list[ClassMerge]:
        """List merges in effect, in order; a later B into A drops A into B."""
        return list(self._merge_by_name().values())

    def _merge_by_name(self) -> MergeByName:
        """Apply the merges in order, as `Lexicon.merge` does, without a circle."""
        if self._in_effect is None:
            merges: MergeByName = {}
            for merge in filter(self.holds, self._class_statements):
                try:
                    last = _last_name(merge, merges)
                except ValueError:
                    continue
                # The latest comes last, also where it overrides another.
                merges.pop((merge.target, merge.name), None)
                if last == merge.name:
                    merges.pop((merge.target, merge.same_as), None)
                merges[merge.target, merge.name] = merge
            self._in_effect = merges
        return self._in_effect

    def num_changes(self, video: str) -> int:
        """Count the changes that were ever made to the intervals of a video."""
        return self._num_changes.get(video, 0)


def _last_name(merge: ClassMerge, earlier: MergeByName) -> str:
    """Follow earlier merges from the name that this one merges into, by `end_of_merges`."""

    def next_name(name: str) -> str | None:
        following = earlier.get((merge.target, name))
        return following.same_as if following and following.same_as != name else None

    return end_of_merges(merge.same_as, merge.name, next_name)


class Pair(NamedTuple):
    """The blind answers of a first and a second reader about a clip."""

    video: str
    first: str
    second: str
    uid: str


def read_twice(ledger: Ledger) -> list[Pair]:
    """List the clips with a blind second reading, unless a reader was unsure.

    A reader may mend an answer while blind: the first reader until the second one has answered, the second until their answer is saved, and
    again if they go back to the clip as they had it, which marks the answer as a second reading. The last such answer of each counts. An answer
    that was given later, when the page shows both, or was taken back, is no reading.
    """
    pairs = []
    for (video, _, _), statements in ledger.clips():
        words = [ledger.words(statement) for statement in _blind(statements)]
        answers = [action_name(*own) for own in words if own]
        if len(answers) == 2:
            pairs.append(Pair(video, answers[0], answers[1], statements[-1].uid))
    return pairs


def differing(pairs: Sequence[Pair]) -> tuple[Disagreement, ...]:
    """List the clips to which two people give different answers."""
    return tuple(Disagreement(uid=pair.uid, first=pair.first, second=pair.second) for pair in pairs if pair.first != pair.second)


def _blind(statements: Sequence[ClipStatement]) -> Sequence[ClipStatement]:
    """Return the first and second reader's blind answers about a clip, if there are both."""
    reader = statements[0].by
    second_at = next(
        (number for number, statement in enumerate(statements) if statement.reading == "second" and statement.by != reader), None
    )
    if second_at is None:
        return ()
    first = [statement for statement in statements[:second_at] if statement.by == reader]
    second = [statement for statement in statements if statement.by == statements[second_at].by and statement.reading == "second"]
    return first[-1], second[-1]


def num_new_labels(ledger: Ledger, num_built: int) -> int:
    """Count clips and intervals whose label the first `num_built` entries do not give.

    A label that was taken back, that a person is unsure of, or that was only renamed is not new. Labels of files are not looked at.
    """
    clips, videos = ledger.changed_since(num_built)
    labels, built = (_labels(ledger, clips, videos, number) for number in (ledger.num_entries, num_built))
    return sum(built.get(part) != words for part, words in labels.items())


def _labels(ledger: Ledger, clips: Iterable[ClipKey], videos: Iterable[str], number: int) -> Mapping[Hashable, Words]:
    """Return the words of clips and intervals after so many entries, by today's names."""
    answers = {key: ledger.answer_at(key, number) for key in clips}
    words: dict[Hashable, Words | None] = {key: ledger.words(answer) for key, answer in answers.items() if answer}
    for interval in (statement for video in videos for statement in ledger.intervals_at(video, number)):
        # Two actions may share their time, so an interval with another label is another one.
        named = ledger.words(interval)
        words["interval", interval.video, interval.start_seconds, interval.stop_seconds, named] = named
    return {part: named for part, named in words.items() if named}
