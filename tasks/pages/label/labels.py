"""Find the labels of each clip: answers, the page's intervals, folders and files."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from heapq import heappop, heappush
from operator import attrgetter
from typing import Any, TypeVar

from tasks.data.clips.label_inputs import annotation_objects, probe_objects
from tasks.data.labels.csv_rows import IntervalRow, LabelLine
from tasks.data.labels.intervals import ROUNDING_SECONDS, winners
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.page_labels import PAGE
from tasks.options import LabelOptions
from tasks.pages.label.clips import Cut, PageClip, SuggestedInterval, Suggestion
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NO_OBJECT, LabelledClip, Problem
from tasks.store.records.evaluation import DoubtfulLabel
from tasks.store.records.labelling import ClipStatement, IntervalStatement, Statement

Json = dict[str, Any]
FOLDER = "folder "
"""Before the name of a folder that a label comes from."""


@dataclass(frozen=True)
class Words:
    """A label by words, with its origin."""

    verb: str
    noun: str
    origin: str
    at: str = ""  # since when the label is there, if that is known


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
    """The label of a clip by its intervals."""

    words: Words
    number: int  # place of the latest interval in the log
    token: str


CoveringOf = Callable[[PageClip], Covering | None]
"""Finds the label of a clip by its intervals."""


@dataclass(frozen=True)
class ClipLabels:
    """All labels of one clip: by its answers, its intervals, and its folder or file."""

    ledger: Ledger
    about: Sequence[ClipStatement]  # the latest is the last
    interval: Covering | None = None
    known: Known | None = None

    def by(self, person: str) -> "ClipLabels":
        """Keep this person's own answers: others' would reveal a clip that the person still reads."""
        return ClipLabels(self.ledger, [statement for statement in self.about if statement.by == person])

    @property
    def words(self) -> Words | None:
        """Return the label that holds.

        It is that of the latest answer or of the intervals, whichever is later; without any, or if a file is later still, that of the files.
        *Unsure* labels nothing.
        """
        latest = self.about[-1] if self.about else None
        answer = self.ledger.words(latest) if latest else None
        stated = Covering(Words(*answer, latest.by, latest.at), self.ledger.number(latest), latest.token) if latest and answer else None
        last = max(filter(None, (stated, self.interval)), key=attrgetter("number"), default=None)
        if last and not (self.known and self.known.wins_over(self.ledger.find(last.token))):
            return last.words
        return renamed(self.ledger, self.known.words) if self.known else None

    @property
    def people_differ(self) -> bool:
        """Check whether the latest answers of two people differ."""
        latest = {statement.by: self.ledger.words(statement) for statement in self.about}
        return len(set(latest.values())) > 1

    @property
    def are_in_conflict(self) -> bool:
        """Check whether the latest answer contradicts the intervals without a choice between them.

        Somebody who knew both, or a later file, may have chosen.
        """
        answer = self.ledger.words(self.about[-1]) if self.about else None
        if not answer or not self.interval or answer == (self.interval.words.verb, self.interval.words.noun):
            return False
        last = self.about[-1]
        if self.known and self.known.wins_over(last) and self.known.wins_over(self.ledger.find(self.interval.token)):
            return False
        over = self.ledger.find(last.over) if last.over else None
        return over is None or self.ledger.number(over) < self.interval.number

    @property
    def conflict(self) -> Json | None:
        """Describe the answer and the intervals that contradict it; None if none do."""
        if not self.interval or not self.are_in_conflict:
            return None
        last, words = self.about[-1], self.interval.words
        verb, noun = self.ledger.words(last) or (None, None)
        return {
            **last.model_dump(mode="json", include={"uid", "video", "start_seconds", "stop_seconds"}),
            "answer": {"answer": last.answer, "verb": verb, "noun": noun, "by": last.by},
            "interval": {"answer": "action", "verb": words.verb, "noun": words.noun, "by": words.origin},
            "over": self.interval.token,
            "holds": "answer" if self.ledger.number(last) > self.interval.number else "interval",
        }

    def doubt(self, doubtful: DoubtfulLabel | None) -> Suggestion | None:
        """Return what likely replaces a doubtful label; None once the label is changed or checked."""
        words = self.words
        if not doubtful or not words or (self.about and self.about[-1].checked):
            return None
        audited = renamed(self.ledger, Words(doubtful.verb, doubtful.noun, ""))
        likely = renamed(self.ledger, Suggestion(doubtful.likely_verb, doubtful.likely_noun, doubtful.likely_probability))
        is_same = (words.verb, words.noun) == (audited.verb, audited.noun) != (likely.verb, likely.noun)
        return likely if is_same else None


def renamed(ledger: Ledger, words: W) -> W:
    """Return a label or a suggestion by the names that its names were merged into."""
    return replace(words, verb=ledger.current_name("verb", words.verb), noun=ledger.current_name("noun", words.noun))


def suggested_to(ledger: Ledger, suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    """List different suggestions by today's names, best first."""
    best: dict[tuple[str, str], Suggestion] = {}
    for suggestion in (renamed(ledger, suggestion) for suggestion in suggestions):
        best.setdefault((suggestion.verb, suggestion.noun), suggestion)
    return list(best.values())


@dataclass(frozen=True, slots=True)
class FileLabel:
    """A label by a folder or a file's line, over clips in a row."""

    video: str
    start_seconds: float
    stop_seconds: float
    words: Words
    uids: tuple[str, ...]


