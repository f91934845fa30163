"""Describe labels for the views: counts, a video for *Intervals*, the list of *Review*."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any, Literal

from tasks.data.labels.intervals import ROUNDING_SECONDS, Span, overlap_seconds
from tasks.data.labels.ledger import Ledger
from tasks.pages.label.clips import Cut, PageClip, SuggestedInterval
from tasks.pages.label.labels import ClipLabels, Covering, CoveringOf, FileLabel, of_file, renamed, suggested_to
from tasks.pages.label.page_data import View
from tasks.pages.label.queue import Reader
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.labelling import ClipStatement, IntervalStatement

Json = dict[str, Any]


@dataclass(frozen=True)
class ReviewQuery:
    """The labels to list, and the page of them."""

    by: str | None = None
    video: str | None = None
    name: str | None = None
    show: Literal["all", "intervals", "files", "conflicts", "unsure", "second"] = "all"
    page: int = 0


@dataclass(frozen=True)
class Counts:
    """Numbers of clips at one state of the log."""

    num_clips: int
    num_unsure: int
    num_conflicts: int
    num_new: int
    """Clips that were labelled here since the last build."""
    by_action: Counter[tuple[str, str]]
    by_video: Counter[str]
    by_person: Counter[str]
    names: tuple[tuple[str, ...], tuple[str, ...]]
    """Verbs and nouns in use, also those without a clip."""

    def totals(self, person: str) -> Json:
        """Say how much is done, and how much of it by this person."""
        num_labelled = self.by_action.total()
        return {
            "num_clips": self.num_clips,
            "num_labelled": num_labelled,
            "num_nothing": self.by_action[NOTHING, NO_OBJECT],
            "num_unsure": self.num_unsure,
            "num_conflicts": self.num_conflicts,
            "num_remaining": self.num_clips - num_labelled - self.num_unsure,
            "num_mine": self.by_person[person],
        }

    def named(self, part: Literal[0, 1]) -> list[Json]:
        """List verbs or nouns by their numbers of clips, the most frequent first."""
        numbers: Counter[str] = Counter(dict.fromkeys(self.names[part], 0))
        for words, number in self.by_action.items():
            numbers[words[part]] += number
        left_out = (NOTHING, NO_OBJECT)
        return [
            {"name": name, "num_clips": number}
            for name, number in sorted(numbers.items(), key=lambda item: (-item[1], item[0]))
            if name not in left_out
        ]


def counts_of(view: View, ledger: Ledger, covering: CoveringOf) -> Counts:
    """Count the clips of a view."""
    by_action: Counter[tuple[str, str]] = Counter()
    by_video: Counter[str] = Counter()
    by_person: Counter[str] = Counter()
    num_unsure = num_conflicts = num_new = 0
    for clip in view.cut.clips.values():
        labels = view.labels_of(clip, ledger, covering)
        about, interval = labels.about, labels.interval
        if not about and not interval and not labels.known:
            continue
        words = labels.words
        num_conflicts += labels.are_in_conflict
        by_person.update({statement.by for statement in about} | ({interval.words.origin} if interval else set()))
        if words:
            is_answered = bool(about) and ledger.words(about[-1]) is not None
            num_new += max(ledger.number(about[-1]) if is_answered else 0, interval.number if interval else 0) > view.num_built
            by_action[words.verb, words.noun] += 1
            by_video[clip.video] += 1
        else:
            num_unsure += 1
    return Counts(len(view.cut.clips), num_unsure, num_conflicts, num_new, by_action, by_video, by_person, _names(view, ledger))


def _names(view: View, ledger: Ledger) -> tuple[tuple[str, ...], tuple[str, ...]]:
    # An interval may be too short to label a clip.
    marked = [ledger.words(interval) for video in ledger.videos for interval in ledger.intervals(video)]
    verbs, nouns = {words[0] for words in marked if words}, {words[1] for words in marked if words}
    verbs |= {ledger.current_name("verb", name) for name in view.verbs}
    nouns |= {ledger.current_name("noun", name) for name in view.nouns}
    return tuple(sorted(verbs)), tuple(sorted(nouns))


def described(
    view: View, video: str, cuts: Sequence[Cut], ledger: Ledger, reader: Reader, covering: Callable[[str], Covering | None]
) -> Json:
    """Describe a video to a person, without the labels of clips still to read second."""
    clips = view.cut.by_video[video]
    with_answers = answered(cuts, ledger, video)
    unread = unread_of(with_answers, reader)
    read = [(clip, about) for clip, about in with_answers if about[-1].by == reader.name or not touches(clip, unread)]
    intervals, files = ledger.intervals(video), view.of_files.get(video, ())
    hidden = hidden_of(intervals, unread, reader)
    shown = [interval for interval in intervals if interval not in hidden]
    shown_files = [label for label in files if not touches(label, unread)]
    labels = [*(_answer(ledger, clip, about[-1]) for clip, about in read), *(of_file(ledger, label) for label in shown_files)]
    conflicts = (
        ClipLabels(ledger, about, covering(clip.uid), view.known.get(clip.uid)).conflict
        for clip, about in read
        if not touches(clip, hidden)
    )
    return {
        "video": video,
        "name": view.cut.names[video],
        "duration_seconds": clips[-1].stop_seconds,
        "clips": [{"uid": clip.uid, **span(clip), "num_frames": clip.num_frames} for clip in clips],
        "intervals": [_interval(ledger, interval) for interval in shown],
        "labels": sorted(labels, key=lambda label: (label["start_seconds"], label["stop_seconds"])),
        "conflicts": [conflict for conflict in conflicts if conflict],
        "num_hidden": len(hidden) + len(files) - len(shown_files) + len(with_answers) - len(read),
        "predicted": [asdict(suggestion) for suggestion in _predicted(view, ledger, video) if not touches(suggestion, unread)],
    }


def span(clip: PageClip) -> Json:
    """Return where a clip lies in its video."""
    return {"start_seconds": clip.start_seconds, "stop_seconds": clip.stop_seconds}


def answered(cuts: Sequence[Cut], ledger: Ledger, video: str) -> list[tuple[PageClip, list[ClipStatement]]]:
    """List the clips of a video that have answers, however they were cut, with these."""
    clips = {clip.key: clip for cut in cuts for clip in cut.by_video.get(video, ())}
    return [(clip, about) for key, clip in clips.items() if (about := ledger.about(key))]


def unread_of(with_answers: Sequence[tuple[PageClip, Sequence[ClipStatement]]], reader: Reader) -> list[PageClip]:
    """List the clips that a person is to read as the second."""
    return [clip for clip, about in with_answers if reader.is_second(clip.uid, about)]


def hidden_of(intervals: Sequence[IntervalStatement], unread: Sequence[Span], reader: Reader) -> list[IntervalStatement]:
    """List the intervals of others that would reveal a clip to read."""
    return [interval for interval in intervals if interval.by != reader.name and touches(interval, unread)]


def touches(part: Span, others: Sequence[Span]) -> bool:
    """Check whether a part of a video overlaps any of these parts of it."""
    return any(overlap_seconds(part, other) > ROUNDING_SECONDS for other in others)


def _interval(ledger: Ledger, interval: IntervalStatement) -> Json:
    verb, noun = ledger.words(interval) or (None, None)
    return {**interval.model_dump(mode="json", include={"token", "start_seconds", "stop_seconds", "by", "at"}), "verb": verb, "noun": noun}


def _answer(ledger: Ledger, clip: PageClip, last: ClipStatement) -> Json:
    verb, noun = ledger.words(last) or (None, None)
    return {"kind": "clip", "uid": clip.uid, **span(clip), "answer": last.answer, "verb": verb, "noun": noun, "by": last.by, "at": last.at}


def _predicted(view: View, ledger: Ledger, video: str) -> Sequence[SuggestedInterval]:
    """Return the predicted intervals; without any, suggested clips, joined where they follow one another."""
    if video in view.suggestions.intervals:
        return [renamed(ledger, interval) for interval in view.suggestions.intervals[video]]
    merged: list[SuggestedInterval] = []
    for clip in view.cut.by_video[video]:
        for best in suggested_to(ledger, view.suggestions.by_clip.get(clip.uid, ())[:1]):
            interval = SuggestedInterval(best.verb, best.noun, best.probability, clip.start_seconds, clip.stop_seconds)
            last = merged[-1] if merged else None
            if last and (last.verb, last.noun, last.stop_seconds) == (interval.verb, interval.noun, interval.start_seconds):
                merged[-1] = replace(last, stop_seconds=interval.stop_seconds, probability=max(last.probability, interval.probability))
            else:
                merged.append(interval)
    return merged


Statements = Sequence[ClipStatement] | Sequence[IntervalStatement]
"""The answers that hold about a clip, the latest last, or one interval."""
ROWS_PER_PAGE = 50
ROW_OF_FILE: Json = {"reading": "first", "is_conflict": False, "conflict": None, "statements": []}


def reviewed(
    view: View, cuts: Sequence[Cut], ledger: Ledger, query: ReviewQuery, reader: Reader, covering: Callable[[str], Covering | None]
) -> Json:
    """List a page of labels of clips, intervals and files, the latest first.

    `num_hidden` counts what is left out: labels by others of clips that the person reads as the second, in any way of cutting.
    """
    clips = [statements for _, statements in ledger.clips()]
    intervals = [interval for video in ledger.videos for interval in ledger.intervals(video)]
    unread = defaultdict[str, list[ClipStatement]](list)
    for statements in clips:
        last = statements[-1]
        if reader.is_second(last.uid, statements) and any(last.uid in cut.clips for cut in cuts):
            unread[last.video].append(last)
    everything: list[Statements] = [*clips, *([interval] for interval in intervals)]
    seen = [
        statements
        for statements in everything
        if statements[-1].by == reader.name or not touches(statements[-1], unread[statements[-1].video])
    ]
    files = [label for of_video in view.of_files.values() for label in of_video]
    seen_files = [label for label in files if not touches(label, unread[label.video])]
    hidden = {video: hidden_of(ledger.intervals(video), of_video, reader) for video, of_video in unread.items()}
    closed = {statements[-1].uid for statements in clips if touches(statements[-1], hidden.get(statements[-1].video, ()))}

    def labels_of(statements: Statements) -> ClipLabels:
        about = _of_clip(statements)
        uid = about[-1].uid if about else ""
        return ClipLabels(ledger, about, covering(uid) if about and uid not in closed else None, view.known.get(uid))

    rows: list[tuple[datetime, int, Statements | FileLabel]] = [
        (datetime.fromisoformat(statements[-1].at), ledger.number(statements[-1]), statements)
        for statements in seen
        if _fits(ledger, query, statements, labels_of)
    ]
    rows += [(_time(label.words.at), 0, label) for label in seen_files if _is_wanted(ledger, query, label)]
    rows.sort(key=itemgetter(0, 1), reverse=True)
    shown = [row for _, _, row in rows[query.page * ROWS_PER_PAGE : (query.page + 1) * ROWS_PER_PAGE]]
    return {
        "rows": [
            {**of_file(ledger, row), "name": view.cut.names[row.video], **ROW_OF_FILE}
            if isinstance(row, FileLabel)
            else _row(ledger, view.cut.names, row, labels_of(row))
            for row in shown
        ],
        "num_rows": len(rows),
        "num_hidden": len(clips) + len(intervals) + len(files) - len(seen) - len(seen_files),
        "rows_per_page": ROWS_PER_PAGE,
        "people": sorted({statement.by for statements in everything for statement in statements}),
    }


def _time(at: str) -> datetime:
    return datetime.fromisoformat(at) if at else datetime.min.replace(tzinfo=UTC)


def _is_wanted(ledger: Ledger, query: ReviewQuery, label: FileLabel) -> bool:
    words = renamed(ledger, label.words)
    named = (words.verb, words.noun, f"{words.verb} {words.noun}")
    return (
        query.show in ("all", "files")
        and not query.by
        and query.video in (None, "", label.video)
        and (not query.name or query.name in named)
    )


def _fits(ledger: Ledger, query: ReviewQuery, statements: Statements, labels_of: Callable[[Statements], ClipLabels]) -> bool:
    words = ledger.words(statements[-1]) or ()
    return (
        (not query.video or statements[-1].video == query.video)
        and (not query.by or any(statement.by == query.by for statement in statements))
        and (not query.name or query.name in (*words, " ".join(words)))
        and _is_shown(query.show, statements, labels_of)
    )


def _row(ledger: Ledger, names: Mapping[str, str], statements: Statements, labels: ClipLabels) -> Json:
    last = statements[-1]
    verb, noun = ledger.words(last) or (None, None)
    is_action = isinstance(last, IntervalStatement) or last.answer == "action"
    return {
        **({} if isinstance(last, ClipStatement) else {"answer": "action", "reading": "first"}),
        **last.model_dump(mode="json"),
        **({"verb": verb, "noun": noun} if is_action else {}),
        "name": names.get(last.video, last.video[:12]),
        "is_conflict": labels.people_differ,
        "conflict": labels.conflict,
        "over": labels.interval.token if labels.interval else None,
        "statements": [
            statement.model_dump(mode="json", include={"by", "at", "answer", "verb", "noun", "reading", "token"})
            for statement in statements
        ],
    }


def _of_clip(statements: Statements) -> Sequence[ClipStatement]:
    return [statement for statement in statements if isinstance(statement, ClipStatement)]


def _is_shown(show: str, statements: Statements, labels_of: Callable[[Statements], ClipLabels]) -> bool:
    about = _of_clip(statements)
    match show:
        case "files":
            return False
        case "intervals":
            return not about
        case "conflicts":
            labels = labels_of(statements)
            return labels.people_differ or labels.are_in_conflict
        case "unsure":
            return bool(about) and about[-1].answer == "unsure"
        case "second":
            return any(statement.reading == "second" for statement in about)
        case _:
            return True
