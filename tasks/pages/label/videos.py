"""Describe a video for the view *Intervals*.

It has clips, labels of any origin, and the intervals that the model suggests.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any

from tasks.data.labels.intervals import ROUNDING_SECONDS, Span, overlap_seconds
from tasks.data.labels.ledger import Ledger
from tasks.pages.label.clips import Cut, PageClip
from tasks.pages.label.covering import conflict_of
from tasks.pages.label.desk import View
from tasks.pages.label.file_labels import of_file
from tasks.pages.label.queue import Covering, Reader, renamed, suggested_to
from tasks.pages.label.suggestions import SuggestedInterval
from tasks.store.records.labelling import ClipStatement, IntervalStatement

Json = dict[str, Any]


def described(
    view: View, video: str, cuts: Sequence[Cut], ledger: Ledger, reader: Reader, covering: Callable[[str], Covering | None]
) -> Json:
    """Describe a video.

    Of clips that this person is to read as the second, neither labels of others nor suggestions.
    """
    clips = view.cut.by_video[video]
    said = answered(cuts, ledger, video)
    unread = unread_of(said, reader)
    read = [(clip, about) for clip, about in said if about[-1].by == reader.name or not touches(clip, unread)]
    intervals, files = ledger.intervals(video), view.of_files.get(video, ())
    hidden = hidden_of(intervals, unread, reader)
    shown = [one for one in intervals if one not in hidden]
    shown_files = [one for one in files if not touches(one, unread)]
    labels = [*(_answer(ledger, clip, about[-1]) for clip, about in read), *(of_file(ledger, one) for one in shown_files)]
    conflicts = (
        conflict_of(ledger, about, covering(clip.uid), view.known.get(clip.uid)) for clip, about in read if not touches(clip, hidden)
    )
    return {
        "video": video,
        "name": view.cut.names[video],
        "duration_seconds": clips[-1].stop_seconds,
        "clips": [{"uid": clip.uid, **span(clip), "num_frames": clip.num_frames} for clip in clips],
        "intervals": [_interval(ledger, one) for one in shown],
        "labels": sorted(labels, key=lambda one: (one["start_seconds"], one["stop_seconds"])),
        "conflicts": [one for one in conflicts if one],
        "num_hidden": len(hidden) + len(files) - len(shown_files) + len(said) - len(read),
        "predicted": [asdict(one) for one in _predicted(view, ledger, video) if not touches(one, unread)],
    }


def span(clip: PageClip) -> Json:
    """Return where a clip lies in its video."""
    return {"start_seconds": clip.start_seconds, "stop_seconds": clip.stop_seconds}


def answered(cuts: Sequence[Cut], ledger: Ledger, video: str) -> list[tuple[PageClip, list[ClipStatement]]]:
    """List the clips of a video that have answers, however they were cut, with these."""
    clips = {clip.key: clip for cut in cuts for clip in cut.by_video.get(video, ())}
    return [(clip, about) for key, clip in clips.items() if (about := ledger.about(key))]


def unread_of(said: Sequence[tuple[PageClip, Sequence[ClipStatement]]], reader: Reader) -> list[PageClip]:
    """List the clips that a person is to read as the second."""
    return [clip for clip, about in said if reader.is_second(clip.uid, about)]


def hidden_of(intervals: Sequence[IntervalStatement], unread: Sequence[Span], reader: Reader) -> list[IntervalStatement]:
    """List the intervals of others that would tell of a clip to read."""
    return [one for one in intervals if one.by != reader.name and touches(one, unread)]


def touches(one: Span, others: Sequence[Span]) -> bool:
    """Check whether a part of a video overlaps any of these parts of it."""
    return any(overlap_seconds(one, other) > ROUNDING_SECONDS for other in others)


def _interval(ledger: Ledger, one: IntervalStatement) -> Json:
    verb, noun = ledger.words(one) or (None, None)
    return {**one.model_dump(mode="json", include={"token", "start_seconds", "stop_seconds", "by", "at"}), "verb": verb, "noun": noun}


def _answer(ledger: Ledger, clip: PageClip, last: ClipStatement) -> Json:
    verb, noun = ledger.words(last) or (None, None)
    return {"kind": "clip", "uid": clip.uid, **span(clip), "answer": last.answer, "verb": verb, "noun": noun, "by": last.by, "at": last.at}


def _predicted(view: View, ledger: Ledger, video: str) -> Sequence[SuggestedInterval]:
    """Return the intervals of the prediction.

    Of a video without any, its clips, consecutive ones of the same action as one.
    """
    if video in view.suggestions.intervals:
        return [renamed(ledger, one) for one in view.suggestions.intervals[video]]
    found: list[SuggestedInterval] = []
    for clip in view.cut.by_video[video]:
        for best in suggested_to(ledger, view.suggestions.by_clip.get(clip.uid, ())[:1]):
            one = SuggestedInterval(best.verb, best.noun, best.probability, clip.start_seconds, clip.stop_seconds)
            last = found[-1] if found else None
            if last and (last.verb, last.noun, last.stop_seconds) == (one.verb, one.noun, one.start_seconds):
                found[-1] = replace(last, stop_seconds=one.stop_seconds, probability=max(last.probability, one.probability))
            else:
                found.append(one)
    return found