@dataclass(frozen=True)
class Uploads:
    """Times at which annotation files and records of videos came to the store.

    Files are by name, records by address.
    """

    store_uri: str
    files: Mapping[str, str]
    records: Mapping[str, str]

    @classmethod
    def of(cls, store: Store, store_uri: str) -> "Uploads":
        """List them."""
        files = {file.name: file.modified for file in annotation_objects(store, store_uri)}
        return cls(store_uri, files, {probe.uri: probe.modified for probe in probe_objects(store, store_uri)})

    def since(self, origin: str, video: str) -> str:
        """Find out when a file came, or the video of a folder; empty if gone."""
        if origin.startswith(FOLDER):
            return self.records.get(Layout(self.store_uri).video(video).probe.uri, "")
        names = (origin, origin.rpartition(":")[0], origin.partition(", ")[0])
        return next((self.files[name] for name in names if name in self.files), "")


def known_labels(clips: Iterable[LabelledClip], uploads: Uploads) -> dict[str, Known]:
    """Select the labels of folders and files, by the uid of the clip."""
    return {
        label.clip.uid: Known(Words(label.verb, label.noun or NO_OBJECT, label.origin, uploads.since(label.origin, label.clip.video)))
        for label in clips
        if label.verb and label.origin and label.origin != PAGE
    }


def unread_files(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Name unreadable files, and count unusable lines, whose reasons may reveal answers."""
    num_lines = Counter(problem.file for problem in problems if problem.line is not None)
    lines = "of its lines cannot be used; the task label of build_dataset names them"
    return (
        *(f"{problem.file}: {problem.reason}" for problem in problems if problem.line is None),
        *(f"{file}: {number:,} {lines}" for file, number in num_lines.items()),
    )


def file_labels(cut: Cut, known: Mapping[str, Known]) -> dict[str, list[FileLabel]]:
    """List the labels of each video by time."""
    by_video: dict[str, list[FileLabel]] = {}
    for clip in cut.clips.values():
        if clip.uid not in known:
            continue
        own, words = by_video.setdefault(clip.video, []), known[clip.uid].words
        last = own[-1] if own else None
        if last and (last.words, last.stop_seconds) == (words, clip.start_seconds):
            own[-1] = replace(last, stop_seconds=clip.stop_seconds, uids=(*last.uids, clip.uid))
        else:
            own.append(FileLabel(clip.video, clip.start_seconds, clip.stop_seconds, words, (clip.uid,)))
    return by_video


def of_file(ledger: Ledger, label: FileLabel) -> Json:
    """Describe a label for the page, where it can be answered over."""
    words = renamed(ledger, label.words)
    span = {"video": label.video, "start_seconds": label.start_seconds, "stop_seconds": label.stop_seconds}
    about = {"answer": "action", "verb": words.verb, "noun": words.noun, "by": words.origin, "at": words.at}
    return {"kind": "file", "uid": label.uids[0], **span, **about}


MIN_OVERLAP = LabelOptions().min_overlap


class Coverings:
    """A cache of labels by intervals.

    They are kept until a video's intervals change or a class is renamed.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[Sequence[PageClip], tuple[int, int], Mapping[str, Covering]]] = {}

    def of(self, cut: Cut, ledger: Ledger) -> CoveringOf:
        """Make the function that looks a clip of this cut up."""
        fresh: dict[str, Mapping[str, Covering]] = {}

        def look(clip: PageClip) -> Covering | None:
            if clip.video not in fresh:
                fresh[clip.video] = self._of_video(cut, clip.video, ledger)
            return fresh[clip.video].get(clip.uid)

        return look

    def _of_video(self, cut: Cut, video: str, ledger: Ledger) -> Mapping[str, Covering]:
        state = ledger.num_changes(video), ledger.num_renames
        if not state[0] or video not in cut.by_video:
            return {}
        clips, last = cut.by_video[video], self._kept.get((cut.recipe, video))
        if last is None or last[0] is not clips or last[1] != state:
            last = self._kept[cut.recipe, video] = clips, state, covered(clips, ledger.intervals(video), ledger)
        return last[2]


def covered(clips: Sequence[PageClip], intervals: Sequence[IntervalStatement], ledger: Ledger) -> dict[str, Covering]:
    """Find the intervals that label the clips of one video; both are sorted by time.

    Those in a clip label it together, from the time of the latest on.
    """
    rows = []
    for number, interval in enumerate(intervals):
        verb, noun = ledger.words(interval) or ("", "")
        label = LabelLine.model_construct(line=number, verb=verb, noun=noun)  # the log's words were checked when they were written
        rows.append(IntervalRow(number, label, interval.video, interval.start_seconds, interval.stop_seconds))
    latest = _latest(clips, intervals, ledger)
    return {
        clip.uid: Covering(Words(row.verb, row.noun, intervals[row.line].by, intervals[row.line].at), *latest[clip.uid])
        for clip, (row, _) in winners(clips, rows, MIN_OVERLAP)
    }


def _latest(clips: Sequence[PageClip], intervals: Sequence[IntervalStatement], ledger: Ledger) -> dict[str, tuple[int, str]]:
    """Find the latest interval in each clip: its place in the log, and its token."""
    latest: dict[str, tuple[int, str]] = {}
    waiting = [interval for interval in reversed(intervals) if interval.stop_seconds - interval.start_seconds > ROUNDING_SECONDS]
    begun: list[tuple[int, str, float]] = []
    for clip in clips:
        while waiting and clip.stop_seconds - waiting[-1].start_seconds > ROUNDING_SECONDS:
            interval = waiting.pop()
            heappush(begun, (-ledger.number(interval), interval.token, interval.stop_seconds))
        while begun and begun[0][2] - clip.start_seconds <= ROUNDING_SECONDS:
            heappop(begun)
        if begun:
            latest[clip.uid] = -begun[0][0], begun[0][1]
    return latest
