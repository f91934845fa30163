"""Find the labels of clips besides their answers: those of folders and files, and the intervals of the page.

Intervals label clips by the rule of the step `label`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any

from tasks.data.clips.label_inputs import annotation_objects, probe_objects
from tasks.data.labels.intervals import ROUNDING_SECONDS, winners
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.page_labels import PAGE
from tasks.data.labels.rows import IntervalRow, LabelRow
from tasks.options import LabelOptions
from tasks.pages.label.clips import Cut, PageClip
from tasks.pages.label.queue import FOLDER, Covering, Known, Words, in_conflict, renamed
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import NO_OBJECT, LabelledClip, Problem
from tasks.store.records.labelling import ClipStatement, IntervalStatement

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FileLabel:
    """A label by a folder or a line of a file.

    It lies over the clips in a row that it labels.
    """

    video: str
    start_seconds: float
    stop_seconds: float
    words: Words
    uids: tuple[str, ...]


@dataclass(frozen=True)
class Uploads:
    """Times at which annotation files and videos came to the store.

    Files are found by name, records of videos by address.
    """

    store_uri: str
    files: Mapping[str, str]
    records: Mapping[str, str]

    @classmethod
    def of(cls, store: Store, store_uri: str) -> "Uploads":
        """List them."""
        files = {one.name: one.modified for one in annotation_objects(store, store_uri)}
        return cls(store_uri, files, {one.uri: one.modified for one in probe_objects(store, store_uri)})

    def since(self, origin: str, video: str) -> str:
        """Find out when a label came: with its file, or its folder with the video.

        Empty if the file has gone.
        """
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
    """Name the files that cannot be read, and those with unusable lines.

    Lines are only counted: their reasons may tell what a second reader is not to know.
    """
    num_lines = Counter(problem.file for problem in problems if problem.line is not None)
    return (
        *(f"{problem.file}: {problem.reason}" for problem in problems if problem.line is None),
        *(
            f"{file}: {number:,} of its lines cannot be used; the task label of build_dataset names them"
            for file, number in num_lines.items()
        ),
    )


def file_labels(cut: Cut, known: Mapping[str, Known]) -> dict[str, list[FileLabel]]:
    """List the labels of each video by time."""
    found: dict[str, list[FileLabel]] = {}
    for clip in cut.clips.values():
        if clip.uid not in known:
            continue
        own, words = found.setdefault(clip.video, []), known[clip.uid].words
        last = own[-1] if own else None
        if last and (last.words, last.stop_seconds) == (words, clip.start_seconds):
            own[-1] = replace(last, stop_seconds=clip.stop_seconds, uids=(*last.uids, clip.uid))
        else:
            own.append(FileLabel(clip.video, clip.start_seconds, clip.stop_seconds, words, (clip.uid,)))
    return found


def of_file(ledger: Ledger, one: FileLabel) -> Json:
    """Describe a label for the page, where it can be answered over."""
    words = renamed(ledger, one.words)
    span = {"video": one.video, "start_seconds": one.start_seconds, "stop_seconds": one.stop_seconds}
    about = {"answer": "action", "verb": words.verb, "noun": words.noun, "by": words.origin, "at": words.at}
    return {"kind": "file", "uid": one.uids[0], **span, **about}


MIN_OVERLAP = LabelOptions().min_overlap

_State = tuple[int, int]


class Coverings:
    """Keeps what labels the clips of each video, until something new is said about its intervals or a class is renamed."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[Sequence[PageClip], _State, Mapping[str, Covering]]] = {}

    def of(self, cut: Cut, ledger: Ledger) -> Callable[[PageClip], Covering | None]:
        """Return what looks a clip up."""
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
        clips, last = cut.by_video[video], self._found.get((cut.recipe, video))
        if last is None or last[0] is not clips or last[1] != state:
            last = self._found[cut.recipe, video] = clips, state, covered(clips, ledger.intervals(video), ledger)
        return last[2]


def conflict_of(ledger: Ledger, about: Sequence[ClipStatement], interval: Covering | None, known: Known | None) -> Json | None:
    """Describe the answer about a clip and the intervals in it that say otherwise.

    None if somebody, or a later file, chose between them.
    """
    if not interval or not in_conflict(ledger, about, interval, known):
        return None
    last = about[-1]
    verb, noun = ledger.words(last) or (None, None)
    return {
        **last.model_dump(mode="json", include={"uid", "video", "start_seconds", "stop_seconds"}),
        "answer": {"answer": last.answer, "verb": verb, "noun": noun, "by": last.by},
        "interval": {"answer": "action", "verb": interval.words.verb, "noun": interval.words.noun, "by": interval.words.origin},
        "over": interval.token,
        "holds": "answer" if ledger.number(last) > interval.number else "interval",
    }


def covered(clips: Sequence[PageClip], intervals: Sequence[IntervalStatement], ledger: Ledger) -> dict[str, Covering]:
    """Find the intervals that label the clips of one video.

    Both are sorted by time, `intervals` as `Ledger.intervals` lists them. Those in a clip label it together, from the time of the latest on.
    """
    rows = [
        IntervalRow(
            number, _label(number, ledger.words(interval) or ("", "")), interval.video, interval.start_seconds, interval.stop_seconds
        )
        for number, interval in enumerate(intervals)
    ]
    latest = _latest(clips, intervals, ledger)
    return {
        clip.uid: Covering(Words(row.verb, row.noun, intervals[row.line].by, intervals[row.line].at), *latest[clip.uid])
        for clip, (row, _) in winners(clips, rows, MIN_OVERLAP)
    }


def _latest(clips: Sequence[PageClip], intervals: Sequence[IntervalStatement], ledger: Ledger) -> dict[str, tuple[int, str]]:
    """Find the latest interval in each clip: its place in the log, and its token."""
    found: dict[str, tuple[int, str]] = {}
    waiting = [one for one in reversed(intervals) if one.stop_seconds - one.start_seconds > ROUNDING_SECONDS]
    begun: list[tuple[int, str, float]] = []
    for clip in clips:
        while waiting and clip.stop_seconds - waiting[-1].start_seconds > ROUNDING_SECONDS:
            one = waiting.pop()
            heappush(begun, (-ledger.number(one), one.token, one.stop_seconds))
        while begun and begun[0][2] - clip.start_seconds <= ROUNDING_SECONDS:
            heappop(begun)
        if begun:
            found[clip.uid] = -begun[0][0], begun[0][1]
    return found


def _label(number: int, words: tuple[str, str]) -> LabelRow:
    # The words of the log were checked when they were said.
    return LabelRow.model_construct(line=number, verb=words[0], noun=words[1])
