"""Find the interval of the page that labels a clip, by the rule of the step `label`."""

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from typing import Any

from tasks.data.labels.intervals import ROUNDING_SECONDS, winners
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.rows import IntervalRow, LabelRow
from tasks.options import LabelOptions
from tasks.pages.label.clips import Cut, PageClip
from tasks.pages.label.queue import Covering, Known, Words, in_conflict
from tasks.store.records.labelling import ClipStatement, IntervalStatement

MIN_OVERLAP = LabelOptions().min_overlap

Json = dict[str, Any]
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
